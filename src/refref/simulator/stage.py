"""The stage of a story: a sandbox with its catalogue, and its customers as they come in. Plays no steps."""

from __future__ import annotations

from refref.sandbox import Sandbox
from refref.sandbox.store import Doc
from refref.simulator.sales import customer_id
from refref.simulator.story import Catalogue, Coupon, Price, Story
from refref.simulator.written import day, money, rate_bps, span
from refref.stripe.readers.carriers import CAMPAIGN_KEY, REFERRAL_KEY


class Stage:
    """The sandbox of a story and what stands in it."""

    def __init__(self, story: Story, seed: int = 7) -> None:
        starts = [day(story.starts).instant]
        for customer in story.customers:
            told = [customer.signed_up, customer.referred.clicked if customer.referred else ""]
            starts.extend(day(text).instant for text in told if text)
        self.sandbox = Sandbox(clock_start=min(starts), seed=seed)
        self.customers = {one.id: one for one in story.customers}
        self.refcodes = {one.id or one.code: one.code for one in story.participants}
        self.prices: dict[str, Price] = {}
        self.promotion_codes: dict[str, str] = {}  # code -> Stripe's id
        self.tax_rates: dict[str, str] = {}
        self._build(story.catalogue)

    def _build(self, catalogue: Catalogue) -> None:
        for product in catalogue.products:
            self.sandbox.create_product(product.name or product.id, id=product.id)
            for price in product.prices:
                self.prices[price.id] = price
                self._price(product.id, price)
        for coupon in catalogue.coupons:
            self._coupon(coupon)
        for code in catalogue.promotion_codes:
            made = self.sandbox.create_promotion_code(code.coupon, code.code)
            self.promotion_codes[code.code] = str(made["id"])
        for rate in catalogue.tax_rates:
            made = self.sandbox.create_tax_rate(rate_bps(rate.rate), inclusive=rate.inclusive, name=rate.id)
            self.tax_rates[rate.id] = str(made["id"])

    def _price(self, product: str, price: Price) -> None:
        amount = money(price.amount)
        every = span(price.every) if price.every else None
        others = [money(text) for text in price.also]
        self.sandbox.create_price(
            product,
            amount.currency,
            amount.amount_minor,
            id=price.id,
            interval=None if every is None else every.unit,
            interval_count=1 if every is None else every.number,
            options={other.currency: {"unit_amount": other.amount_minor} for other in others},
        )

    def _coupon(self, coupon: Coupon) -> None:
        lasts: Doc = {"duration": coupon.lasts}
        if coupon.lasts not in ("once", "forever"):
            given = span(coupon.lasts)
            months = given.number * (12 if given.unit == "year" else 1)
            lasts = {"duration": "repeating", "duration_in_months": months}
        if coupon.off.rstrip().endswith("%"):
            self.sandbox.create_coupon(id=coupon.id, percent_off=rate_bps(coupon.off) // 100, **lasts)
        else:
            off = money(coupon.off)
            self.sandbox.create_coupon(id=coupon.id, amount_off=off.amount_minor, currency=off.currency, **lasts)

    def is_there(self, name: str) -> bool:
        """Whether a customer is known in Stripe yet."""
        return self.sandbox.has("customer", customer_id(name))

    def enter(self, name: str) -> None:
        """Make a customer of the story in Stripe. Without a click, the referral stands in the customer's metadata."""
        given = self.customers[name]
        metadata = dict(given.metadata)
        if given.referred is not None and not given.referred.clicked:
            metadata |= self.identifier(given.referred.by, given.referred.campaign)
        self.sandbox.create_customer(
            id=customer_id(name),
            name=given.name or None,
            email=given.email or None,
            country=given.country or None,
            metadata=metadata,
            card=given.card or f"card-of-{name}",
        )

    def identifier(self, participant: str, campaign: str) -> dict[str, str]:
        """The metadata that names who referred."""
        code = {REFERRAL_KEY: self.refcodes.get(participant, participant)}
        return code | ({CAMPAIGN_KEY: campaign} if campaign else {})
