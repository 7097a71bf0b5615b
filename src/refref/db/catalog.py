"""The catalogue of a connection: products, prices, coupons, promotion codes, and full readings of it.

An older report changes nothing; what Stripe no longer has keeps its row, until it is made anew under the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from refref.core.catalog import CatalogItem, Coupon, Price, Product, PromotionCode
from refref.db.pool import Connection

Part = Literal["products", "prices", "coupons", "promotion_codes", ""]
# What is read, in order, with Stripe's name of one object.
PARTS: tuple[tuple[Part, str], ...] = (
    ("products", "product"),
    ("prices", "price"),
    ("coupons", "coupon"),
    ("promotion_codes", "promotion_code"),
)


@dataclass(frozen=True, slots=True)
class CatalogSync:
    """A full reading of the catalogue. `part` is being read, after `cursor_id`; instants are on the connection's
    clock. `error`: the failure that it waits on, or ended with."""

    sync_no: int
    state: Literal["running", "done", "failed"]
    part: Part
    cursor_id: str
    read_count: int
    deleted_count: int
    attempts: int
    error: str | None
    started_by: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search finds, by name; products come with those of their prices that match or all of them."""

    products: Sequence[Product]
    prices: Sequence[Price]
    coupons: Sequence[Coupon]
    promotion_codes: Sequence[PromotionCode]


# Table, and its columns as (column, type, field), the key's first; all have is_active, seen_at and deleted_at besides.
_TABLES: dict[type, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    Product: (
        "catalog_product",
        (
            ("stripe_product_id", "text", "product_id"),
            ("name", "text", "name"),
            ("description", "text", "description"),
            ("image_url", "text", "image_url"),
        ),
    ),
    Price: (
        "catalog_price",
        (
            ("stripe_price_id", "text", "price_id"),
            ("stripe_product_id", "text", "product_id"),
            ("nickname", "text", "nickname"),
            ("lookup_key", "text", "lookup_key"),
            ("currency", "text", "currency"),
            ("unit_amount_minor", "bigint", "unit_amount_minor"),
            ("unit_amount_decimal", "text", "unit_amount_decimal"),
            ("billing_scheme", "text", "billing_scheme"),
            ("billing_interval", "text", "interval"),
            ("interval_count", "integer", "interval_count"),
        ),
    ),
    Coupon: (
        "catalog_coupon",
        (
            ("stripe_coupon_id", "text", "coupon_id"),
            ("name", "text", "name"),
            ("percent_off_bps", "integer", "percent_off_bps"),
            ("amount_off_minor", "bigint", "amount_off_minor"),
            ("currency", "text", "currency"),
            ("duration", "text", "duration"),
            ("duration_in_months", "integer", "duration_in_months"),
        ),
    ),
    PromotionCode: (
        "catalog_promotion_code",
        (
            ("stripe_promotion_code_id", "text", "promotion_code_id"),
            ("code", "text", "code"),
            ("stripe_coupon_id", "text", "coupon_id"),
        ),
    ),
}
_SKEW_S = 300  # between our clock and Stripe's
_KINDS: dict[Part, type] = {
    "products": Product,
    "prices": Price,
    "coupons": Coupon,
    "promotion_codes": PromotionCode,
}


async def store_items(tx: Connection, organization_id: str, connection_id: str, items: Sequence[CatalogItem]) -> None:
    """Write what was told, one statement for each kind; of one thing the newest report.

    A deletion also counts against a reading of the same minutes, which our clock may have dated; it stays until a later
    report has the thing again.
    """
    for kind in _TABLES:
        newest: dict[object, CatalogItem] = {}
        for item in items:
            if isinstance(item, kind):
                key = getattr(item, _TABLES[kind][1][0][2])
                known = newest.get(key)
                if known is None or (item.seen_at, item.is_deleted) >= (known.seen_at, known.is_deleted):
                    newest[key] = item
        if newest:
            await _store(tx, organization_id, connection_id, kind, list(newest.values()))


async def _store(
    tx: Connection, organization_id: str, connection_id: str, kind: type, items: Sequence[CatalogItem]
) -> None:
    table, columns = _TABLES[kind]
    names = [column for column, _, _ in columns]
    types = [*(of_type for _, of_type, _ in columns), "boolean", "bigint", "boolean"]
    arrays = ", ".join(f"${place}::{of_type}[]" for place, of_type in enumerate(types, 3))
    changed = ", ".join(f"{name} = excluded.{name}" for name in (*names[1:], "is_active"))
    await tx.execute(
        f"""
        insert into {table} as t (organization_id, connection_id, {", ".join(names)}, is_active, seen_at, deleted_at)
        select $1, $2, {", ".join(f"i.{name}" for name in names)}, i.is_active, i.seen_at,
               case when i.is_deleted then to_timestamp(i.seen_at) end
        from unnest({arrays}) as i ({", ".join(names)}, is_active, seen_at, is_deleted)
        on conflict (organization_id, connection_id, {names[0]}) do update
        set {changed}, seen_at = greatest(t.seen_at, excluded.seen_at), deleted_at = excluded.deleted_at
        where case
          when excluded.deleted_at is not null then t.deleted_at is null and excluded.seen_at >= t.seen_at - {_SKEW_S}
          when t.deleted_at is not null
            then excluded.seen_at > t.seen_at and to_timestamp(excluded.seen_at) > t.deleted_at
          else excluded.seen_at >= t.seen_at end
        """,  # noqa: S608 - the names are those of the table above
        organization_id,
        connection_id,
        *[[getattr(item, field) for item in items] for _, _, field in columns],
        [item.is_active for item in items],
        [item.seen_at for item in items],
        [item.is_deleted for item in items],
    )


async def mark_missing(
    tx: Connection, organization_id: str, connection_id: str, part: Part, *, unseen_since: datetime
) -> int:
    """Note as deleted what a full reading that began at `unseen_since` did not find; returns how many."""
    table, _ = _TABLES[_KINDS[part]]
    tag = await tx.execute(
        f"""
        update {table} set deleted_at = $3
        where organization_id = $1 and connection_id = $2 and deleted_at is null
          and seen_at < floor(extract(epoch from $3::timestamptz))
        """,  # noqa: S608 - the name is that of the table above
        organization_id,
        connection_id,
        unseen_since,
    )
    return int(tag.rsplit(" ", 1)[-1])


async def search_catalog(
    tx: Connection, organization_id: str, connection_id: str, search: str, *, limit: int, include_inactive: bool = False
) -> Found:
    """What can be chosen whose name, code or id holds `search` (any case), in order of name; at most `limit` of a kind.

    `include_inactive`: also what is sold no more or is deleted, for showing what terms name.
    """
    args = (organization_id, connection_id, f"%{_escaped(search)}%", include_inactive, limit)
    shown = "organization_id = $1 and connection_id = $2 and ($4 or (is_active and deleted_at is null))"
    products = await tx.fetch(
        f"""
        select {_columns(Product)} from catalog_product p
        where {shown} and (name ilike $3 or stripe_product_id ilike $3 or exists (
          select from catalog_price c where c.organization_id = $1 and c.connection_id = $2
            and c.stripe_product_id = p.stripe_product_id
            and (c.nickname ilike $3 or c.stripe_price_id ilike $3 or c.lookup_key ilike $3)))
        order by name, stripe_product_id limit $5
        """,  # noqa: S608 - the columns and the filter are constants
        *args,
    )
    found = [Product(**row) for row in products]
    prices = await tx.fetch(
        f"""
        select {_columns(Price)} from catalog_price
        where {shown.replace("$4", "$3")} and stripe_product_id = any ($4)
        order by stripe_product_id, currency, unit_amount_minor, stripe_price_id
        """,  # noqa: S608 - the columns and the filter are constants
        organization_id,
        connection_id,
        include_inactive,
        [product.product_id for product in found],
    )
    coupons = await tx.fetch(
        f"select {_columns(Coupon)} from catalog_coupon where {shown} and (name ilike $3 or stripe_coupon_id ilike $3)"  # noqa: S608 - the columns and the filter are constants
        " order by name, stripe_coupon_id limit $5",
        *args,
    )
    codes = await tx.fetch(
        f"select {_columns(PromotionCode)} from catalog_promotion_code"  # noqa: S608 - the columns and the filter are constants
        f" where {shown} and (code ilike $3 or stripe_promotion_code_id ilike $3 or stripe_coupon_id ilike $3)"
        " order by code, stripe_promotion_code_id limit $5",
        *args,
    )
    return Found(
        found,
        [Price(**row) for row in prices],
        [Coupon(**row) for row in coupons],
        [PromotionCode(**row) for row in codes],
    )


async def names_of_items(
    tx: Connection, organization_id: str, connection_id: str, ids: Sequence[str]
) -> dict[str, str]:
    """Names for people of products, prices, coupons and promotion codes by their ids, deleted ones too; unknown ids are
    left out."""
    rows = await tx.fetch(
        """
        select stripe_product_id, name from catalog_product
        where organization_id = $1 and connection_id = $2 and stripe_product_id = any ($3)
        union all
        select c.stripe_price_id, coalesce(nullif(c.nickname, ''), nullif(p.name, ''), c.stripe_price_id)
        from catalog_price c left join catalog_product p on p.organization_id = $1 and p.connection_id = $2
          and p.stripe_product_id = c.stripe_product_id
        where c.organization_id = $1 and c.connection_id = $2 and c.stripe_price_id = any ($3)
        union all
        select stripe_coupon_id, coalesce(nullif(name, ''), stripe_coupon_id) from catalog_coupon
        where organization_id = $1 and connection_id = $2 and stripe_coupon_id = any ($3)
        union all
        select stripe_promotion_code_id, code from catalog_promotion_code
        where organization_id = $1 and connection_id = $2 and stripe_promotion_code_id = any ($3)
        """,
        organization_id,
        connection_id,
        list(ids),
    )
    return {row[0]: row[1] for row in rows if row[1]}


def _columns(kind: type) -> str:
    _, columns = _TABLES[kind]
    own = [f"{column} as {field}" for column, _, field in columns]
    return ", ".join((*own, "is_active", "seen_at", "deleted_at is not null as is_deleted"))


def _escaped(search: str) -> str:
    return search.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
