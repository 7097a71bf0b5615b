"""What the API answers with. Amounts are always pairs of whole minor units and currency; instants are ISO 8601, UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from refref.db.reports import Balance as BalanceRow
from refref.db.reports import DecisionRow, LedgerEntryRow, RewardRow

TERMS_SCHEMA: JsonDict = {"x-schema": "Terms"}  # api.schema puts the reference there


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Amount(Out):
    amount_minor: int
    currency: str = Field(examples=["usd"])


class OrganizationOut(Out):
    organization_id: str
    name: str
    created_at: datetime
    role: str = Field(description="The role of the key that asks.")


class ApiKeyOut(Out):
    api_key_id: str
    prefix: str
    name: str
    role: str
    created_at: datetime
    revoked_at: datetime | None


class CreatedApiKeyOut(ApiKeyOut):
    secret: str = Field(description="The key itself. It is shown once and stored nowhere.")


class SecretOut(Out):
    secret_id: str
    kind: Literal["webhook", "api_key"]
    hint: str = Field(description="The last four characters.")
    created_at: datetime
    expires_at: datetime | None


class ConnectionOut(Out):
    connection_id: str
    name: str
    mode: Literal["test", "live"]
    stripe_account_id: str | None
    api_base: str | None
    clock_ahead_s: int
    status: Literal["active", "degraded", "disabled"]
    access: Literal["key", "platform"] = Field(description="With a key of its own, or by OAuth.")
    oauth_scope: Literal["read_only", "read_write"] | None
    webhook_url: str
    created_at: datetime


class ConnectionDetailOut(ConnectionOut):
    secrets: list[SecretOut]


class CreatedConnectionOut(ConnectionOut):
    warnings: list[str]


class TermsVersionOut(Out):
    version: int
    effective_at: datetime
    created_at: datetime
    terms: dict[str, Any] = Field(json_schema_extra=TERMS_SCHEMA)


class FaultOut(Out):
    field: str = Field(examples=["terms.rules.0.rate_bps"])
    detail: str = Field(description="What is wrong and the remedy.")


class DraftOut(Out):
    program_id: str
    terms: dict[str, Any] = Field(json_schema_extra=TERMS_SCHEMA)
    based_on_version: int = Field(description="The newest version that the draft knows of; 0: there was none.")
    newest_version: int = Field(description="Where it is newer, publishing the draft is refused.")
    revision: int = Field(description="Counts the saves.")
    edited_by: str
    edited_at: datetime
    faults: list[FaultOut]
    sentences: list[str] = Field(description="The draft in plain words.")
    differences: list[str] = Field(description="What publishing it would change.")


class ProgramOut(Out):
    program_id: str
    connection_id: str
    name: str
    status: Literal["active", "paused", "archived"]
    created_at: datetime
    eligibility_text: str
    terms_text: str


class ProgramDetailOut(ProgramOut):
    terms: TermsVersionOut | None = Field(description="The newest version; null while there is only a draft.")
    has_draft: bool


class StatusChangeOut(Out):
    at: datetime
    status: Literal["active", "paused", "archived"]


class TemplateOut(Out):
    template_id: str
    name: str
    for_whom: str
    participant_kind: Literal["referrer", "affiliate"]
    terms: dict[str, Any] = Field(json_schema_extra=TERMS_SCHEMA)
    sentences: list[str]


class ProfileOut(Out):
    """What the merchant says of a participant, from an instant on."""

    since_at: datetime
    groups: list[str]
    country: str
    metadata: dict[str, str]


class CodeOut(Out):
    code: str
    code_kind: Literal["refcode", "promotion_code"]
    shown_as: str
    created_at: datetime
    deactivated_at: datetime | None


class BalanceOut(Out):
    """What the ledger holds for a participant in one currency; only `payable` may be negative."""

    currency: str
    pending: Amount
    payable: Amount
    held: Amount
    in_transit: Amount
    paid: Amount


class ParticipantOut(Out):
    participant_id: str
    program_id: str
    program_name: str
    kind: Literal["referrer", "affiliate"]
    name: str
    email: str
    status: Literal["active", "paused"]
    created_at: datetime
    codes: list[str]
    referral_count: int
    balances: list[BalanceOut]


class ParticipantBalancesOut(Out):
    participant_id: str
    name: str
    balances: list[BalanceOut]


class CustomerOut(Out):
    stripe_customer_id: str
    email: str | None
    name: str | None
    created_at: datetime | None
    is_deleted: bool
    participant_id: str | None
    participant_name: str | None
    paid: list[Amount]
    payment_count: int


class ReferralOut(Out):
    referral_id: str
    program_id: str
    program_name: str
    referee_id: str
    referee_email: str | None
    participant_id: str
    participant_name: str
    carrier_kind: str
    carrier_value: str
    campaign: str
    status: Literal["active", "flagged", "undone"]
    bound_at: datetime
    flags: list[str] = Field(description="Checks against fraud that found something.", examples=[["self_domain"]])
    verdict: Literal["approved", "rejected"] | None = Field(description="What a person decided on the referral.")


class EventOut(Out):
    stripe_event_id: str
    type: str
    object_id: str
    state: Literal["pending", "parked", "done", "ignored", "quarantined"]
    source: str
    api_version: str | None
    created_at: datetime
    received_at: datetime
    attempts: int
    due_at: datetime | None
    error_code: str | None
    error: str | None


class EventDetailOut(EventOut):
    body: Any = Field(description="The event as Stripe sent it.")


class ReplayedOut(Out):
    replayed: int


class RewardOut(Out):
    reward_id: str
    program_id: str
    program_name: str
    participant_id: str
    participant_name: str
    beneficiary_id: str = Field(description="Who gets it: the participant, or the customer.")
    payment_key: str
    rule_id: str
    referee_id: str
    terms_version: int
    kind: Literal["commission", "credit", "discount", "feature"]
    status: Literal["pending", "payable", "held", "reversed", "expired", "paid"]
    amount: Amount
    reversed: Amount
    net: Amount
    paid: Amount
    occurred_at: datetime
    hold_until: datetime
    expires_at: datetime | None
    holds: list[Literal["awaiting_approval", "fraud_hold"]] = Field(
        description="Why it waits for a person; empty where it is held by a dispute alone."
    )
    flags: list[str] = Field(description="Checks against fraud that found something.")
    created_at: datetime


class PostingOut(Out):
    """One posting of one ledger entry: a positive amount moved from a source to a destination."""

    entry_id: str
    kind: str
    reason: str
    posted_at: datetime
    amount: Amount
    source_account: str
    source_owner: str
    destination_account: str
    destination_owner: str


class RewardDetailOut(RewardOut):
    entries: list[PostingOut]


class EarnedOut(Out):
    """The commissions and credits of one conversion in one currency, and what was taken back of them."""

    earned: Amount
    reversed: Amount


class DecisionOut(Out):
    payment_key: str
    program_id: str | None
    program_name: str | None
    referee_id: str
    referee_email: str | None
    participant_id: str | None
    participant_name: str | None
    outcome: Literal["rewarded", "refused", "waiting"]
    reason: str | None
    occurred_at: datetime
    paid: Amount
    base: Amount
    refunded: Amount
    earned: Amount = Field(description="In the payment's own currency.")
    reversed: Amount = Field(description="What was taken back of `earned`.")
    rewards: list[EarnedOut] = Field(
        description="All that it earned, by currency: a program may pay in another one than the payment's."
    )
    grants: list[Literal["discount", "feature"]] = Field(description="Rewards that have no amount and stand.")


class StripeEventsOut(Out):
    data: list[str]


class AuditEntryOut(Out):
    audit_id: str
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]


def amount(amount_minor: int, currency: str) -> Amount:
    """The pair."""
    return Amount(amount_minor=amount_minor, currency=currency)


def amounts_of(row: object, currency: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Pairs of the row's `<name>_minor` fields."""
    return {name: amount(getattr(row, f"{name}_minor"), currency) for name in names}


def _same(row: object, model: type[BaseModel], *others: str) -> dict[str, Any]:
    """The fields that row and model have in common: all but the `others`."""
    return {name: getattr(row, name) for name in model.model_fields.keys() - set(others)}


def present_balance(row: BalanceRow) -> BalanceOut:
    names = ("pending", "payable", "held", "in_transit", "paid")
    return BalanceOut(currency=row.currency, **amounts_of(row, row.currency, names))


def present_reward(row: RewardRow) -> RewardOut:
    return RewardOut(
        **amounts_of(row, row.currency, ("amount", "reversed", "net", "paid")),
        **_same(row, RewardOut, "amount", "reversed", "net", "paid"),
    )


def present_posting(row: LedgerEntryRow) -> PostingOut:
    return PostingOut(**amounts_of(row, row.currency, ("amount",)), **_same(row, PostingOut, "amount"))


def present_decision(row: DecisionRow) -> DecisionOut:
    own = row.earned_in(row.currency)
    names = ("paid", "base", "refunded")
    return DecisionOut(
        program_id=row.program_id or None,
        **amounts_of(row, row.currency, names),
        **amounts_of(own, row.currency, ("earned", "reversed")),
        rewards=[EarnedOut(**amounts_of(one, one.currency, ("earned", "reversed"))) for one in row.earned],
        **_same(row, DecisionOut, "program_id", *names, "earned", "reversed", "rewards"),
    )
