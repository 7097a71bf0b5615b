"""Payouts from an account's balance to its bank account or debit card, by hand and by schedule."""

from collections.abc import Mapping
from datetime import UTC, datetime

from refref.sandbox.amounts import share
from refref.sandbox.balance import no_funds
from refref.sandbox.catalog import merged
from refref.sandbox.errors import StripeError, missing
from refref.sandbox.store import Doc, acted
from refref.sandbox.timeline import DAY
from refref.sandbox.transfers import Transfers

ARRIVES_AFTER = 2 * DAY
INSTANT_ARRIVES_AFTER = 1800
INSTANT_FEE_BPS, INSTANT_FEE_LEAST = 100, 50
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FAILURES = {
    "account_closed": "The bank account has been closed.",
    "account_frozen": "The bank account has been frozen.",
    "bank_account_restricted": "The bank account has restrictions on either the type or number of payouts allowed.",
    "could_not_process": "The bank could not process this payout.",
    "debit_not_authorized": "Debit transactions are not approved on the bank account.",
    "insufficient_funds": "Your Stripe account has insufficient funds to cover the payout.",
    "invalid_account_number": "The routing number seems correct, but the account number is invalid.",
    "no_account": "The bank account details on file are probably incorrect: no account was found.",
}
# The last four of the test account numbers whose payouts fail, as Stripe documents them.
FAILING = {"1116": "no_account", "1113": "account_closed", "2227": "insufficient_funds", "3335": "debit_not_authorized",
           "4445": "invalid_account_number"}  # fmt: skip


class Payouts(Transfers):
    """Sends what is available to the account's external account."""

    @acted("api")
    def payout(
        self,
        amount: int,
        currency: str,
        *,
        method: str = "standard",
        destination: str | None = None,
        description: str | None = None,
        statement_descriptor: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Doc:
        """Pay out by hand: pending, then in transit, then paid as the clock moves on."""
        if amount <= 0:
            raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
        currency = currency.lower()
        if not self.own_account()["payouts_enabled"]:
            raise StripeError(
                "Cannot create payouts: this account has payouts disabled. Its requirements say what is missing.",
                code="payouts_not_allowed",
            )
        target = self._payout_target(currency, destination)
        fee = 0
        if method == "instant":
            if "instant" not in target["available_payout_methods"]:
                raise StripeError(
                    "Payouts to this external account cannot be instant.",
                    code="instant_payouts_unsupported",
                    param="method",
                )
            fee = max(share(amount, INSTANT_FEE_BPS, 10_000), INSTANT_FEE_LEAST)
        if self.available(currency) < amount + fee:
            raise no_funds()
        doc = self._send(amount, target, currency, method=method, fee=fee, automatic=False)
        told = {"description": description, "statement_descriptor": statement_descriptor}
        self.alter(doc, **told, metadata=merged({}, metadata))
        self.emit("payout.created", doc)
        return doc

    def _payout_target(self, currency: str, destination: str | None) -> Doc:
        """The external account that is named, or the default one of the currency."""
        known: list[Doc] = self.own_account()["external_accounts"]["data"]
        if destination is not None:
            for each in known:
                if each["id"] == destination:
                    return each
            raise missing("external account", destination, "destination")
        fitting = [e for e in known if e["currency"] == currency]
        if not fitting:
            raise StripeError(f"Sorry, you don't have any external accounts in that currency ({currency}).")
        return next((e for e in fitting if e["default_for_currency"]), fitting[0])

    def _send(self, amount: int, target: Doc, currency: str, *, method: str, fee: int, automatic: bool) -> Doc:
        """A payout on its way; its money leaves the balance now."""
        arrival = self.now + (INSTANT_ARRIVES_AFTER if method == "instant" else ARRIVES_AFTER)
        doc = self.put(
            {
                "id": self.ids.make("payout"),
                "object": "payout",
                "amount": amount,
                "application_fee": None,
                "application_fee_amount": None,
                "arrival_date": arrival,
                "automatic": automatic,
                "balance_transaction": None,
                "created": self.now,
                "currency": currency,
                "description": "STRIPE PAYOUT" if automatic else None,
                "destination": target["id"],
                "failure_balance_transaction": None,
                "failure_code": None,
                "failure_message": None,
                "livemode": False,
                "metadata": {},
                "method": method,
                "original_payout": None,
                "payout_method": None,
                "reconciliation_status": "in_progress" if automatic else "not_applicable",
                "reversed_by": None,
                "source_type": "card",
                "statement_descriptor": None,
                "status": "pending",
                "trace_id": {"status": "pending", "value": None},
                "type": target["object"],
                "_fails": FAILING.get(target["last4"]),
            }
        )
        entry = self.balance_entry(-amount, doc, "payout", fee=fee, available_on=self.now)
        self.alter(doc, balance_transaction=entry["id"])
        if method == "standard":
            self.plan(self.now + DAY, "payout_leaves", doc["id"])
        self.plan(arrival, "payout_arrives", doc["id"])
        return doc

    # as time goes by

    def payout_leaves(self, payout: str) -> None:
        """A payout is handed to the bank."""
        doc = self.find("payout", payout)
        if doc["status"] == "pending":
            self.emit("payout.updated", doc, self.alter(doc, status="in_transit"))

    def payout_arrives(self, payout: str) -> None:
        """A payout reaches the bank account, or comes to nothing there."""
        doc = self.find("payout", payout)
        if doc["status"] not in ("pending", "in_transit"):
            return
        if doc["_fails"]:
            self.fail_payout(payout, doc["_fails"])
            return
        if doc["original_payout"] is not None:
            entry = self.balance_entry(-doc["amount"], doc, "payout", available_on=self.now)
            self.alter(doc, balance_transaction=entry["id"])
        self.alter(doc, status="paid", trace_id={"status": "supported", "value": f"trace_{doc['id'][3:15]}"})
        self.emit("payout.paid", doc)
        if doc["automatic"]:
            self.alter(doc, reconciliation_status="completed")
            self.emit("payout.reconciliation_completed", doc)

    @acted("nobody")
    def fail_payout(self, payout: str, code: str = "account_closed") -> Doc:
        """The bank refuses a payout, even days after it was paid: the money returns to the balance."""
        doc = self.find("payout", payout)
        if doc["status"] not in ("pending", "in_transit", "paid"):
            raise StripeError(f"A payout that is {doc['status']} cannot fail.", param="payout")
        if code not in FAILURES:
            raise StripeError(f"Unknown failure code '{code}': one of {', '.join(FAILURES)}.", param="code")
        entry = self.balance_entry(doc["amount"], doc, "payout_failure", available_on=self.now)
        self.alter(
            doc,
            status="failed",
            failure_code=code,
            failure_message=FAILURES[code],
            failure_balance_transaction=entry["id"],
        )
        self.emit("payout.failed", doc)
        return doc

    @acted("api")
    def cancel_payout(self, payout: str) -> Doc:
        """Cancel a payout that is still pending: the money returns to the balance."""
        doc = self.find("payout", payout)
        if doc["status"] != "pending":
            raise StripeError("Payouts can only be canceled while they are pending.", param="payout")
        entry = self.balance_entry(doc["amount"], doc, "payout_cancel", available_on=self.now)
        self.alter(doc, status="canceled", failure_balance_transaction=entry["id"])
        self.emit("payout.canceled", doc)
        return doc

    @acted("api")
    def reverse_payout(self, payout: str, *, metadata: Mapping[str, str] | None = None) -> Doc:
        """Take a paid payout back from the bank account: a payout of its own, paid when the clock gets there."""
        doc = self.find("payout", payout)
        if doc["status"] != "paid" or doc["original_payout"] or doc["reversed_by"]:
            raise StripeError("Only a paid payout that has not been reversed can be reversed.", param="payout")
        back = {
            **doc,
            "id": self.ids.make("payout"),
            "amount": -doc["amount"],
            "arrival_date": self.now + ARRIVES_AFTER,
            "automatic": False,
            "balance_transaction": None,
            "created": self.now,
            "metadata": merged({}, metadata),
            "original_payout": doc["id"],
            "reconciliation_status": "not_applicable",
            "status": "pending",
            "trace_id": {"status": "pending", "value": None},
        }
        self.put(back)
        self.alter(doc, reversed_by=back["id"])
        self.emit("payout.created", back)
        self.emit("payout.updated", doc, {"reversed_by": None})
        self.plan(back["arrival_date"], "payout_arrives", back["id"])
        return back

    @acted("api")
    def update_payout(self, payout: str, metadata: Mapping[str, str] | None) -> Doc:
        """Change the metadata; emits payout.updated."""
        doc = self.find("payout", payout)
        self.emit("payout.updated", doc, self.alter(doc, metadata=merged(doc["metadata"], metadata)))
        return doc

    # by schedule

    def booked(self, entry: Doc) -> None:
        """Money came in: an account that pays out by schedule does so on the day after it is available."""
        if entry["net"] <= 0 or self.account_id == self.home.account_id:
            return
        schedule = self.own_account()["settings"]["payouts"]["schedule"]
        at = next_payout_at(max(self.now, entry["available_on"]), schedule)
        if at is not None:
            self.plan(at, "automatic_payout", entry["currency"])

    def automatic_payout(self, currency: str) -> None:
        """Pay out everything that is available, if the account still pays out by schedule."""
        account = self.own_account()
        amount = self.available(currency)
        manual = account["settings"]["payouts"]["schedule"]["interval"] == "manual"
        fitting = any(e["currency"] == currency for e in account["external_accounts"]["data"])
        if manual or amount <= 0 or not account["payouts_enabled"] or not fitting:
            return
        target = self._payout_target(currency, None)
        sent = self._send(amount, target, currency, method="standard", fee=0, automatic=True)
        for entry in self.live("balance_transaction"):
            if entry["currency"] == currency and entry["available_on"] <= self.now and "_payout" not in entry:
                self.alter(entry, _payout=sent["id"])
        self.emit("payout.created", sent)


def next_payout_at(after: int, schedule: Doc) -> int | None:
    """Midnight (UTC) of the first day of payouts after an instant; None when payouts are made by hand."""
    if schedule["interval"] == "manual":
        return None
    day = after - after % DAY + DAY
    while True:
        moment = datetime.fromtimestamp(day, UTC)
        weekly = WEEKDAYS[moment.weekday()] == schedule.get("weekly_anchor", "monday")
        monthly = moment.day == schedule.get("monthly_anchor", 1)
        if schedule["interval"] == "daily" or (weekly if schedule["interval"] == "weekly" else monthly):
            return day
        day += DAY
