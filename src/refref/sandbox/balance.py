"""The merchant's own balance: what each charge, refund, dispute, transfer and payout does to it, and when it is there.

Owns fees, the currency of settlement and the finite funds. Amounts in minor units.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING

from refref.sandbox.account_shape import finished_account
from refref.sandbox.amounts import share
from refref.sandbox.errors import StripeError
from refref.sandbox.store import Doc, Store, acted
from refref.sandbox.timeline import DAY

if TYPE_CHECKING:
    from refref.sandbox.accounts import Accounts

SETTLEMENT = "_settlement"
MERCHANT = "Sample merchant"
FEE_BPS, FEE_FIXED = 290, 30
SETTLES_AFTER = 2 * DAY
PAID_AT_ONCE = "bypass_pending"  # the test card whose money is available at once
NO_FUNDS = (
    "You have insufficient available funds in your Stripe account. Try adding funds directly to your available balance "
    "by creating Charges using the 4000000000000077 test card. See: https://stripe.com/docs/testing#available-balance"
)


def no_funds(message: str = NO_FUNDS) -> StripeError:
    """There is not enough available (400 `balance_insufficient`)."""
    return StripeError(message, code="balance_insufficient")


class Balance(Store):
    """Books balance transactions and says what is available and what is pending."""

    accounts: "Accounts"
    _told_at = -1

    def plan(self, at: int, what: str, object_id: str) -> None:
        """Do `what` with an object when the clock reaches `at`: the layer with the agenda does."""

    # settings

    @acted("nobody")
    def settle_in(self, currency: str | None, rates: Mapping[str, str] | None = None) -> Doc:
        """Settle every currency that has a rate in `currency`; None: each in itself, as at first.

        A rate is Stripe's exchange_rate as a decimal text: amount in minor units x rate = settled minor units.
        """
        for name, rate in (rates or {}).items():
            try:
                good = Decimal(rate) > 0
            except InvalidOperation:
                good = False
            if not good:
                raise StripeError(f"Invalid rate for {name}: {rate}; it is a decimal above 0.", param="rates")
        found: Doc = {**self._settings(), "currency": currency, "rates": dict(rates or {})}
        self.note(SETTLEMENT, "settings", found)
        return found

    @acted("nobody")
    def set_fees(self, rate_bps: int = FEE_BPS, fixed: int = FEE_FIXED) -> Doc:
        """What Stripe keeps of each charge from now on: a share in basis points and a fixed amount."""
        found: Doc = {**self._settings(), "rate_bps": rate_bps, "fixed": fixed}
        self.note(SETTLEMENT, "settings", found)
        return found

    def _settings(self) -> Doc:
        default: Doc = {"currency": None, "rates": {}, "rate_bps": FEE_BPS, "fixed": FEE_FIXED}
        return self.notes(SETTLEMENT).get("settings", default)

    # entries

    def balance_entry(
        self,
        amount: int,
        source: Doc,
        kind: str,
        *,
        fee: int = 0,
        category: str | None = None,
        available_on: int | None = None,
    ) -> Doc:
        """A balance transaction: what the source did to the balance. A charge's fee is worked out here."""
        settings = self._settings()
        currency, rate, settled = source["currency"], None, amount
        if settings["currency"] not in (None, currency) and currency in settings["rates"]:
            rate = Decimal(settings["rates"][currency])
            settled = int((amount * rate).to_integral_value(ROUND_HALF_UP))
            currency = settings["currency"]
        if kind == "charge":
            fee = share(settled, settings["rate_bps"], 10_000) + settings["fixed"]
        if available_on is None:
            available_on = self.now if source.get("_card") == PAID_AT_ONCE else self.now + SETTLES_AFTER
        details = {"amount": fee, "application": None, "currency": currency, "description": "Processing fees",
                   "type": "stripe_fee"}  # fmt: skip
        entry = {
            "id": self.ids.make("balance_transaction"),
            "object": "balance_transaction",
            "amount": settled,
            "available_on": available_on,
            "balance_type": "payments",
            "created": self.now,
            "currency": currency,
            "description": source.get("description"),
            "exchange_rate": None if rate is None else float(rate),  # Stripe writes a number
            "fee": fee,
            "fee_details": [details] if fee else [],
            "net": settled - fee,
            "reporting_category": category or kind,
            "source": source["id"],
            "status": "available" if available_on <= self.now else "pending",
            "type": kind,
        }
        made = self.put(entry)
        if available_on > self.now:
            self.plan(available_on, "release_funds", entry["id"])
        elif kind == "charge":
            self._tell_available()
        self.booked(made)
        return made

    def booked(self, entry: Doc) -> None:
        """Called after each entry; the payouts' layer plans the next automatic payout."""

    def release_funds(self, entry: str) -> None:
        """The money of an entry is available now."""
        self.alter(self.find("balance_transaction", entry), status="available")
        if self._told_at != self.now:  # once for all that comes at the same time
            self._told_at = self.now
            self._tell_available()

    def _tell_available(self) -> None:
        """Emit balance.available if an endpoint hears it: it would double the events of who does not look at it."""
        if self.open_endpoints("balance.available"):
            self.emit("balance.available", self.balance())

    # what there is

    def available(self, currency: str) -> int:
        """What can be sent away now, in a currency; may be below zero."""
        return self._sums(available=True).get(currency, 0)

    def _sums(self, *, available: bool) -> dict[str, int]:
        sums: dict[str, int] = {}
        for entry in self.live("balance_transaction"):
            there = entry["available_on"] <= self.now
            sums[entry["currency"]] = sums.get(entry["currency"], 0) + (entry["net"] if there == available else 0)
        return sums

    def balance(self) -> Doc:
        """The balance object: available and pending by currency, and what is reserved for connected accounts."""
        ready, coming = self._sums(available=True), self._sums(available=False)
        currencies = sorted({*ready, *coming} or {self.own_account()["default_currency"]})

        def rows(sums: Mapping[str, int]) -> list[Doc]:
            return [{"amount": sums.get(c, 0), "currency": c, "source_types": {"card": sums.get(c, 0)}}
                    for c in currencies]  # fmt: skip

        found: Doc = {"object": "balance", "available": rows(ready), "livemode": False, "pending": rows(coming)}
        owed: dict[str, int] = {}
        mine = self.accounts.connected(self.account_id)
        for account in mine:
            for currency, amount in account._sums(available=True).items():
                owed[currency] = owed.get(currency, 0) + max(0, -amount)
        if mine:
            found["connect_reserved"] = [{"amount": a, "currency": c} for c, a in sorted(owed.items())]
        found["instant_available"] = rows({c: max(0, a) for c, a in ready.items()})
        return found

    def own_account(self) -> Doc:
        """This account's own document; one that no platform created is a merchant in business."""
        if not self.has("account", self.account_id):
            self.put(finished_account(self.account_id, self.now, MERCHANT))
        return self.find("account", self.account_id)

    # adding funds

    @acted("api")
    def top_up(
        self,
        amount: int,
        currency: str = "usd",
        *,
        description: str | None = None,
        transfer_group: str | None = None,
        statement_descriptor: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Doc:
        """Add funds from the merchant's bank; available at once. Emits topup.created and topup.succeeded."""
        if amount <= 0:
            raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
        doc = self.put(
            {
                "id": self.ids.make("topup"),
                "object": "topup",
                "amount": amount,
                "balance_transaction": None,
                "created": self.now,
                "currency": currency.lower(),
                "description": description,
                "expected_availability_date": self.now,
                "failure_code": None,
                "failure_message": None,
                "livemode": False,
                "metadata": dict(metadata or {}),
                "source": None,
                "statement_descriptor": statement_descriptor,
                "status": "pending",
                "transfer_group": transfer_group,
            }
        )
        self.emit("topup.created", doc)
        entry = self.balance_entry(amount, doc, "topup", available_on=self.now)
        self.alter(doc, status="succeeded", balance_transaction=entry["id"])
        self.emit("topup.succeeded", doc)
        return doc

    @acted("api")
    def update_topup(self, /, topup: str, **changes: object) -> Doc:
        """Change description or metadata; Stripe emits nothing."""
        doc = self.find("topup", topup)
        self.alter(doc, **changes)
        return doc
