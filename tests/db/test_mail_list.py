"""After an upgrade the books follow the newer list of throw-away mail services, those of new connections excepted."""

import asyncio

from db.two_tenants import two_tenants
from refref.worker.mail_list import adopt_mail_list


def test_connections_that_went_by_another_list_are_settled_again(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, _, _):
            async with db.tenant(a.organization_id) as tx:
                await tx.execute("update connection set mail_list = ''")
                await tx.execute("delete from dirty_scope")
            assert await adopt_mail_list(db) == 1
            async with db.tenant(a.organization_id) as tx:
                assert not await tx.fetchval("select count(*) from dirty_scope"), "its books have known no other list"
                await tx.execute("update connection set mail_list = '0.0.1'")
            assert await adopt_mail_list(db) == 1
            assert await adopt_mail_list(db) == 0
            async with db.tenant(a.organization_id) as tx:
                assert await tx.fetchval("select scope_id from dirty_scope") == "cus_a"

    asyncio.run(main())
