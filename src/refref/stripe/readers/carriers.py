"""Where a referral identifier may travel through Stripe: metadata, client_reference_id, promotion codes. Finds, never
judges: whether a value is one of ours is for attribution to say."""

from __future__ import annotations

from refref.core.facts import Carrier, CarrierKind
from refref.stripe.readers.probe import Payload, id_or_none, rows, section, whole_or_none
from refref.stripe.reading import UnreadableEvent

REFERRAL_KEY = "refref_referral_id"
CAMPAIGN_KEY = "refref_campaign"


def stripped(value: object, key: str) -> str:
    """The value without surrounding whitespace; "" for null and for what no column could hold."""
    if value is None:
        return ""
    if type(value) is not str:
        raise UnreadableEvent("wrong_type", f"`{key[:40]}` must be a text or null.")
    value = value.strip()
    # Not storable as text, so not an identifier that we or the merchant's application ever made.
    return "" if "\x00" in value or any("\ud800" <= sign <= "\udfff" for sign in value) else value


def metadata_carriers(payload: Payload, kind: CarrierKind, seen_at: int) -> tuple[Carrier, ...]:
    """The carrier in an object's metadata, if there is one."""
    metadata = payload.get("metadata")
    if not metadata:
        return ()
    metadata = section(payload, "metadata")
    value = stripped(metadata.get(REFERRAL_KEY), REFERRAL_KEY)
    if not value:
        return ()
    return (Carrier(kind, value, seen_at, stripped(metadata.get(CAMPAIGN_KEY), CAMPAIGN_KEY)),)


def session_reference(session: Payload, seen_at: int) -> tuple[Carrier, ...]:
    """The session's client_reference_id, with the campaign of the same session's metadata."""
    value = stripped(session.get("client_reference_id"), "client_reference_id")
    if not value:
        return ()
    campaign = stripped(section(session, "metadata").get(CAMPAIGN_KEY), CAMPAIGN_KEY)
    return (Carrier(CarrierKind.CLIENT_REFERENCE, value, seen_at, campaign),)


def discount_starts(payload: Payload) -> dict[str, int]:
    """Since when each promotion code and coupon is on a customer or a subscription and its items, by id."""
    found: dict[str, int] = {}
    holders = [payload, *rows(section(payload, "items"), "data")]
    shown = [holder.get("discount") for holder in holders]
    for holder in holders:
        listed = holder.get("discounts")
        shown.extend(listed if isinstance(listed, list) else ())
    for discount in shown:
        start = whole_or_none(discount, "start") if type(discount) is dict else None
        if type(discount) is not dict or start is None:
            continue
        coupon = section(discount, "source").get("coupon") or discount.get("coupon")
        for named in (discount.get("promotion_code"), coupon):
            stripe_id = named.get("id") if type(named) is dict else named
            if type(stripe_id) is str:
                found[stripe_id] = min(start, found.get(stripe_id, start))
    return found


class Discounts:
    """The discounts named by one object: promotion codes and coupons found, and discounts given by id alone.

    `marks` holds `coupon:<id>` for each coupon.
    """

    __slots__ = ("_bare", "_known", "_seen_at", "carriers", "has_unnamed_coupon", "marks")

    def __init__(self, seen_at: int) -> None:
        self._seen_at = seen_at
        self._bare: set[str] = set()
        self._known: set[str] = set()
        self.carriers: tuple[Carrier, ...] = ()
        self.marks: tuple[tuple[str, int], ...] = ()
        self.has_unnamed_coupon = False

    def one(self, payload: Payload, key: str) -> None:
        """The discount under `key`: an id, an object, or nothing."""
        self._take(payload.get(key), payload, key)

    def many(self, payload: Payload, key: str) -> None:
        """The array of discounts under `key`, each an id or an object."""
        values = payload.get(key)
        if not values:
            return
        if type(values) is not list:
            raise UnreadableEvent("wrong_type", f"`{key}` must be an array or null.")
        for value in values:
            self._take(value, payload, key)

    def of_amounts(self, payload: Payload, key: str) -> None:
        """The discounts of an array of `{amount, discount}`."""
        if payload.get(key):
            for row in rows(payload, key):
                self._take(row.get("discount"), row, "discount")

    @property
    def is_incomplete(self) -> bool:
        """Whether some discount is known by its id alone, so that its promotion code must be fetched."""
        return bool(self._bare - self._known)

    def _take(self, value: object, payload: Payload, key: str) -> None:
        if value is None:
            return
        if type(value) is str:
            self._bare.add(value)
            return
        if type(value) is not dict:
            raise UnreadableEvent("wrong_type", f"`{key}` must hold discounts or their ids.")
        own = value.get("id")
        if type(own) is str:
            self._known.add(own)
        coupon = id_or_none(value, "coupon") or id_or_none(section(value, "source"), "coupon")
        if coupon is None:
            self.has_unnamed_coupon = True
        elif (mark := (f"coupon:{coupon}", self._seen_at)) not in self.marks:
            self.marks += (mark,)
        promotion_code = id_or_none(value, "promotion_code")
        if promotion_code is not None:
            carrier = Carrier(CarrierKind.PROMOTION_CODE, promotion_code, self._seen_at)
            if carrier not in self.carriers:
                self.carriers += (carrier,)
