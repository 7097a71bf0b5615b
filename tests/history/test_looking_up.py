"""The events list and look-ups in Stripe's API: what stops one of them stops no other; what counts as missed."""

from __future__ import annotations

from typing import Any

from history.reading import at, poll, settle_all, story_of
from refref.db import needs
from refref.db.needs import OpenNeed
from refref.db.pool import Connection
from refref.sandbox import Sandbox
from refref.settings import MasterKey
from refref.vault import Vault
from refref.worker.fetcher import fetch_due
from refref.worker.pace import Pace
from refref.worker.polling import poll_events_due
from stories.story import START, Story
from stories.world import World

LOST = Vault([MasterKey("k2", bytes(32))])  # not the key that the secrets were sealed with


def shop(world: World, seed: int, sales: int = 4) -> Story:
    sb = Sandbox(clock_start=START, seed=seed)
    story = story_of(world, sb, has_api=True)
    price = sb.create_price(sb.create_product("P")["id"], "usd", 900)["id"]
    for number in range(sales):
        sb.sell(price=price, email=f"c{number}@customers.example", customer_creation="always")
        sb.advance_by(days=1)
    return story


def in_tx(story: Story, work: Any) -> Any:
    async def run() -> Any:
        async with story.world.database.tenant(story.merchant.organization_id) as tx:
            return await work(tx)

    return story.world.run(run())


def ask(story: Story, *asked: tuple[str, str]) -> None:
    ids = (story.merchant.organization_id, story.merchant.connection_id)
    found = [OpenNeed(kind, stripe_id, story.sb.now) for kind, stripe_id in asked]
    in_tx(story, lambda tx: needs.ask(tx, *ids, found, 0))


def fetch(story: Story, vault: Vault | None = None) -> int:
    return story.world.run(fetch_due(story.world.database, vault or story.world.vault, lambda: story.sb.now))


def test_what_is_older_than_the_connection_is_stored_and_not_called_missed(world: World) -> None:
    story = shop(world, 61)
    in_tx(story, lambda tx: tx.execute("update connection set created_at = $1", at(story.sb.now - 100)))
    assert poll(story) == 0
    (row,) = world.fetch(story.merchant, "select read_count, new_count, missed_at from event_poll")
    assert (row["read_count"] > 20, row["new_count"], row["missed_at"]) == (True, 0, None)
    stored = world.fetch(story.merchant, "select count(*) from stripe_event where source = 'poll'")
    assert stored[0][0] == row["read_count"]
    story.sb.create_customer(email="new@customers.example")
    story.sb.advance_by(hours=1)
    assert poll(story) == 1


def test_a_long_list_is_read_in_turns(world: World) -> None:
    story = shop(world, 62, sales=6)
    cursors = []
    for _ in range(40):
        no_time = poll_events_due(world.database, world.vault, lambda: story.sb.now, Pace(0), turn_s=0.0)
        assert world.run(no_time) >= 0  # a day of the list
        row = world.fetch(story.merchant, "select cursor_at, due_at <= now() as is_due from event_poll")[0]
        cursors.append(row["cursor_at"])
        if not row["is_due"]:
            break
    assert 30 <= len(cursors) <= 33  # a day each, less the overlap, as long as Stripe keeps events
    assert cursors == sorted(set(cursors))
    stored = world.fetch(story.merchant, "select count(*) from stripe_event where source = 'poll'")
    assert stored[0][0] == len(story.sb.events)


def test_a_key_that_cannot_be_opened_is_told_and_not_tried_all_the_time(world: World) -> None:
    story = shop(world, 63, sales=1)
    ask(story, ("customer", str(story.sb.all("customer")[0]["id"])))
    assert (fetch(story, LOST), fetch(story, LOST)) == (0, 0)
    told = "There is no Stripe key that opens; connect the account again."
    (row,) = world.fetch(story.merchant, "select attempts, error, due_at > now() as waits from open_need")
    assert tuple(row) == (1, told, True)
    world.run(poll_events_due(world.database, LOST, lambda: story.sb.now, Pace(0)))
    (row,) = world.fetch(
        story.merchant, "select error, due_at > now() + interval '30 minutes' as waits from event_poll"
    )
    assert tuple(row) == (told, True)


def test_an_answer_that_cannot_be_settled_stops_no_other(world: World) -> None:
    """A fault of our own with one answer is stored with it and tried again later; the others are settled."""
    story = shop(world, 64, sales=2)
    first, second = str(story.sb.all("checkout.session")[0]["id"]), str(story.sb.all("customer")[1]["id"])
    ask(story, ("session_lines", first), ("customer", second))

    async def refuse(tx: Connection) -> None:
        await tx.execute(
            "insert into fact (organization_id, connection_id, stripe_id, scope_id, kind, body)"
            " values ($1, $2, $3, $3, 'session', 'no fact')",
            story.merchant.organization_id,
            story.merchant.connection_id,
            first,
        )

    in_tx(story, refuse)
    assert fetch(story) == 2
    left = world.fetch(story.merchant, "select stripe_id, attempts, error from open_need")
    assert [(row["stripe_id"], row["attempts"]) for row in left] == [(first, 1)]
    assert left[0]["error"].startswith("ValidationError")
    known = world.fetch(story.merchant, "select stripe_customer_id from customer where stripe_customer_id = $1", second)
    assert len(known) == 1
    in_tx(story, lambda tx: tx.execute("delete from fact where stripe_id = $1", first))
    settle_all(story)
    assert world.fetch(story.merchant, "select 1 from open_need where due_at < 'infinity'") == []
