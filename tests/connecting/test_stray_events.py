"""Events of accounts that nobody has connected are not kept for ever."""

from connecting.town import Town, in_town
from refref.worker.stray_events import forget_stray_events


def test_stray_events_are_forgotten_after_thirty_five_days(database: str) -> None:
    async def story(town: Town) -> None:
        async with town.database.reference() as tx:
            await tx.executemany(
                "insert into platform_event (mode, stripe_account_id, stripe_event_id, type, object_id, created_at,"
                " received_at, body) values ('test', 'acct_nobodys', $1, 'customer.created', 'cus_1', now(),"
                " now() - make_interval(days => $2), '')",
                [("evt_old", 36), ("evt_kept", 34), ("evt_new", 0)],
            )
        assert await forget_stray_events(town.database) == 1
        assert await forget_stray_events(town.database) == 0
        async with town.database.reference() as tx:
            kept = await tx.fetch("select stripe_event_id from platform_event order by 1")
        assert [row[0] for row in kept] == ["evt_kept", "evt_new"]

    in_town(database, story)
