"""What the sample shop sells and for how much; how a sample buyer buys it. All names are plainly sample."""

from collections.abc import Sequence

from refref.sandbox.sample_cast import Promoter
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

COUPON = "sample-10-percent"  # behind the promoters' promotion codes
LAUNCH_COUPON = "sample-launch"
LAUNCH_CODE = "SAMPLE-LAUNCH"  # a promotion code of the shop itself: belongs to no promoter

# product id, name, interval, price by currency in minor units
PRODUCTS: tuple[tuple[str, str, str | None, dict[str, int]], ...] = (
    ("prod_sample_template", "Sample Template", None, {"usd": 4900, "eur": 4500, "jpy": 7500}),
    ("prod_sample_workshop", "Sample Workshop", None, {"usd": 14900, "eur": 13900}),
    ("prod_sample_monthly", "Sample Monthly", "month", {"usd": 2900, "eur": 2700}),
    ("prod_sample_pro", "Sample Pro", "month", {"usd": 7900, "eur": 7500}),
    ("prod_sample_annual", "Sample Annual", "year", {"usd": 29000, "eur": 27000}),
)
# Where a subscription of a product may go: up to more money, down to less.
UPGRADES = {"monthly": ("pro", "annual"), "pro": ("annual",)}
DOWNGRADES = {"pro": "monthly", "annual": "monthly"}


def price_id(noun: str, currency: str) -> str:
    """The id of a sample price: template, workshop, monthly, pro or annual; usd or eur."""
    return f"price_sample_{noun}_{currency}"


def noun_of(price: str) -> str:
    """What a sample price sells; "" for a price that is not the sample shop's."""
    parts = price.split("_")
    return parts[2] if price.startswith("price_sample_") and len(parts) == 4 else ""


def open_shop(sb: Sandbox, promoters: Sequence[Promoter] = ()) -> None:
    """Products, prices, coupons and promotion codes, as far as they are missing."""
    for product, name, interval, prices in PRODUCTS:
        if not sb.has("product", product):
            sb.create_product(name, id=product)
        for currency, amount in prices.items():
            price = price_id(product.rpartition("_")[2], currency)
            if not sb.has("price", price):
                sb.create_price(product, currency, amount, interval=interval, id=price, nickname=name)
    if not sb.has("coupon", COUPON):
        sb.create_coupon(percent_off=10, duration="once", id=COUPON, name="10 % off")
        sb.create_coupon(percent_off=25, duration="repeating", duration_in_months=3, id=LAUNCH_COUPON,
                         name="25 % off for three months")  # fmt: skip
        sb.create_promotion_code(LAUNCH_COUPON, LAUNCH_CODE)
    taken = {p["code"].lower() for p in sb.live("promotion_code")}
    for promoter in promoters:
        if promoter.promotion_code and promoter.promotion_code.lower() not in taken:
            sb.create_promotion_code(COUPON, promoter.promotion_code)


def purchase(
    sb: Sandbox,
    number: int,
    price: str,
    *,
    email: str | None = None,
    customer: str | None = None,
    refcode: str | None = None,
    promotion_code: str | None = None,
    trial_days: int = 0,
    guest: bool = False,
    card: str | None = None,
) -> Doc:
    """Sample buyer `number` buys through Checkout; the refcode travels as client_reference_id. Returns the session."""
    more: Doc = {} if refcode is None else {"client_reference_id": refcode}
    if sb.find("price", price)["recurring"]:
        more["subscription_data"] = {"trial_period_days": trial_days}
    elif not guest and customer is None:
        more["customer_creation"] = "always"
    return sb.sell(
        price=price,
        customer=customer,
        email=email or f"{'guest' if guest else 'customer'}{number}@example.com",
        name=f"Sample {'Guest' if guest else 'Customer'} {number}",
        card=card or f"sample card {number}",
        promotion_code=promotion_code,
        **more,
    )
