"""/v1/referrals/by_hand and /v1/referrals/undo: binding customers by hand, its money beforehand, and taking it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.bonds_file import Bond, read_bonds
from refref.core.money_preview import MoneyPreview
from refref.core.refusals import Refused
from refref.core.words import iso
from refref.db.pool import Connection
from refref.flows.bind_by_hand import bind_customers, preview_binding, preview_undoing, undo_binding
from refref.web.api.call import Reading, Writing
from refref.web.api.models import Amount, amount
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["books"], generate_unique_id_function=operation_id)

Customer = Annotated[str, Field(min_length=1, max_length=254, description="A Stripe customer id or an e-mail address.")]
Code = Annotated[str, Field(min_length=1, max_length=64, description="A refcode, promotion code id or participant id.")]
Reason = Annotated[str, Field(max_length=500, description="Why; it stays in the audit log.")]


class BondIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    customer: Customer
    code: Code
    clicked_at: AwareDatetime | None = Field(default=None, description="Payments since then are covered.")


class BondsIn(BaseModel):
    """Either `referrals` or `csv` with the heading customer,code,clicked_at."""

    model_config = ConfigDict(extra="forbid")

    connection_id: str | None = None
    referrals: list[BondIn] = Field(default_factory=list, max_length=1000)
    csv: str = Field(default="", max_length=900_000)

    def bonds(self) -> tuple[Bond, ...]:
        """What was given. Raises Refused("invalid_bonds")."""
        if bool(self.csv) == bool(self.referrals):
            raise Refused("invalid_bonds", "Give either referrals or csv.", "referrals")
        if self.csv:
            return read_bonds(self.csv.encode())
        return tuple(
            Bond(row.customer, row.code, int(row.clicked_at.timestamp()) if row.clicked_at else None, number)
            for number, row in enumerate(self.referrals, 1)
        )

    @contextmanager
    def named_field(self) -> Iterator[None]:
        """Let a refusal of what was given name the field of this body instead of the file that a page takes."""
        try:
            yield
        except Refused as refused:
            if refused.field != "file":
                raise
            raise Refused(refused.code, refused.sentence, "csv" if self.csv else "referrals") from refused


class BoundBondsIn(BondsIn):
    reason: Reason


class UndoingIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    connection_id: str | None = None
    customer: Customer
    code: Code


class UndoneIn(UndoingIn):
    reason: Reason


class BoundOut(BaseModel):
    bound: int


class UndoneOut(BaseModel):
    undone: bool


class MoneyChangeOut(BaseModel):
    payment_key: str
    occurred_at: str
    referee_id: str
    program_id: str
    beneficiary_id: str
    before: Amount
    after: Amount


class MoneyTotalOut(BaseModel):
    beneficiary_id: str
    difference: Amount
    payment_count: int


class StillNothingOut(BaseModel):
    payment_key: str
    occurred_at: str
    program_id: str
    reason: str


class MoneyPreviewOut(BaseModel):
    """`others_concerned`: tiers, caps or budgets reach other customers' payments, which are not in here.
    `without_terms`: names of programs that earn nothing until their terms are published."""

    changes: list[MoneyChangeOut]
    totals: list[MoneyTotalOut]
    still_nothing: list[StillNothingOut]
    others_concerned: bool
    without_terms: list[str]


@router.post("/referrals/by_hand", response_model=BoundOut)
async def bind_by_hand(call: Writing, body: BoundBondsIn) -> Response:
    """Bind customers by hand, before all other evidence: all of them, or none where one line is at fault."""

    async def run(tx: Connection) -> BoundOut:
        own = await call.books(tx, body.connection_id)
        told = {"reason": body.reason, "actor": call.actor}
        with body.named_field():
            count = await bind_customers(tx, *own, body.bonds(), **told, now=int(call.now.timestamp()))
        return BoundOut(bound=count)

    return await call.write(200, run)


@router.post("/referrals/by_hand/preview")
async def preview_bind_by_hand(call: Reading, body: BondsIn) -> MoneyPreviewOut:
    """What binding these customers would do to rewards; nothing is written."""
    async with call.transaction() as tx:
        own = await call.books(tx, body.connection_id)
        with body.named_field():
            found = await preview_binding(tx, *own, body.bonds(), now=int(call.now.timestamp()))
    return present_preview(found)


@router.post("/referrals/undo", response_model=UndoneOut)
async def undo_by_hand(call: Writing, body: UndoneIn) -> Response:
    """Take back what was told of a customer with this code; what Stripe told counts again."""

    async def run(tx: Connection) -> UndoneOut:
        own = await call.books(tx, body.connection_id)
        await undo_binding(
            tx,
            *own,
            customer=body.customer,
            code=body.code,
            reason=body.reason,
            actor=call.actor,
            now=int(call.now.timestamp()),
        )
        return UndoneOut(undone=True)

    return await call.write(200, run)


@router.post("/referrals/undo/preview")
async def preview_undo_by_hand(call: Reading, body: UndoingIn) -> MoneyPreviewOut:
    """What taking it back would do to rewards; nothing is written."""
    async with call.transaction() as tx:
        own = await call.books(tx, body.connection_id)
        found = await preview_undoing(
            tx,
            *own,
            customer=body.customer,
            code=body.code,
            now=int(call.now.timestamp()),
        )
    return present_preview(found)


def present_preview(found: MoneyPreview) -> MoneyPreviewOut:
    """A preview as the API tells it."""
    return MoneyPreviewOut(
        changes=[
            MoneyChangeOut(
                payment_key=row.payment_key,
                occurred_at=iso(row.occurred_at),
                referee_id=row.referee_id,
                program_id=row.program_id,
                beneficiary_id=row.beneficiary_id,
                before=amount(row.before_minor, row.currency),
                after=amount(row.after_minor, row.currency),
            )
            for row in found.changes
        ],
        totals=[
            MoneyTotalOut(
                beneficiary_id=row.beneficiary_id,
                difference=amount(row.difference_minor, row.currency),
                payment_count=row.payment_count,
            )
            for row in found.totals
        ],
        still_nothing=[
            StillNothingOut(
                payment_key=row.payment_key,
                occurred_at=iso(row.occurred_at),
                program_id=row.program_id,
                reason=row.reason,
            )
            for row in found.still_nothing
        ],
        others_concerned=found.others_concerned,
        without_terms=list(found.without_terms),
    )
