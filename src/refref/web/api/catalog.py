"""/v1/catalog: what a Stripe account sells, for pickers, and reading it anew."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.catalog import Price
from refref.db import catalog, catalog_syncs
from refref.db.catalog import CatalogSync, Found
from refref.db.pool import Connection
from refref.flows.catalog import start_sync
from refref.web.api.call import Reading, Writing
from refref.web.api.models import Out
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["catalogue"], generate_unique_id_function=operation_id)

ConnectionId = Annotated[str | None, Query(description="Needed when there are several connections.")]


class PriceOut(Out):
    price_id: str
    product_id: str
    nickname: str
    lookup_key: str
    currency: str
    unit_amount_minor: int | None = Field(description="Null with tiers, or where the buyer chooses.")
    unit_amount_decimal: str = Field(description="Exact, where a unit costs parts of a minor unit.")
    billing_scheme: str
    interval: Literal["", "day", "week", "month", "year"] = Field(description="Empty for a one-off.")
    interval_count: int
    is_active: bool
    is_deleted: bool


class ProductOut(Out):
    product_id: str
    name: str
    description: str
    image_url: str
    is_active: bool
    is_deleted: bool
    prices: list[PriceOut]


class CouponOut(Out):
    coupon_id: str
    name: str
    percent_off_bps: int | None
    amount_off_minor: int | None
    currency: str
    duration: str
    duration_in_months: int | None
    is_active: bool
    is_deleted: bool


class PromotionCodeOut(Out):
    promotion_code_id: str
    code: str
    coupon_id: str
    is_active: bool
    is_deleted: bool


class CatalogSyncOut(Out):
    """A full reading of the catalogue."""

    sync_no: int
    state: Literal["running", "done", "failed"]
    part: Literal["products", "prices", "coupons", "promotion_codes", ""] = Field(description="Is being read.")
    read_count: int
    deleted_count: int = Field(description="What Stripe no longer has.")
    error: str | None
    started_by: str
    started_at: datetime
    finished_at: datetime | None


class CatalogOut(BaseModel):
    products: list[ProductOut]
    coupons: list[CouponOut]
    promotion_codes: list[PromotionCodeOut]
    sync: CatalogSyncOut | None = Field(description="The newest full reading; null: never.")


class SyncIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    connection_id: str | None = Field(default=None, max_length=200)


@router.get("/catalog")
async def search_catalog(
    call: Reading,
    search: Annotated[str, Query(max_length=200, description="A part of a name, code or id; any case.")] = "",
    include_inactive: Annotated[bool, Query(description="Also what is sold no more or was deleted.")] = False,
    limit: Annotated[int, Query(ge=1, le=200, description="How many of each kind at most.")] = 50,
    connection_id: ConnectionId = None,
) -> CatalogOut:
    """Products with their prices, coupons and promotion codes, in order of name."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        found = await catalog.search_catalog(tx, *own, search, limit=limit, include_inactive=include_inactive)
        sync = await catalog_syncs.latest_sync(tx, *own)
    return present_catalog(found, sync)


@router.get("/catalog/sync")
async def get_catalog_sync(call: Reading, connection_id: ConnectionId = None) -> CatalogSyncOut | None:
    """The newest full reading of the catalogue; null: never."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        sync = await catalog_syncs.latest_sync(tx, *own)
    return None if sync is None else CatalogSyncOut.model_validate(sync)


@router.post("/catalog/sync", status_code=202, response_model=CatalogSyncOut)
async def sync_catalog(call: Writing, body: SyncIn) -> Response:
    """Have the whole catalogue read from Stripe, unless that is going on."""

    async def run(tx: Connection) -> CatalogSyncOut:
        own = await call.books(tx, body.connection_id)
        sync = await start_sync(tx, *own, actor=call.actor, now=call.now)
        return CatalogSyncOut.model_validate(sync)

    return await call.write(202, run)


def present_catalog(found: Found, sync: CatalogSync | None) -> CatalogOut:
    """What a search found, each product with its prices."""
    by_product: dict[str, list[Price]] = {}
    for price in found.prices:
        by_product.setdefault(price.product_id, []).append(price)
    return CatalogOut(
        products=[
            ProductOut(
                product_id=product.product_id,
                name=product.name,
                description=product.description,
                image_url=product.image_url,
                is_active=product.is_active,
                is_deleted=product.is_deleted,
                prices=[PriceOut.model_validate(price) for price in by_product.get(product.product_id, ())],
            )
            for product in found.products
        ],
        coupons=[CouponOut.model_validate(coupon) for coupon in found.coupons],
        promotion_codes=[PromotionCodeOut.model_validate(code) for code in found.promotion_codes],
        sync=None if sync is None else CatalogSyncOut.model_validate(sync),
    )
