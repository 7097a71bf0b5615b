"""The report of a backtest: what was found as a document, the largest changes with both explanations. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from refref.core.backtest import Change, Summary, Sums, explained
from refref.core.decision_words import named_in, present_decision
from refref.core.decisions import REASONS, Decision, decode_decision
from refref.core.facts import Fact
from refref.core.program import Program
from refref.core.words import Document, iso
from refref.db import backtests
from refref.db import explain as look
from refref.db import facts as db_facts
from refref.db.pool import Connection
from refref.flows.backtest_events import FiledEvents
from refref.flows.backtest_history import Job
from refref.flows.settle import drafts_of

Pair = tuple[Decision | None, Decision | None]  # booked, by the draft


async def report_of(tx: Connection, job: Job, program: Program, summary: Summary, folder: Path) -> Document:
    """The report. `tx` and the backtest's folder must hold what the summary was made of."""
    pairs = await _pairs(tx, job, program, summary.changes, folder)
    named = {name for pair in pairs.values() for decision in pair if decision for name in named_in(decision)}
    names = await look.names_of(tx, job.organization_id, sorted(named))
    return {
        "conversions": summary.conversions,
        "changed": summary.changed,
        "more": summary.more,
        "less": summary.less,
        "money": [{"currency": currency, **_present_sums(sums)} for currency, sums in summary.money],
        "benefits": {
            "booked": summary.benefits.booked,
            "draft": summary.benefits.draft,
            "changed": summary.benefits.changed,
        },
        "reasons": [
            {"reason": reason, "sentence": REASONS[reason], "conversions": count}
            for reason, count in sorted(summary.reasons, key=lambda item: (-item[1], item[0]))
        ],
        "participants": len({owner for owner, _, _ in summary.participants}),
        "products": len({product for product, _, _ in summary.products}),
        "changes": [_present_change(change, pairs, names) for change in summary.changes],
    }


def _present_sums(sums: Sums) -> dict[str, int]:
    return {
        "booked_minor": sums.booked,
        "draft_minor": sums.draft,
        "difference_minor": sums.draft - sums.booked,
        "changed": sums.changed,
    }


def _present_change(change: Change, pairs: Mapping[str, Pair], names: Mapping[str, str]) -> Document:
    booked, draft = pairs[change.payment_key]
    known = booked or draft
    return {
        "payment_key": change.payment_key,
        "occurred_at": iso(change.occurred_at),
        "customer_id": known.referee_id if known else None,
        "currency": change.currency,
        "booked_minor": change.booked,
        "draft_minor": change.draft,
        "difference_minor": change.draft - change.booked,
        "booked": present_decision(booked, names) if booked else None,
        "draft": present_decision(draft, names) if draft else None,
    }


async def _pairs(
    tx: Connection, job: Job, program: Program, changes: Sequence[Change], folder: Path
) -> dict[str, Pair]:
    scopes = sorted({change.scope_id for change in changes})
    stored: Collection[str] = scopes
    by_scope: dict[str, list[Fact]] = {scope: [] for scope in scopes}
    for row in await db_facts.facts_of_scopes(
        tx, job.organization_id, job.connection_id, stripe_ids=(), scope_ids=scopes
    ):
        by_scope[row.scope_id].append(row.fact)
    events = FiledEvents(folder)
    if scopes and not events.is_empty:
        by_scope, stored = await events.add_to(tx, job.organization_id, job.connection_id, by_scope)
    bodies = await backtests.booked_bodies(tx, job.organization_id, job.connection_id, job.program_id, stored)
    booked = {decision.payment_key: decision for _, body in bodies if (decision := decode_decision(body))}
    drafts, _ = await drafts_of(tx, job.organization_id, job.connection_id, by_scope, programs=(program,))
    full = {
        candidate.decision.payment_key: candidate.decision
        for _, drafted in drafts
        for candidate in drafted.candidates
        if candidate.decision.program_id == job.program_id
    }
    pairs: dict[str, Pair] = {}
    for change in changes:
        draft = None if change.final is None else explained(full[change.payment_key], change.final)
        pairs[change.payment_key] = booked.get(change.payment_key), draft
    return pairs
