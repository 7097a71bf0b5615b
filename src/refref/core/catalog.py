"""The catalogue: what a Stripe account sells and the reductions it gives, in our own shape. No book depends on it.

`seen_at`: the instant, in seconds, of the event or reading that told it. Amounts in minor units of `currency`.
"""

from __future__ import annotations

import msgspec


class Product(msgspec.Struct, frozen=True, gc=False):
    product_id: str
    name: str
    seen_at: int
    description: str = ""
    image_url: str = ""
    is_active: bool = True
    is_deleted: bool = False


class Price(msgspec.Struct, frozen=True, gc=False):
    """A price. `unit_amount_minor` None: tiers, or the buyer's choice; `unit_amount_decimal` is exact, where a unit
    costs parts of a minor unit. `interval` day, week, month, year; "" for a one-off."""

    price_id: str
    product_id: str
    currency: str
    seen_at: int
    unit_amount_minor: int | None = None
    unit_amount_decimal: str = ""
    billing_scheme: str = "per_unit"
    interval: str = ""
    interval_count: int = 1
    nickname: str = ""
    lookup_key: str = ""
    is_active: bool = True
    is_deleted: bool = False


class Coupon(msgspec.Struct, frozen=True, gc=False):
    """A coupon: `percent_off_bps`, or `amount_off_minor` of `currency`. `duration`: once, repeating, forever."""

    coupon_id: str
    name: str
    seen_at: int
    percent_off_bps: int | None = None
    amount_off_minor: int | None = None
    currency: str = ""
    duration: str = "once"
    duration_in_months: int | None = None
    is_active: bool = True
    is_deleted: bool = False


class PromotionCode(msgspec.Struct, frozen=True, gc=False):
    promotion_code_id: str
    code: str
    coupon_id: str
    seen_at: int
    is_active: bool = True
    is_deleted: bool = False


CatalogItem = Product | Price | Coupon | PromotionCode
