"""refref catalog list, sync, status: what a Stripe account sells, and reading it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import ACTOR, AsJson, ConnectionId, Installation, Organization, run, show, table

if TYPE_CHECKING:
    from refref.core.catalog import Coupon, Price, Product, PromotionCode
    from refref.db.catalog import CatalogSync, Found


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Products, prices, coupons and promotion codes of a connection.", no_args_is_help=True)
    group.command("list")(list_items)
    group.command("sync")(sync)
    group.command("status")(status)
    app.add_typer(group, name="catalog")


def list_items(
    search: Annotated[str, typer.Argument(help="A part of a name, code or id.")] = "",
    include_inactive: Annotated[bool, typer.Option("--all", help="Also what is sold no more or was deleted.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many of each kind at most.")] = 50,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """List products with their prices, coupons and promotion codes."""
    from refref.db.catalog import search_catalog

    async def work(here: Installation) -> Found:
        async with here.books(organization, connection) as (tx, own):
            return await search_catalog(tx, *own, search, limit=limit, include_inactive=include_inactive)

    found = run(work)
    lines: list[tuple[str, str, str, str]] = []
    for product in found.products:
        lines.append(("product", product.product_id, product.name, _state(product)))
        own = [price for price in found.prices if price.product_id == product.product_id]
        lines += [("price", price.price_id, price_words(price), _state(price)) for price in own]
    lines += [("coupon", c.coupon_id, f"{c.name or c.coupon_id}: {coupon_words(c)}", _state(c)) for c in found.coupons]
    lines += [("code", c.promotion_code_id, f"{c.code} of {c.coupon_id}", _state(c)) for c in found.promotion_codes]
    shown = {
        name: [_fields(item) for item in getattr(found, name)]
        for name in ("products", "prices", "coupons", "promotion_codes")
    }
    show(shown, table(lines) or "Nothing is known: refref catalog sync reads it.", as_json=as_json)


def sync(organization: Organization = None, connection: ConnectionId = None, as_json: AsJson = False) -> None:
    """Have the worker read the whole catalogue from Stripe, unless that is going on."""
    from refref.flows.catalog import start_sync

    async def work(here: Installation) -> CatalogSync:
        async with here.books(organization, connection) as (tx, own):
            return await start_sync(tx, *own, actor=ACTOR, now=here.now)

    begun = run(work)
    show(begun, _sync_words(begun), as_json=as_json)


def status(organization: Organization = None, connection: ConnectionId = None, as_json: AsJson = False) -> None:
    """Tell how far the newest reading of the catalogue is."""
    from refref.db.catalog_syncs import latest_sync

    async def work(here: Installation) -> CatalogSync | None:
        async with here.books(organization, connection) as (tx, own):
            return await latest_sync(tx, *own)

    found = run(work)
    show(found, _sync_words(found) if found else "It was never read: refref catalog sync.", as_json=as_json)


def price_words(price: Price) -> str:
    """What a price asks: `29.00 USD every month`."""
    from refref.core.money import format_amount

    if price.unit_amount_minor is not None:
        asked = format_amount(price.unit_amount_minor, price.currency)
    elif price.unit_amount_decimal:
        asked = f"{price.unit_amount_decimal} minor units of {price.currency.upper()}"
    else:
        asked = f"{'in tiers' if price.billing_scheme == 'tiered' else 'of choice'}, {price.currency.upper()}"
    if not price.interval:
        return f"{asked} once"
    every = price.interval if price.interval_count == 1 else f"{price.interval_count} {price.interval}s"
    return f"{asked} every {every}"


def coupon_words(coupon: Coupon) -> str:
    """What a coupon takes off: `20 % off, repeating`."""
    from refref.core.money import format_amount
    from refref.core.words import percent

    if coupon.percent_off_bps is not None:
        return f"{percent(coupon.percent_off_bps)} off, {coupon.duration}"
    return f"{format_amount(coupon.amount_off_minor or 0, coupon.currency or 'usd')} off, {coupon.duration}"


def _state(item: Product | Price | Coupon | PromotionCode) -> str:
    return "deleted" if item.is_deleted else "" if item.is_active else "inactive"


def _fields(item: Product | Price | Coupon | PromotionCode) -> dict[str, object]:
    return {name: getattr(item, name) for name in item.__struct_fields__}


def _sync_words(found: CatalogSync) -> str:
    if found.state == "running":
        words = f"Reading {found.part.replace('_', ' ')}: {found.read_count} read so far."
    else:
        words = f"{found.state.capitalize()}: {found.read_count} read, {found.deleted_count} no longer there."
    return words if found.error is None else f"{words} {found.error}"
