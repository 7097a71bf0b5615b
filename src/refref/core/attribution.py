"""Who referred a referee, and how we know: carriers, resolved to participants, bound once per program.

The carriers of one sale stand together, and with those of the first sale what was known of the customer by then; the
earliest group that names somebody binds, and inside a group the fixed order of `facts.PRECEDENCE` decides (a promotion
code beats a click). Later carriers are kept as evidence, unused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from refref.core.facts import PRECEDENCE, Carrier, CarrierKind, Fact, Kind
from refref.core.periods import DAY_S
from refref.core.sales import Sale, SaleStatus, is_customer_id
from refref.core.told_carriers import code_key as code_key
from refref.core.told_carriers import present_carriers

GRACE_S = DAY_S  # a carrier without a click instant covers payments up to a day before it was seen
_RANK = {kind: rank for rank, kind in enumerate(PRECEDENCE)}


class CodeOwner(msgspec.Struct, frozen=True, gc=False):
    """Whose code it is. `deactivated_at`: from then on it binds nobody new."""

    participant_id: str
    program_id: str
    deactivated_at: int | None = None


class Evidence(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One carrier and what became of it. `verdict`: used, lower, later, unknown_code, inactive_code, other_program,
    undone."""

    kind: CarrierKind
    value: str
    stripe_id: str
    seen_at: int
    verdict: str
    participant_id: str = ""
    campaign: str = ""
    clicked_at: int | None = None


class Binding(msgspec.Struct, frozen=True, gc=False):
    """The bond of a referee to a participant: by which carrier, since when, and from when payments are covered.

    `sale_key`: the sale that brought the carrier, which is covered whenever it was paid; "" for a carrier without one.
    """

    program_id: str
    participant_id: str
    carrier: Carrier
    bound_at: int
    covers_from: int
    sale_key: str
    evidence: tuple[Evidence, ...]


class Found(msgspec.Struct, frozen=True, gc=False):
    """A carrier with the object it stands on and the group of carriers that it belongs to.

    `sale_key` is the sale that brought it, "" for what is known of the customer alone; `is_undone`: a person told it
    and took it back.
    """

    carrier: Carrier
    stripe_id: str
    group: str  # a sale's key, else the object's id
    sale_key: str
    is_undone: bool = False


def carriers_by_referee(facts: Sequence[Fact], sales: Sequence[Sale]) -> dict[str, list[Found]]:
    """Every carrier of a scope, by the referee it speaks of. A carrier on a sale speaks of that sale's referee."""
    sale_by_id = {stripe_id: sale for sale in sales for stripe_id in sale.ids}
    found: dict[str, list[Found]] = {}
    for fact in facts:
        if not fact.carriers:
            continue
        sale = sale_by_id.get(fact.stripe_id) or _sale_of_links(fact, sale_by_id, sales)
        referee = _referee(fact, sale)
        own = found.setdefault(referee, [])
        present = present_carriers(fact)
        if sale is not None and fact.kind is not Kind.SUBSCRIPTION:
            own.extend([Found(p.carrier, fact.stripe_id, sale.key, sale.key, p.is_undone) for p in present])
            continue
        # A subscription and a customer live on: what is put on them after their first sale does not belong to it.
        first = sale or _first_sale(referee, sales)
        for carrier, is_undone in [(p.carrier, p.is_undone) for p in present]:
            if first is not None and carrier.seen_at <= first.paid_at + GRACE_S:
                own.append(Found(carrier, fact.stripe_id, first.key, "" if sale is None else sale.key, is_undone))
            else:
                own.append(Found(carrier, fact.stripe_id, fact.stripe_id, "", is_undone))
    return found


def _first_sale(referee: str, sales: Sequence[Sale]) -> Sale | None:
    for sale in sales:
        if sale.referee_id == referee and sale.status in (SaleStatus.PAID, SaleStatus.PENDING):
            return sale
    return None


def _sale_of_links(fact: Fact, sale_by_id: Mapping[str, Sale], sales: Sequence[Sale]) -> Sale | None:
    """The first sale of a subscription (or of the subscription that a session started)."""
    if fact.kind is Kind.CUSTOMER:
        return None
    if fact.kind is Kind.SUBSCRIPTION:
        return next((sale for sale in sales if sale.subscription_id == fact.stripe_id), None)
    for link in fact.links:
        sale = sale_by_id.get(link)
        if sale is None and link.startswith("sub_"):
            sale = next((sale for sale in sales if sale.subscription_id == link), None)
        if sale is not None:
            return sale
    return None


def _referee(fact: Fact, sale: Sale | None) -> str:
    if is_customer_id(fact.stripe_id):
        return fact.stripe_id
    if sale is not None:
        return sale.referee_id
    return min((link for link in fact.links if is_customer_id(link)), default=fact.stripe_id)


def unclaimed_codes(found: Mapping[str, Sequence[Found]], codes: Mapping[str, CodeOwner]) -> set[str]:
    """The look-up keys of carriers that name nobody we know."""
    keys = {code_key(item.carrier.kind, item.carrier.value) for items in found.values() for item in items}
    return keys - codes.keys()


def bind(
    found: Sequence[Found], codes: Mapping[str, CodeOwner], program_id: str
) -> tuple[Binding | None, tuple[Evidence, ...]]:
    """The binding of one referee in one program, and the evidence in the order in which it was weighed."""
    starts: dict[str, int] = {}
    for item in found:
        if not item.is_undone:  # as if it had never been told
            starts[item.group] = min(item.carrier.seen_at, starts.get(item.group, item.carrier.seen_at))
    ordered = sorted(found, key=lambda item: _weigh(item, starts.get(item.group, item.carrier.seen_at)))
    evidence: list[Evidence] = []
    chosen: Found | None = None
    for item in ordered:
        owner = codes.get(code_key(item.carrier.kind, item.carrier.value))
        verdict = _verdict(item, owner, program_id, chosen)
        if verdict == "used":
            chosen = item
        carrier = item.carrier
        evidence.append(
            Evidence(
                carrier.kind,
                carrier.value,
                item.stripe_id,
                carrier.seen_at,
                verdict,
                owner.participant_id if owner else "",
                carrier.campaign,
                carrier.clicked_at,
            )
        )
    weighed = tuple(evidence)
    if chosen is None:
        return None, weighed
    carrier = chosen.carrier
    bound_at = carrier.seen_at if carrier.clicked_at is None else min(carrier.clicked_at, carrier.seen_at)
    covers_from = bound_at if carrier.clicked_at is not None else bound_at - GRACE_S
    owner = codes[code_key(carrier.kind, carrier.value)]
    return (
        Binding(program_id, owner.participant_id, carrier, bound_at, covers_from, chosen.sale_key, weighed),
        weighed,
    )


def _weigh(item: Found, group_start: int) -> tuple[bool, bool, int, str, int, int, str, str]:
    # What somebody bound by hand comes before everything that Stripe tells.
    carrier = item.carrier
    by_hand = carrier.kind is CarrierKind.MANUAL
    return (
        item.is_undone,
        not by_hand,
        group_start,
        item.group,
        _RANK[carrier.kind],
        carrier.seen_at,
        carrier.value,
        item.stripe_id,
    )


def _verdict(item: Found, owner: CodeOwner | None, program_id: str, chosen: Found | None) -> str:
    if item.is_undone:
        return "undone"
    if owner is None:
        return "unknown_code"
    if owner.program_id != program_id:
        return "other_program"
    if owner.deactivated_at is not None and item.carrier.seen_at >= owner.deactivated_at:
        return "inactive_code"
    if chosen is None:
        return "used"
    return "lower" if chosen.group == item.group else "later"
