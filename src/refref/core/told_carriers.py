"""Bonds that people told, took back and told again: marks on a customer's fact, which only ever grow in number.

`undone:<kind>/<code>/<seconds>` takes a told carrier back; `told:<kind>/<code>/<seconds>/<clicked>/<campaign>` tells it
anew. The latest instant decides, and of one second the undoing, so the order in which they are learnt cannot matter.
"""

from __future__ import annotations

import msgspec

from refref.core.facts import Carrier, CarrierKind, Fact

TOLD_KINDS = (CarrierKind.MANUAL, CarrierKind.SIGNUP)
_UNDONE, _TOLD = "undone:", "told:"
Mark = tuple[str, int]


class PresentCarrier(msgspec.Struct, frozen=True, gc=False):
    """A carrier as it stands now; `is_undone`: a person took it back and has not told it again."""

    carrier: Carrier
    is_undone: bool = False


def code_key(kind: CarrierKind, value: str) -> str:
    """How a carrier's value is looked up: promotion codes and our ids as they are, refcodes in lower case."""
    is_id = kind is CarrierKind.PROMOTION_CODE or value.startswith(("ptc_", "promo_"))
    return value if is_id else value.lower()


def undone_mark(kind: CarrierKind, code: str, at: int) -> Mark:
    """The mark that takes a told carrier back at an instant (seconds)."""
    return f"{_UNDONE}{kind.value}/{code_key(kind, code)}/{at}", at


def told_again_mark(carrier: Carrier) -> Mark:
    """The mark that tells a carrier anew that was taken back before; `seen_at` is the instant."""
    clicked = "" if carrier.clicked_at is None else str(carrier.clicked_at)
    code = code_key(carrier.kind, carrier.value)
    return f"{_TOLD}{carrier.kind.value}/{code}/{carrier.seen_at}/{clicked}/{carrier.campaign}", carrier.seen_at


def undone_at(fact: Fact, kind: CarrierKind, code: str) -> int | None:
    """When a told carrier was taken back last; None: never."""
    return _undone(fact, kind, code_key(kind, code))


def present_carriers(fact: Fact) -> tuple[PresentCarrier, ...]:
    """The fact's carriers, those that were told again as they were told last."""
    if not any(name.startswith(_UNDONE) for name, _ in fact.marks):
        return tuple([PresentCarrier(carrier) for carrier in fact.carriers])
    return tuple([_present(fact, carrier) for carrier in fact.carriers])


def _present(fact: Fact, carrier: Carrier) -> PresentCarrier:
    if carrier.kind not in TOLD_KINDS:
        return PresentCarrier(carrier)
    code = code_key(carrier.kind, carrier.value)
    undone = _undone(fact, carrier.kind, code)
    if undone is None:
        return PresentCarrier(carrier)
    tellings = [carrier, *_tellings(fact, carrier, code)]
    latest = max(tellings, key=lambda told: (told.seen_at, told.clicked_at or 0, told.campaign))
    return PresentCarrier(latest, is_undone=undone >= latest.seen_at)


def _undone(fact: Fact, kind: CarrierKind, code: str) -> int | None:
    before = f"{_UNDONE}{kind.value}/{code}/"
    return max((at for name, at in fact.marks if name.startswith(before)), default=None)


def _tellings(fact: Fact, carrier: Carrier, code: str) -> list[Carrier]:
    before = f"{_TOLD}{carrier.kind.value}/{code}/"
    found = []
    for name, at in fact.marks:
        if name.startswith(before):
            _, clicked, campaign = name.removeprefix(before).split("/", 2)
            found.append(Carrier(carrier.kind, carrier.value, at, campaign, int(clicked) if clicked else None))
    return found
