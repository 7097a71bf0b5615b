"""Rebuild: read every stored event anew, derive everything from scratch, tell where the books differ; write nothing.

Memory holds one connection's facts at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from refref.core.complete import Completed
from refref.core.custom_types import custom_paths
from refref.core.derive import Draft, finish
from refref.core.facts import Fact, Kind, merge
from refref.core.findings import Difference, RebuildReport
from refref.core.program import Config
from refref.core.scopes import absorb
from refref.db import books, custom_events, inbox, needs, setup
from refref.db import facts as db_facts
from refref.db.pool import Connection
from refref.flows.read_stored import read_stored
from refref.flows.settle import Changes, difference, drafts_of
from refref.stripe.readers import Need, NeedKind, UnreadableEvent, read_document

PAGE = 1000
_EXAMPLES = 100
_decode = msgspec.json.Decoder().decode


async def rebuild_verify(
    tx: Connection, organization_id: str, connection_id: str, now: int, progress: Callable[[int, int], None]
) -> RebuildReport:
    """Compare the books of one connection with what its stored events say at `now` (real seconds).

    The transaction should be repeatable-read or the connection locked, so that nothing moves meanwhile. `progress` is
    told (events read, scopes compared).
    """
    there = now + await setup.clock_ahead_s(tx, organization_id, connection_id)
    anew, events = await _facts_anew(tx, organization_id, connection_id, progress)
    unsettled = len(await inbox.unfinished_seqs(tx, organization_id, connection_id))
    unsettled += await custom_events.is_reading_again(tx, organization_id, connection_id)
    differences: list[Difference] = []
    judged = await judge_everything(tx, organization_id, connection_id)
    scopes = due = 0
    after = ""
    stored_ids: set[str] = set()
    while page := await db_facts.scopes_after(tx, organization_id, connection_id, after, PAGE):
        after = page[-1]
        rows = await db_facts.facts_of_scopes(tx, organization_id, connection_id, stripe_ids=(), scope_ids=page)
        for row in rows:
            stored_ids.add(row.fact.stripe_id)
            fresh = anew.get(row.fact.stripe_id)
            if fresh != row.fact:
                differences.append(_fact_difference(connection_id, row.fact, fresh))
        merged = absorb([(row.fact, row.scope_id) for row in rows], [])
        changes = await difference(tx, organization_id, connection_id, merged, set(page), there, judged=judged)
        due += sum(entry.kind == "mature" for entry in changes.entries)
        differences.extend(_book_differences(connection_id, changes))
        scopes += len(page)
        progress(events, scopes)
    missing = [anew[stripe_id] for stripe_id in sorted(anew.keys() - stored_ids)] if not unsettled else []
    differences.extend(
        Difference(connection_id, "fact", fact.stripe_id, "the events tell of it, the books do not") for fact in missing
    )
    return RebuildReport(events, len(anew), scopes, due, unsettled, tuple(differences[:_EXAMPLES]))


async def judge_everything(
    tx: Connection, organization_id: str, connection_id: str
) -> Mapping[str, Sequence[Completed]] | None:
    """The outcome of every conversion of a connection, by scope, judged together from nothing but what was paid out;
    None where no terms look across customers, so that each scope can be judged alone."""
    programs = await setup.programs_of(tx, organization_id, connection_id)
    if not any(program.is_shared for program in programs):
        return None
    drafts: list[tuple[str, Draft]] = []
    after = ""
    while page := await db_facts.scopes_after(tx, organization_id, connection_id, after, PAGE):
        after = page[-1]
        by_scope: dict[str, list[Fact]] = {scope: [] for scope in page}
        for row in await db_facts.facts_of_scopes(tx, organization_id, connection_id, stripe_ids=(), scope_ids=page):
            by_scope[row.scope_id].append(row.fact)
        more, _ = await drafts_of(tx, organization_id, connection_id, by_scope)
        drafts.extend(more)
    paid = await books.paid_decisions(tx, organization_id, connection_id)
    return finish(drafts, Config(programs, {}), paid)


async def _facts_anew(
    tx: Connection, organization_id: str, connection_id: str, progress: Callable[[int, int], None]
) -> tuple[dict[str, Fact], int]:
    anew: dict[str, Fact] = {}
    unsettled = await inbox.unfinished_seqs(tx, organization_id, connection_id)
    programs = await setup.programs_of(tx, organization_id, connection_id)
    custom = custom_paths(version.terms for program in programs for version in program.terms)
    events = after = 0
    while page := await inbox.events_after(tx, organization_id, connection_id, after, PAGE, also_types=list(custom)):
        for work in page:
            after = work.event_seq
            events += 1
            if work.event_seq in unsettled:
                continue
            _absorb(anew, read_stored(work.type, work.body, custom).facts)
        progress(events, 0)
    for need, body in await needs.documents(tx, organization_id, connection_id):
        try:
            facts = read_document(Need(NeedKind(need.kind), need.stripe_id), _decode(body), need.seen_at)
        except UnreadableEvent:
            continue  # the fetcher refused it too
        _absorb(anew, facts)
    return anew, events


def _absorb(anew: dict[str, Fact], facts: tuple[Fact, ...]) -> None:
    for fact in facts:
        known = anew.get(fact.stripe_id)
        anew[fact.stripe_id] = fact if known is None else merge(known, fact)
        for link in fact.links:
            anew.setdefault(link, Fact(link, Kind.REF))


def _fact_difference(connection_id: str, stored: Fact, fresh: Fact | None) -> Difference:
    if fresh is None:
        return Difference(connection_id, "fact", stored.stripe_id, "no stored event tells of it")
    names = [name for name in Fact.__struct_fields__ if getattr(stored, name) != getattr(fresh, name)]
    return Difference(connection_id, "fact", stored.stripe_id, f"differs in {', '.join(names)}")


def _book_differences(connection_id: str, changes: Changes) -> list[Difference]:
    """What settling would change, except for what only waits for the clock's next turn."""
    beyond_clock = {entry.reward_id for entry in changes.entries if entry.kind != "mature"}
    matured = {entry.reward_id for entry in changes.entries} - beyond_clock
    found = [("reward", r.reward_id, f"missing, {r.amount} {r.currency}") for r, _ in changes.added]
    found += [
        ("reward", r.reward_id, f"should be {r.amount} less {r.reversed} {r.currency}, {r.status}")
        for r, _ in changes.changed
        if r.reward_id not in matured
    ]
    found += [("decision", d.payment_key, f"should be {d.outcome} {d.reason}") for d, *_ in changes.decisions]
    found += [("decision", payment, "no sale stands behind it") for payment, _ in changes.dropped]
    found += [("referral", r.referee_id, f"should be {r.participant_id}, {r.status}") for _, r, _ in changes.referrals]
    found += [("referral", referral_id, "no evidence stands behind it") for referral_id in changes.undone]
    found += [("customer", c.stripe_customer_id, "should read otherwise") for c, _ in changes.customers]
    return [Difference(connection_id, what, subject, detail) for what, subject, detail in found]
