"""The finders of what was read from Stripe's lists; A's reading is rdg_a, its statement's payment in_a."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from db.two_tenants import NOW, Ids
from refref.db import compared, event_polls, history, inbox, statements
from refref.db.history import HistoryRun
from refref.db.pool import Connection
from refref.db.reports import readings

RUN = "rdg_a"
MODULES = (compared, event_polls, history, statements, readings)


async def decided(tx: Connection, org: str, a: Ids) -> list[Any]:
    span = (NOW.replace(year=1970), NOW.replace(year=2100))
    run = HistoryRun(org, RUN, a.connection_id, "statement", "running", *span, "system", NOW)
    return await statements.decided_payments(tx, run, "", 10)


async def poll(tx: Connection, org: str, a: Ids) -> list[int]:
    found = await event_polls.poll_of(tx, org, a.connection_id)
    return [found.read_count] if found.read_count else []


async def stated(tx: Connection, org: str, a: Ids) -> list[Any]:
    """A statement, where there is one."""
    found = await readings.statement(tx, org, RUN, NOW)
    return [] if found is None else [found]


async def spans(tx: Connection, org: str, a: Ids) -> list[int]:
    return [until for _, until in await history.done_spans(tx, org, a.connection_id, ("statement",))]


FINDERS: dict[str, Callable[[Connection, str, Ids], Awaitable[Any]]] = {
    "event_polls.poll_of": poll,
    "reports.readings.statement": stated,
    "history.run_by_id": lambda tx, org, a: history.run_by_id(tx, org, RUN),
    "history.runs": lambda tx, org, a: history.runs(tx, org, a.connection_id, "statement"),
    "history.done_spans": spans,
    "history.parts_of": lambda tx, org, a: history.parts_of(tx, org, RUN),
    "history.gaps_of": lambda tx, org, a: history.gaps_of(tx, org, RUN),
    "compared.known_facts": lambda tx, org, a: compared.known_facts(tx, org, a.connection_id, ["cus_a"]),
    "compared.waiting_events": lambda tx, org, a: compared.waiting_events(tx, org, a.connection_id, ["cus_a"]),
    "inbox.known_event_ids": lambda tx, org, a: inbox.known_event_ids(tx, org, a.connection_id, ["evt_a"]),
    "statements.decided_payments": decided,
    "statements.decided_keys": lambda tx, org, a: statements.decided_keys(tx, org, a.connection_id, ["in_a"]),
    "statements.class_sums": lambda tx, org, a: statements.class_sums(tx, org, RUN),
    "statements.money_sums": lambda tx, org, a: statements.money_sums(tx, org, RUN),
    "statements.ties": lambda tx, org, a: statements.ties(tx, org, RUN),
    "statements.untied_payments": lambda tx, org, a: statements.untied_payments(tx, org, RUN, 10),
    "statements.untied_movements": lambda tx, org, a: statements.untied_movements(tx, org, RUN, 10),
    "statements.movements": lambda tx, org, a: statements.movements(tx, org, RUN),
    "statements.payments": lambda tx, org, a: statements.payments(tx, org, RUN),
    "reports.readings.reading_view": lambda tx, org, a: readings.reading_view(tx, org, RUN, NOW),
    "reports.readings.readings_page": lambda tx, org, a: readings.readings_page(
        tx, org, a.connection_id, "statement", NOW
    ),
}
