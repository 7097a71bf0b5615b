"""What a merchant pastes is told to nobody again: no page, answer, log line, audit entry or kept check holds it."""

import asyncio
from typing import Any

import pytest

from connecting.test_route_walls import person, walls
from connecting.town import ENOUGH
from refref.connecting.endpoints import repair_webhooks
from refref.connecting.watch import check_connection


def test_a_key_and_a_secret_are_never_told(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    pasted: list[str] = []
    told: list[str] = []

    async def main() -> None:
        async with walls(database) as (town, app, connection_id):
            town.base_url = "http://refref.test"
            owner = await person(town, app, "admin")

            async def send(path: str, **body: Any) -> int:
                if path.startswith("/v1/"):
                    answer = await owner.http.post(path, json=body)
                else:
                    answer = await owner.http.post(path, data={"csrf_token": owner.csrf_token, **body})
                told.append(answer.text)
                told.append(str(answer.headers))
                return answer.status_code

            revoked, narrow = town.key(), town.key({"event": "read"})
            town.sb.revoke_key(revoked)
            other = str(town.sb.create_key(ENOUGH, account=town.sb.open_merchant("Other")["id"])["key"])
            too_long, publishable = "rk_test_" + "x9Yz" * 100, "pk_test_51SampleSamplePublishable"
            live, secret = "rk_live_51SampleSampleSampleLive", "whsec_SampleSampleSampleSecret"
            pasted.extend((revoked, narrow, other, too_long, publishable, live, secret))
            for key in (revoked, other, too_long, publishable, live, narrow):
                page = f"/integrations/stripe/{connection_id}"
                await send(f"{page}/key", api_key=key)
                await send(f"{page}/secret", webhook_secret=key)
                await send("/integrations/stripe/connect", way="key", api_key=key, api_base=town.stripe_url)
                await send("/v1/connections", name="Shop", mode="test", api_key=key, api_base=town.stripe_url)
                await send(f"/v1/connections/{connection_id}/api_key", api_key=key)
            assert await send(f"/v1/connections/{connection_id}/webhook_secrets", webhook_secret=secret) == 201
            enough = town.key()
            assert await send(f"/integrations/stripe/{connection_id}/key", api_key=enough) == 303
            await repair_webhooks(town.desk, town.acting, connection_id)
            pasted.extend(str(row["_secret"]) for row in town.sb.live("webhook_endpoint"))
            pasted.append(enough)
            town.sb.revoke_key(enough)
            await check_connection(town.desk, town.acting, connection_id)
            for path in (f"/integrations/stripe/{connection_id}", "/integrations", "/v1/audit_log"):
                told.append((await owner.http.get(path)).text)
            for table in ("audit_log", "connection_check", "connection_problem", "event_poll", "catalog_sync"):
                told.extend(str(tuple(row)) for row in await town.read(f"select * from {table}"))

    asyncio.run(main())
    out, err = capsys.readouterr()
    assert "route=/v1/connections" in out  # the lines of the log
    told.append(out + err)
    for value in pasted:
        body = value.rpartition("_")[2]
        found = [text for text in told if body[:12] in text or body[-12:] in text]
        assert found == []
