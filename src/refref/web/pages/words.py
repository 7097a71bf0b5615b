"""The words of the pages: what a state is called, its tone, and when it will change. Plain words, no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from refref.core.decisions import FLAGS, HOLDS, REASONS
from refref.core.facts import CarrierKind
from refref.db.reports import DecisionRow, EventRow, PayoutRow, RewardRow

Tone = Literal["good", "wait", "bad", "info", "off"]


@dataclass(frozen=True, slots=True)
class Status:
    """A word with its tone, and one sentence on when or how it will change."""

    word: str
    tone: Tone
    change: str


CARRIERS: dict[str, str] = {
    CarrierKind.MANUAL: "bound by hand",
    CarrierKind.PROMOTION_CODE: "promotion code",
    CarrierKind.CLIENT_REFERENCE: "checkout reference (client_reference_id)",
    CarrierKind.SESSION_METADATA: "checkout metadata",
    CarrierKind.SUBSCRIPTION_METADATA: "subscription metadata",
    CarrierKind.PAYMENT_INTENT_METADATA: "payment metadata",
    CarrierKind.INVOICE_METADATA: "invoice metadata",
    CarrierKind.CUSTOMER_METADATA: "customer metadata",
    CarrierKind.SIGNUP: "sign-up in your application",
}
ENTRY_KINDS: dict[str, str] = {
    "earn": "Earned",
    "adjust": "Adjusted",
    "reverse": "Taken back",
    "restore": "Given back",
    "mature": "Hold ended",
    "hold": "Held",
    "release": "Released",
    "pay": "Paid out",
    "unpay": "Back to payable",
}
ACCOUNTS: dict[str, str] = {
    "expense": "your expense",
    "pending": "pending",
    "payable": "payable",
    "held": "held",
    "in_transit": "on its way",
    "paid": "paid",
    "credit": "credit",
    "fx": "exchange",
    "suspense": "suspense",
}
SOURCES: dict[str, str] = {
    "webhook": "by webhook",
    "poll": "by asking Stripe",
    "told": "told to RefRef",
    "backfill": "from the history",
    "reconcile": "found missing",
}
REASON_TITLES: dict[str, str] = {code: code.replace("_", " ").capitalize() for code in REASONS}
HOLD_TITLES: dict[str, str] = {"awaiting_approval": "Asks for approval", "fraud_hold": "A check found something"}
FLAG_TITLES: dict[str, str] = {
    "self_email": "Same e-mail address",
    "self_card": "Same card",
    "self_domain": "Same e-mail domain",
    "self_ip": "Same network",
    "disposable_email": "Throw-away address",
    "refund_rate": "Many refunds",
    "velocity": "Many in a day",
    "coupon_site": "Codes without clicks",
}


def day_text(instant: datetime) -> str:
    """`24 Dec 2026`, UTC."""
    return f"{instant.day} {instant:%b %Y}"


def moment_text(instant: datetime) -> str:
    """`24 Dec 2026, 14:03 UTC`."""
    return f"{day_text(instant)}, {instant:%H:%M} UTC"


def account(account_name: str) -> str:
    """A ledger account in words, without its owner: explanations give `pending:ptc_…`."""
    name, _, _owner = account_name.partition(":")
    return ACCOUNTS.get(name, name)


def reward_status(reward: RewardRow) -> Status:
    """What a reward's status is called and when it will change."""
    if reward.status == "held" and reward.holds:
        return Status("Held", "info", "until somebody approves or rejects it")
    return status_of(reward.status, reward.hold_until)


def hold_sentences(holds: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Why something waits for a person: each reason, and what the checks found."""
    sentences = [HOLDS[hold] for hold in holds if hold != "fraud_hold" or not flags]
    return [*sentences, *(FLAGS[flag] for flag in flags)]


def verdict_status(verdict: str | None) -> Status:
    """What a person's verdict is called."""
    return {
        "approved": Status("Approved", "good", ""),
        "rejected": Status("Rejected", "bad", ""),
        "withdrawn": Status("Taken back", "off", ""),
    }.get(verdict or "", Status("Nobody decided", "off", ""))


def status_of(status: str | None, hold_until: datetime | None) -> Status:
    """The same for a status and hold date from an explanation."""
    until = day_text(hold_until) if hold_until else None
    if status == "pending":
        return Status("Pending", "wait", f"until {until}" if until else "until its hold ends")
    if status == "payable":
        return Status("Payable", "good", f"since {until}" if until else "ready to be paid")
    if status == "held":
        return Status("Held", "info", "until a dispute or a person decides")
    if status == "reversed":
        return Status("Reversed", "bad", "final, unless a refund fails or a dispute is won")
    if status == "expired":
        return Status("Expired", "off", "it was not paid out in time")
    if status == "paid":
        return Status("Paid", "good", "final; a refund lowers the next payout")
    return Status((status or "unknown").capitalize(), "off", "")


def payout_status(payout: PayoutRow) -> Status:
    """Whether a payout stands."""
    if payout.undone_at is not None:
        return Status("Undone", "off", f"{day_text(payout.undone_at)}: {payout.undone_reason}")
    return Status("Recorded", "good", "")


def decision_status(decision: DecisionRow) -> Status:
    """What became of a payment, with the reason in words."""
    if decision.outcome == "rewarded":
        return Status("Rewarded", "good", "")
    sentence = REASONS.get(decision.reason or "", "")
    if decision.outcome == "waiting":
        return Status("Waiting", "wait", sentence or "Stripe has not told everything yet.")
    return Status("No reward", "off", sentence)


def outcome_status(outcome: str) -> Status:
    """The same for an outcome from an explanation."""
    return {
        "rewarded": Status("Rewarded", "good", ""),
        "waiting": Status("Waiting", "wait", ""),
    }.get(outcome, Status("No reward", "off", ""))


def event_status(event: EventRow) -> Status:
    """What became of an event and what happens next."""
    match event.state:
        case "done":
            return Status("Done", "good", "in the books")
        case "pending":
            if event.attempts:
                again = f"again {moment_text(event.due_at)}" if event.due_at else "again at once"
                return Status("Waiting", "wait", f"tried {event.attempts} times; {again}")
            return Status("Waiting", "wait", "processed in a moment")
        case "parked":
            return Status("Parked", "bad", "waits until you replay it")
        case "quarantined":
            return Status("Quarantined", "bad", "not trusted, so not used")
        case "ignored":
            return Status("Ignored", "off", "RefRef does not need this type")


def referral_status(status: str) -> Status:
    """What a bond's status is called."""
    return {
        "active": Status("Active", "good", "payments earn while the terms allow"),
        "flagged": Status("Flagged", "wait", "a check found something; the terms say what it does"),
    }.get(status, Status("Undone", "off", "earns nothing from now on"))


def participant_status(status: str) -> Status:
    """What a participant's status is called."""
    if status == "active":
        return Status("Active", "good", "")
    return Status("Paused", "off", "until you resume")


def terms_source(source: str) -> str:
    """What a backtest tried: draft, `version 3` or given."""
    return {"draft": "The draft", "given": "Given terms"}.get(source) or source.capitalize()


def backtest_status(status: str) -> Status:
    """How far a backtest is."""
    return {
        "waiting": Status("Waiting", "wait", "until the worker takes it"),
        "running": Status("Running", "info", ""),
        "done": Status("Done", "good", ""),
        "failed": Status("Failed", "bad", "start it again"),
    }.get(status) or Status("Cancelled", "off", "")
