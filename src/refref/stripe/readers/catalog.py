"""Products, prices, coupons and promotion codes in every shape, from events and from lists. Amounts in minor units."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType

from refref.core.catalog import CatalogItem, Coupon, Price, Product, PromotionCode
from refref.stripe.readers.probe import (
    Payload,
    flag,
    id_or_none,
    identifier,
    label,
    refuse,
    section,
    text,
    text_or_none,
    whole_or_none,
)
from refref.stripe.readers.scene import ObjectReader, Scene
from refref.stripe.reading import UnreadableEvent

_INTERVALS = ("day", "week", "month", "year")


def read_product(product: Payload, seen_at: int, is_deleted: bool) -> Product:
    """A product with its first image."""
    images = product.get("images")
    first = images[0] if type(images) is list and images else None
    return Product(
        identifier(product),
        label(product, "name") or "",
        seen_at,
        description=label(product, "description") or "",
        image_url=label({"image": first}, "image") or "",
        is_active=flag(product, "active"),
        is_deleted=is_deleted,
    )


def read_price(price: Payload, seen_at: int, is_deleted: bool) -> Price:
    """A price; an interval that is none of Stripe's four is refused."""
    recurring = section(price, "recurring")
    interval = text_or_none(recurring, "interval") or ""
    if interval and interval not in _INTERVALS:
        refuse("wrong_type", price, "recurring", "day, week, month or year")
    count = whole_or_none(recurring, "interval_count")
    return Price(
        identifier(price),
        id_or_none(price, "product") or "",
        text(price, "currency").lower(),
        seen_at,
        unit_amount_minor=whole_or_none(price, "unit_amount"),
        unit_amount_decimal=text_or_none(price, "unit_amount_decimal") or "",
        billing_scheme=text_or_none(price, "billing_scheme") or "per_unit",
        interval=interval,
        interval_count=1 if count is None else count,
        nickname=label(price, "nickname") or "",
        lookup_key=label(price, "lookup_key") or "",
        is_active=flag(price, "active"),
        is_deleted=is_deleted,
    )


def read_coupon(coupon: Payload, seen_at: int, is_deleted: bool) -> Coupon:
    """A coupon; `valid` false (redeemed too often, or too late) is not active."""
    return Coupon(
        identifier(coupon),
        label(coupon, "name") or "",
        seen_at,
        percent_off_bps=_percent_off_bps(coupon),
        amount_off_minor=whole_or_none(coupon, "amount_off"),
        currency=(text_or_none(coupon, "currency") or "").lower(),
        duration=text_or_none(coupon, "duration") or "once",
        duration_in_months=whole_or_none(coupon, "duration_in_months"),
        is_active=flag(coupon, "valid"),
        is_deleted=is_deleted,
    )


def read_promotion_code(code: Payload, seen_at: int, is_deleted: bool) -> PromotionCode:
    """A promotion code; its coupon stands in `promotion` since clover, in `coupon` before."""
    return PromotionCode(
        identifier(code),
        label(code, "code") or "",
        id_or_none(section(code, "promotion"), "coupon") or id_or_none(code, "coupon") or "",
        seen_at,
        is_active=flag(code, "active"),
        is_deleted=is_deleted,
    )


def _percent_off_bps(coupon: Payload) -> int | None:
    """Stripe writes the percentage as a JSON number with at most two decimals; its shortest form is what it wrote."""
    percent = coupon.get("percent_off")
    if percent is None:
        return None
    if type(percent) not in (int, float) or not math.isfinite(percent) or not 0 <= percent <= 100:
        refuse("wrong_type", coupon, "percent_off", "a number from 0 to 100 or null")
    return int((Decimal(repr(percent)) * 100).quantize(Decimal(1), ROUND_HALF_UP))


_READERS: Mapping[str, Callable[[Payload, int, bool], CatalogItem]] = MappingProxyType(
    {"product": read_product, "price": read_price, "coupon": read_coupon, "promotion_code": read_promotion_code}
)


def read_listed(row: object, name: str, seen_at: int) -> CatalogItem:
    """One object of a list of Stripe's API; `name` as Stripe calls it. Raises UnreadableEvent."""
    if not isinstance(row, dict) or row.get("object") != name:
        raise UnreadableEvent("wrong_document", f"What was listed is not a {name}.")
    return _READERS[name](row, seen_at, False)


def _of_event(name: str) -> ObjectReader:
    def read(payload: Payload, scene: Scene) -> None:
        is_deleted = scene.event_type == f"{name}.deleted" or payload.get("deleted") is True
        scene.add_item(_READERS[name](payload, scene.seen_at, is_deleted))

    return read


CATALOG_READERS: Mapping[str, ObjectReader] = MappingProxyType({name: _of_event(name) for name in _READERS})
