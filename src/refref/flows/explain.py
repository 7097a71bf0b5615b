"""Explain: the whole story of any RefRef id, Stripe id or e-mail address, as one document for pages, API and CLI."""

from __future__ import annotations

from collections.abc import Iterable

from refref.core.decisions import FLAGS, Decision, RuleOutcome
from refref.core.facts import Fact
from refref.core.money import format_amount
from refref.core.outcome_words import happened, present_rule
from refref.core.terms import Terms
from refref.core.unbound import Unbound
from refref.core.unknown_ids import asked_id, shown_id
from refref.core.why_not import KNOWN_BY_REFERENCE
from refref.core.words import (
    Document,
    iso,
    present_base,
    present_evidence,
    present_outcome,
    present_reversal,
    status_sentence,
)
from refref.db import explain as look
from refref.db import facts as db_facts
from refref.db import programs
from refref.db.explain import EntryLine, EventLine, Place, ReviewLine, RewardLine
from refref.db.pool import Connection
from refref.flows.unbound import unbound_sales
from refref.flows.why_not import causes_of_unknown, first_stop, present_named, present_stops


async def explain(tx: Connection, organization_id: str, connection_id: str | None, any_id: str, now: int) -> Document:
    """What RefRef knows of `any_id` and why: kind payment, customer, reward or event; `named` for what is of the set-up
    or the catalogue, `unknown` for nothing, both with `causes`. Reads only.

    Instants are ISO 8601, amounts whole minor units beside their currency.
    """
    any_id = asked_id(any_id)
    event: EventLine | None = None
    wanted = any_id
    if any_id.startswith(("evt_", "tld_")):
        event = await look.event_by_stripe_id(tx, organization_id, connection_id, any_id)
        wanted = event.object_id if event else any_id
        connection_id = event.connection_id if event else connection_id
    places = await _places(tx, organization_id, connection_id, wanted)
    payments: list[Document] = []
    facts: list[Document] = []
    events: list[Document] = [_event(event)] if event else []
    for place in places:
        rows = await db_facts.facts_of_scopes(
            tx, organization_id, place.connection_id, stripe_ids=(), scope_ids=[place.scope_id]
        )
        payments.extend(await _payments(tx, organization_id, place, _only(wanted), [row.fact for row in rows]))
        facts.extend(
            {"stripe_id": row.fact.stripe_id, "kind": row.fact.kind.value, "summary": _fact_summary(row.fact.state)}
            for row in sorted(rows, key=lambda row: row.fact.stripe_id)
        )
        events.extend(_event(line) for line in await look.events_of_facts(tx, organization_id, place))
    kind = _kind(any_id, places, event)
    causes: list[Document] = []
    if kind == "unknown" and any_id:
        causes = await present_named(tx, organization_id, connection_id, any_id)
        kind = "named" if causes else kind
    if kind == "unknown":
        causes = await causes_of_unknown(tx, organization_id, connection_id, any_id)
    alone = None if payments or _only(wanted) is None else _summary_of(wanted, facts)
    return {
        "id": shown_id(any_id),
        "kind": kind,
        "headline": _of_no_payment(any_id, kind, causes) if causes else _headline(payments, event),
        "as_of": iso(now),
        "stopped_by": first_stop(event, payments, alone),
        "causes": causes,
        "payments": payments,
        "facts": facts,
        "events": events,
    }


async def _places(tx: Connection, organization_id: str, connection_id: str | None, wanted: str) -> list[Place]:
    if wanted.startswith("rwd_"):
        return await look.places_of(tx, organization_id, connection_id, "reward", wanted.partition(".")[0])
    if wanted.startswith("rfl_"):
        return await look.places_of(tx, organization_id, connection_id, "referral", wanted)
    if "@" in wanted:
        return await look.places_of(tx, organization_id, connection_id, "email", wanted)
    return await look.places_of(tx, organization_id, connection_id, "fact", wanted)


def _only(wanted: str) -> str | None:
    """The id whose payment alone is asked for; None asks for every payment of the customer."""
    return None if wanted.startswith(("cus_", "acct_", "sub_", "rfl_")) or "@" in wanted else wanted.partition(".")[0]


async def _payments(
    tx: Connection, organization_id: str, place: Place, only: str | None, facts: list[Fact]
) -> list[Document]:
    decisions = await look.decisions_of_scope(tx, organization_id, place)
    rewards = await look.rewards_of_scope(tx, organization_id, place)
    if only is not None:
        keys = {reward.payment_key for reward in rewards if reward.reward_id == only}
        decisions = [d for d in decisions if only in d.ids or d.payment_key in keys]
    entries = await look.entries_of_rewards(tx, organization_id, [reward.reward_id for reward in rewards])
    emails = await look.emails_of_scope(tx, organization_id, place)
    named = {i for d in decisions for i in (d.participant_id, d.program_id, *(e.participant_id for e in d.evidence))}
    named |= {part[0] for d in decisions for rule in d.rules for part in rule.parts}
    unbound = await unbound_sales(tx, organization_id, place.connection_id, decisions, facts)
    named |= {item.participant_id for told in unbound.values() for item in told.evidence}
    names = await look.names_of(tx, organization_id, sorted(named - {""}))
    judged = {stripe_id for d in decisions for stripe_id in (*d.ids, d.referee_id)}
    reviews = await look.reviews_of(tx, organization_id, place, sorted(judged))
    wanted = {(d.program_id, d.terms_version) for d in decisions if d.terms_version}
    deciding = await programs.terms_of_versions(tx, organization_id, wanted)
    payments: dict[str, Document] = {}
    stops = present_stops(decisions, unbound)
    for decision in decisions:
        terms = deciding.get((decision.program_id, decision.terms_version))
        payment = payments.setdefault(decision.payment_key, _payment(decision, emails, terms))
        payment["stopped_by"] = stops[decision.payment_key]
        own = [r for r in rewards if (r.payment_key, r.program_id) == (decision.payment_key, decision.program_id)]
        stories = payment["programs"]
        assert isinstance(stories, list)
        told = unbound.get(decision.payment_key)
        program = _program(decision, own, entries, names, terms, told)
        program["reviews"] = [_review(line, decision) for line in reviews if _concerns(line, decision)]
        stories.append(program)
        if decision.outcome == "rewarded" or not payment["headline"]:
            payment["headline"] = program["sentence"]
            payment["status"] = own[0].status if own else decision.outcome
    return list(payments.values())


def _payment(decision: Decision, emails: dict[str, str | None], terms: Terms | None) -> Document:
    lines, steps = present_base(decision)
    return {
        "payment_key": decision.payment_key,
        "ids": list(decision.ids),
        "source": decision.source,
        "happened": happened(decision, terms),
        "customer_id": decision.referee_id if decision.referee_id in emails else None,
        "customer_email": emails.get(decision.referee_id),
        "occurred_at": iso(decision.occurred_at),
        "currency": decision.currency,
        "paid_minor": decision.paid,
        "off_stripe_minor": decision.off_stripe,
        "refunded_minor": decision.refunded,
        "headline": "",
        "status": decision.outcome,
        "lines": lines,
        "base_steps": steps,
        "base_minor": decision.base.amount if decision.base else 0,
        "programs": [],
    }


def _program(
    decision: Decision,
    rewards: list[RewardLine],
    entries: list[EntryLine],
    names: dict[str, str],
    terms: Terms | None,
    unbound: Unbound | None,
) -> Document:
    rules = []
    for outcome in decision.rules:
        rule = present_rule(outcome, decision, names, terms)
        own_rewards = [_reward(reward, outcome) for reward in rewards if reward.rule_id == outcome.rule_id]
        rule["rewards"] = own_rewards
        rules.append(rule | own_rewards[0] if own_rewards else rule)
    own = {reward.reward_id for reward in rewards}
    return {
        "program_id": decision.program_id or None,
        "program_name": names.get(decision.program_id),
        "outcome": decision.outcome,
        "reason": decision.reason or None,
        "sentence": unbound.sentence if unbound else present_outcome(decision, names),
        "participant_id": decision.participant_id or None,
        "participant_name": names.get(decision.participant_id),
        "bound_at": None if decision.bound_at is None else iso(decision.bound_at),
        "payment_number": decision.payment_number or None,
        "terms_version": decision.terms_version or None,
        "evidence": [present_evidence(item, names) for item in (unbound or decision).evidence],
        "conversion_kinds": list(decision.kinds),
        "campaign": decision.campaign or None,
        "fraud_flags": list(decision.flags),
        "fraud_sentences": [FLAGS[flag] for flag in decision.flags],
        "rules": rules,
        "reversals": [present_reversal(item, decision.currency) for item in decision.reversals],
        "entries": [_entry(entry) for entry in entries if entry.reward_id in own],
    }


def _concerns(line: ReviewLine, decision: Decision) -> bool:
    is_of_it = line.stripe_id in decision.ids or (line.rule_id == "" and line.stripe_id == decision.referee_id)
    return is_of_it and line.program_id == decision.program_id


def _review(line: ReviewLine, decision: Decision) -> Document:
    is_referral = line.rule_id == "" and line.stripe_id == decision.referee_id
    return {
        "subject": "referral" if is_referral else "reward" if line.rule_id else "conversion",
        "rule_id": line.rule_id or None,
        "verdict": line.verdict,
        "reason": line.reason,
        "actor": line.actor,
        "at": iso(int(line.at.timestamp())),
    }


def _reward(reward: RewardLine, outcome: RuleOutcome) -> Document:
    hold_until = int(reward.hold_until.timestamp())
    holds = ("dispute",) if reward.status == "held" and not outcome.holds else outcome.holds
    return {
        "reward_id": reward.reward_id,
        "beneficiary_id": reward.beneficiary_id,
        "status": reward.status,
        "hold_until": iso(hold_until),
        "status_sentence": status_sentence(reward.status, hold_until, holds),
    }


def _entry(entry: EntryLine) -> Document:
    return {
        "entry_id": entry.entry_id,
        "reward_id": entry.reward_id,
        "kind": entry.kind,
        "posted_at": iso(int(entry.posted_at.timestamp())),
        "reason": entry.reason,
        "amount_minor": entry.amount_minor,
        "currency": entry.currency,
        "source": f"{entry.source_account}:{entry.source_owner}",
        "destination": f"{entry.destination_account}:{entry.destination_owner}",
    }


def _event(line: EventLine) -> Document:
    return {
        "stripe_event_id": line.stripe_event_id,
        "type": line.type,
        "object_id": line.object_id,
        "state": line.state,
        "reason": line.reason,
        "created_at": iso(int(line.created_at.timestamp())),
        "received_at": iso(int(line.received_at.timestamp())),
    }


def _fact_summary(state: object) -> str:
    if state is None:
        return KNOWN_BY_REFERENCE
    status = getattr(state, "status", None)
    amount = next(
        (value for name in ("amount_paid", "amount_total", "amount_received", "amount")
         if isinstance(value := getattr(state, name, None), int)),
        None,
    )  # fmt: skip
    currency = getattr(state, "currency", None)
    parts: Iterable[str] = (
        str(status) if status else "",
        format_amount(amount, currency) if amount is not None and currency else "",
    )
    return ", ".join(part for part in parts if part) or "known"


def _summary_of(wanted: str, facts: list[Document]) -> str | None:
    """What is known of an object of which no payment came; None: nothing."""
    return next((str(fact["summary"]) for fact in facts if fact["stripe_id"] == wanted), None)


def _kind(any_id: str, places: list[Place], event: EventLine | None) -> str:
    if event is not None:
        return "event"
    if not places:
        return "unknown"
    if any_id.startswith("rwd_"):
        return "reward"
    if "@" in any_id or any_id.startswith(("cus_", "acct_", "sub_", "rfl_")):
        return "customer"
    return "payment"


_EVENT_STATES = {
    "pending": "This event is waiting to be settled.",
    "parked": "This event could not be settled and is parked. Mend the cause, then replay it.",
    "ignored": "This event is of a type that RefRef does not need; it changes nothing.",
    "quarantined": "This event was set aside: it is not for this connection.",
}


def _of_no_payment(any_id: str, kind: str, causes: list[Document]) -> str:
    if kind == "named":
        return str(causes[0]["sentence"])
    first = f" {causes[0]['sentence']}" if causes[0]["is_certain"] else ""
    return f"RefRef knows nothing of {shown_id(any_id)}.{first}"


def _headline(payments: list[Document], event: EventLine | None) -> str:
    if event is not None and event.state in _EVENT_STATES:
        return _EVENT_STATES[event.state] + (f" ({event.reason})" if event.reason else "")
    if not payments:
        return "RefRef knows this, but no payment has come of it yet."
    if len(payments) == 1:
        return str(payments[0]["headline"])
    return f"{len(payments)} payments; each with its reason below."
