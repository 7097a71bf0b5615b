"""Transfers from a platform's balance to a connected account, and their reversals."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from refref.sandbox.balance import Balance, no_funds
from refref.sandbox.catalog import merged
from refref.sandbox.errors import StripeError
from refref.sandbox.payment_shape import blank_charge
from refref.sandbox.store import Doc, acted, listed
from refref.sandbox.timeline import DAY

if TYPE_CHECKING:
    from refref.sandbox.state import Sandbox

RECIPIENT_WAITS = DAY  # money takes a day longer to an account under the recipient agreement


class Transfers(Balance):
    """Moves money between this account's balance and those of the accounts connected to it."""

    @contextmanager
    def acting_on(self, account: "Sandbox") -> Iterator["Sandbox"]:
        """What happens on the other account inside was asked for by the request that is at work here."""
        outer, account.request = account.request, self.request
        try:
            yield account
        finally:
            account.request = outer

    @acted("api")
    def transfer(
        self,
        amount: int,
        currency: str,
        destination: str,
        *,
        source_transaction: str | None = None,
        transfer_group: str | None = None,
        description: str | None = None,
        source_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Doc:
        """Send money to a connected account, now or with the money of a charge."""
        if amount <= 0:
            raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
        currency = currency.lower()
        target = self._destination(destination)
        charge: Doc | None = None
        available_on = self.now
        if source_transaction is None:
            if self.available(currency) < amount:
                raise no_funds()
        else:
            charge = self.find("charge", source_transaction, "source_transaction")
            available_on = self._funds_of(charge, amount, currency)
            transfer_group = transfer_group or charge["transfer_group"] or f"group_{charge['id']}"
            if charge["transfer_group"] is None:
                self.alter(charge, transfer_group=transfer_group)
        transfer_id = self.ids.make("transfer")
        doc = self.put(
            {
                "id": transfer_id,
                "object": "transfer",
                "amount": amount,
                "amount_reversed": 0,
                "balance_transaction": None,
                "created": self.now,
                "currency": currency,
                "description": description,
                "destination": destination,
                "destination_payment": None,
                "livemode": False,
                "metadata": merged({}, metadata),
                "reversals": listed([], f"/v1/transfers/{transfer_id}/reversals"),
                "reversed": False,
                "source_transaction": source_transaction,
                "source_type": source_type or "card",
                "transfer_group": transfer_group,
            }
        )
        entry = self.balance_entry(-amount, doc, "transfer", available_on=available_on)
        self.alter(doc, balance_transaction=entry["id"], destination_payment=self._arrive(doc, target, available_on))
        self.emit("transfer.created", doc)
        return doc

    def _destination(self, destination: str) -> "Sandbox":
        """The connected account that may receive transfers."""
        if self.accounts.connection(self.account_id, destination) is None:
            raise StripeError(f"No such destination: '{destination}'", code="resource_missing", param="destination")
        target = self.accounts.of(destination, "destination")
        capabilities = target.own_account()["capabilities"]
        if "active" not in (capabilities.get("transfers"), capabilities.get("legacy_payments")):
            raise StripeError(
                "Your destination account needs to have at least one of the following capabilities enabled: transfers, "
                "crypto_transfers, legacy_payments",
                code="insufficient_capabilities_for_transfer",
            )
        return target

    def _funds_of(self, charge: Doc, amount: int, currency: str) -> int:
        """When the money of a charge is available; refuses more than it brought in, and another currency."""
        if charge["balance_transaction"] is None or charge["status"] != "succeeded":
            raise StripeError(f"Charge {charge['id']} has not been paid.", param="source_transaction")
        entry = self.find("balance_transaction", charge["balance_transaction"])
        if entry["currency"] != currency:
            raise StripeError(
                f"The currency of source_transaction's balance transaction ({entry['currency']}) must be the same as "
                f"the transfer currency ({currency})",
                param="currency",
            )
        sent = [t for t in self.live("transfer") if t["source_transaction"] == charge["id"]]
        taken = sum(t["amount"] - t["amount_reversed"] for t in sent)
        if taken + amount > entry["net"]:
            raise StripeError(
                f"Transfers using this transaction as a source must not exceed the source amount of {entry['net']} "
                f"{currency}. (There are already existing transfers using this transaction as a source, amounting to a "
                f"total of {taken} {currency}.)",
                param="amount",
            )
        return max(self.now, int(entry["available_on"]))

    def _arrive(self, transfer: Doc, target: "Sandbox", available_on: int) -> str:
        """The payment on the connected account; its money may come later than it left here."""
        waits = RECIPIENT_WAITS if target.own_account()["tos_acceptance"].get("service_agreement") == "recipient" else 0
        with self.acting_on(target):
            payment_id = target.ids.make("payment")
            payment = target.put(
                blank_charge(payment_id, {}, target.now)
                | {
                    "amount": transfer["amount"],
                    "amount_captured": transfer["amount"],
                    "calculated_statement_descriptor": None,
                    "captured": True,
                    "currency": transfer["currency"],
                    "customer": None,
                    "description": None,
                    "metadata": {},
                    "paid": True,
                    "payment_intent": None,
                    "payment_method": None,
                    "payment_method_details": {"stripe_account": {}, "type": "stripe_account"},
                    "source_transfer": transfer["id"],
                    "status": "succeeded",
                    "_card": None,
                    "_invoice": None,
                }
            )
            entry = target.balance_entry(transfer["amount"], payment, "payment", available_on=available_on + waits)
            target.alter(payment, balance_transaction=entry["id"])
        return payment_id

    @acted("api")
    def reverse_transfer(
        self,
        transfer: str,
        *,
        amount: int | None = None,
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Doc:
        """Take a transfer back, all of it when no amount is given; refused when the balance there does not cover it."""
        doc = self.find("transfer", transfer, "id")
        left = doc["amount"] - doc["amount_reversed"]
        if left == 0:
            raise StripeError(f"Transfer {transfer} is already fully reversed.", param="id")
        amount = left if amount is None else amount
        if not 0 < amount <= left:
            raise StripeError(
                f"Transfer reversal amount ({amount}) is greater than the unreversed amount on the transfer ({left})",
                param="amount",
            )
        target = self.accounts.of(doc["destination"])
        payment = target.find("charge", doc["destination_payment"])
        received = target.find("balance_transaction", payment["balance_transaction"])
        settled = amount if received["amount"] == doc["amount"] else amount * received["amount"] // doc["amount"]
        if target.available(received["currency"]) < settled and received["available_on"] <= target.now:
            raise no_funds(
                f"The connected account {target.account_id} does not have sufficient available funds to cover the "
                "reversal of this transfer."
            )
        made = self._take_back(doc, amount, target, payment, description)
        self.alter(made, metadata=merged({}, metadata))
        total = doc["amount_reversed"] + amount
        shown = [made, *doc["reversals"]["data"]]
        before = self.alter(
            doc,
            amount_reversed=total,
            reversed=total == doc["amount"],
            reversals=listed(shown, doc["reversals"]["url"]),
        )
        self.emit("transfer.reversed", doc, before)
        return made

    def _take_back(self, doc: Doc, amount: int, target: "Sandbox", payment: Doc, description: str | None) -> Doc:
        """Book a reversal on both accounts: here the money comes back, there the payment is refunded."""
        received = target.find("balance_transaction", payment["balance_transaction"])
        with self.acting_on(target):
            refund = target.put(
                {
                    "id": target.ids.make("payment_refund"),
                    "object": "refund",
                    "amount": amount,
                    "balance_transaction": None,
                    "charge": payment["id"],
                    "created": target.now,
                    "currency": doc["currency"],
                    "metadata": {},
                    "payment_intent": None,
                    "reason": None,
                    "receipt_number": None,
                    "source_transfer_reversal": None,
                    "status": "succeeded",
                    "transfer_reversal": None,
                }
            )
            there = target.balance_entry(
                -amount, refund, "payment_refund", available_on=max(target.now, received["available_on"])
            )
            total = payment["amount_refunded"] + amount
            target.alter(refund, balance_transaction=there["id"])
            target.alter(payment, amount_refunded=total, refunded=total == payment["amount"])
        sent = self.find("balance_transaction", doc["balance_transaction"])
        made = self.put(
            {
                "id": self.ids.make("transfer_reversal"),
                "object": "transfer_reversal",
                "amount": amount,
                "balance_transaction": None,
                "created": self.now,
                "currency": doc["currency"],
                "description": description,
                "destination_payment_refund": refund["id"],
                "metadata": {},
                "source_refund": None,
                "transfer": doc["id"],
            }
        )
        ready = max(self.now, sent["available_on"])
        here = self.balance_entry(amount, made, "transfer_refund", category="transfer_reversal", available_on=ready)
        self.alter(made, balance_transaction=here["id"])
        target.alter(refund, source_transfer_reversal=made["id"])
        return made

    @acted("api")
    def update_transfer(self, /, transfer: str, **changes: object) -> Doc:
        """Change description or metadata; emits transfer.updated."""
        doc = self.find("transfer", transfer)
        self.emit("transfer.updated", doc, self.alter(doc, **changes))
        return doc
