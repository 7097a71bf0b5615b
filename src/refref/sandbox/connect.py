"""Connect: accounts that a platform creates, what they lack, their capabilities and their bank accounts.

Events of an account happen on the account; `Accounts` and the deliveries bring them to the platform's endpoints.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refref.sandbox.account_shape import (
    bank_account,
    blank_account,
    capability_of,
    controller_of,
    debit_card,
    needed,
    review,
)
from refref.sandbox.catalog import merged
from refref.sandbox.errors import StripeError, missing
from refref.sandbox.form import as_integer
from refref.sandbox.ids import scramble
from refref.sandbox.keys import Right, no_access
from refref.sandbox.payouts import Payouts
from refref.sandbox.store import Doc, acted, copy_of, listed, wants

if TYPE_CHECKING:
    from refref.sandbox.state import Sandbox

FRAUD = ("fraud_no_intent_to_fulfill", "fraud_other", "fraud_payment_method_casher", "fraud_payment_method_tester")
REASONS = {
    "fraud": "rejected.platform_fraud",  # the reason's name until endive
    **dict.fromkeys(FRAUD, "rejected.platform_fraud"),
    "credit": "rejected.platform_other",
    "other": "rejected.platform_other",
    "terms_of_service": "rejected.platform_terms_of_service",
}
WHOLE_NUMBERS = ("date", "delay_days", "estimated_worker_count", "monthly_anchor")
RELATIONSHIP: Doc = {
    **dict.fromkeys(("authorizer", "director", "executive", "legal_guardian", "owner"), False),
    "percent_ownership": None,
    "representative": True,
    "title": None,
}
STATUSES = ("active", "inactive", "pending")


def dotted(given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters as dotted names, blanks left out."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            found |= dotted(value, f"{prefix}{name}.")
        elif value not in (None, ""):
            found[prefix + name] = value
    return found


class Connect(Payouts):
    """This account as a platform (the verbs that take an account) and as an account (`own_account`)."""

    def open_endpoints(self, kind: str) -> int:
        """How many endpoints an event goes to: the account's own and those of its platforms."""
        platforms = self.accounts.platforms_of(self.account_id) if self.home is not self else []
        heard = [e for p in platforms for e in p.live("webhook_endpoint") if wants(e, kind, connected=True)]
        return super().open_endpoints(kind) + len(heard)

    def get(self, object_id: str) -> Doc:
        """The present state of an object; an account or a payment (`py_`) may be a connected account's."""
        if object_id.startswith(("acct_", "py_")):
            for account in self.accounts.connected(self.account_id):
                kind = "charge" if object_id.startswith("py_") else "account"
                if account.has(kind, object_id):
                    return copy_of(account.find(kind, object_id))
        return super().get(object_id)

    @property
    def connect_events(self) -> list[Doc]:
        """The events of all connected accounts, by time, as an endpoint with `connect` gets them: `account` is set."""
        heard = [{**e, "account": a.account_id} for a in self.accounts.connected(self.account_id) for e in a.events]
        return copy_of(sorted(heard, key=lambda e: int(e["created"])))

    # a platform's accounts

    @acted("api")
    def create_account(
        self,
        /,
        *,
        type: str | None = None,
        country: str = "US",
        email: str | None = None,
        controller: Mapping[str, Any] | None = None,
        capabilities: Sequence[str] = ("transfers",),
        service_agreement: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **given: Any,
    ) -> Doc:
        """A new connected account; `given` takes what POST /v1/accounts takes. Stripe emits nothing on the platform."""
        kind, made_controller = controller_of(type, controller or {})
        account = self.accounts.open()
        self.accounts.connect(self.account_id, account.account_id, "created")
        made = blank_account(account.account_id, self.now, country) | {
            "controller": made_controller,
            "email": email,
            "metadata": merged({}, metadata),
            "type": kind,
            "_requested": dict.fromkeys(capabilities, self.now),
        }
        if made_controller["stripe_dashboard"]["type"] == "express":
            made["login_links"] = listed([], f"/v1/accounts/{account.account_id}/login_links")
        if service_agreement is not None:
            made["tos_acceptance"]["service_agreement"] = service_agreement
        with self.acting_on(account):
            account.put(made)
            account.take_details(given)
            account.alter(made, **review(made))
        return made

    def connected_account(self, account_id: str) -> "Sandbox":
        """A connected account, or this one; refuses (403) what is not connected as it refuses what does not exist."""
        if account_id == self.account_id:
            return self.accounts.of(account_id)
        if self.accounts.connection(self.account_id, account_id) is None:
            raise no_access(None, account_id)
        return self.accounts.of(account_id)

    @acted("api")
    def update_account(self, /, account: str, **given: Any) -> Doc:
        """Change an account; `given` takes what POST /v1/accounts/{id} takes. Emits account.updated on it."""
        target = self.connected_account(account)
        doc = target.own_account()
        accepts_terms = {"date", "ip"} & set(given.get("tos_acceptance") or {})
        if accepts_terms and doc["controller"].get("requirement_collection") == "stripe":
            raise StripeError(
                "You cannot accept the Terms of Service on behalf of Standard and Express connected accounts.",
                param="tos_acceptance",
            )
        with self.acting_on(target):
            before = target.take_details(given)
            target.reviewed(before)
        return doc

    # keys

    @acted("nobody")
    def create_key(self, permissions: Mapping[str, Right] | None = None, *, account: str | None = None) -> Doc:
        """A secret key, of another account if it is named; with `permissions` (resource: read or write) restricted."""
        return self.accounts.keys.make(account or self.account_id, permissions)

    @acted("nobody")
    def restrict_key(self, key: str, permissions: Mapping[str, Right]) -> Doc:
        """Change what a key may do."""
        return self.accounts.keys.restrict(key, permissions)

    @acted("nobody")
    def revoke_key(self, key: str) -> Doc:
        """A key is refused from now on (401 api_key_expired)."""
        return self.accounts.keys.revoke(key)

    @acted("api")
    def delete_account(self, account: str) -> Doc:
        """Delete a connected account whose balance is zero."""
        target = self._created(account)
        if any(target.balance_of_all()):
            raise StripeError("This account has a balance: it cannot be deleted.", param="account")
        with self.acting_on(target):
            target.emit("account.application.deauthorized", self.shown_application())
        self.accounts.close(account)
        return {"id": account, "object": "account", "deleted": True}

    @acted("api")
    def reject_account(self, account: str, reason: str) -> Doc:
        """Suspect an account: it can do nothing any more."""
        if reason not in REASONS:
            raise StripeError(f"Invalid reason: must be one of {', '.join(REASONS)}", param="reason")
        target = self._created(account)
        with self.acting_on(target):
            target.reviewed(target.alter(target.own_account(), _rejected=REASONS[reason]))
        return target.own_account()

    def _created(self, account: str) -> "Sandbox":
        connection = self.accounts.connection(self.account_id, account)
        if connection is None or connection["how"] != "created":
            raise no_access(None, account)
        return self.accounts.of(account)

    def shown_application(self) -> Doc:
        """The application by which this platform is known to the accounts it created."""
        return {"id": f"ca_{scramble(self.account_id, 32)}", "object": "application", "name": None}

    # what happens to an account

    @acted("nobody")
    def onboard(
        self, /, account: str, *, pending: bool = False, bank: Mapping[str, Any] | None = None, **given: Any
    ) -> Doc:
        """The account's owner hands in everything: its capabilities become active, or `pending`.

        `given`: individual, company, business_profile, email; sample values for what is not given.
        """
        target = self.connected_account(account)
        doc = target.own_account()
        filled = {"individual": {"first_name": "Sample", "last_name": "Partner"}} | given
        before = target.take_details(filled)
        answers = dict.fromkeys(needed(doc), "given") | doc["_given"] | {"business_type": "given"}
        terms = {**doc["tos_acceptance"], "date": self.now}
        who = doc["business_type"] or "individual"
        before |= target.alter(doc, _given=answers, _asked=None, tos_acceptance=terms, business_type=who)
        if not doc["external_accounts"]["data"]:
            before |= target.add_external_account(bank or {})
        target.alter(doc, _forced=dict.fromkeys(doc["_requested"], "pending") if pending else {})
        target.reviewed(before)
        return doc

    @acted("nobody")
    def set_capability(self, account: str, capability: str, status: str) -> Doc:
        """Stripe changes a capability: active, inactive or pending. Emits account.updated, capability.updated."""
        if status not in STATUSES:
            raise StripeError(f"A capability is one of {', '.join(STATUSES)}.", param="status")
        target = self.connected_account(account)
        doc = target.own_account()
        requested = {**doc["_requested"], capability: doc["_requested"].get(capability, self.now)}
        target.reviewed(target.alter(doc, _requested=requested, _forced={**doc["_forced"], capability: status}))
        return doc

    @acted("nobody")
    def require(
        self,
        account: str,
        fields: Sequence[str],
        *,
        deadline: int | None = None,
        past_due: bool = False,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> Doc:
        """Stripe asks an account for more; no fields: for nothing any more. Past due: it can do nothing until then."""
        target = self.connected_account(account)
        asked: Doc = {"fields": list(fields), "deadline": deadline, "past_due": past_due, "errors": list(errors)}
        doc = target.own_account()
        forced = {} if past_due else doc["_forced"]
        target.reviewed(target.alter(doc, _asked=asked if fields else None, _forced=forced))
        return doc

    @acted("api")
    def request_capability(self, account: str, capability: str, *, requested: bool) -> Doc:
        """Ask for a capability or give it back."""
        target = self.connected_account(account)
        doc = target.own_account()
        wished = {k: v for k, v in doc["_requested"].items() if k != capability}
        if requested:
            wished[capability] = doc["_requested"].get(capability, self.now)
        with self.acting_on(target):
            target.reviewed(target.alter(doc, _requested=wished))
        return capability_of(doc, capability)

    # this account

    def take_details(self, given: Mapping[str, Any]) -> Doc:
        """Put what was told about this account in its place; returns the previous values."""
        doc = self.own_account()
        told = {k: v for k, v in given.items() if v not in (None, "", {})}
        changes: Doc = {k: told[k] for k in ("email", "business_type", "default_currency") if k in told}
        for name in ("business_profile", "settings", "tos_acceptance"):
            if name in told:
                changes[name] = _laid_over(doc[name], told[name])
        if "metadata" in given:
            changes["metadata"] = merged(doc["metadata"], given["metadata"] or {})
        if "individual" in told:
            person = {k: v for k, v in told["individual"].items() if k in ("first_name", "last_name", "email")}
            old = doc.get("individual") or {
                "id": self.ids.make("person"),
                "object": "person",
                "account": doc["id"],
                "created": self.now,
                "relationship": RELATIONSHIP,
            }
            changes["individual"] = {**old, **person}
        if "company" in told:
            shown = {k: v for k, v in told["company"].items() if k in ("name", "phone")}
            changes["company"] = {**doc.get("company", {}), **shown, "tax_id_provided": "tax_id" in told["company"]}
        if "capabilities" in told:
            asked = {k: v.get("requested") in (True, "true") for k, v in told["capabilities"].items()}
            kept = {k: v for k, v in doc["_requested"].items() if asked.get(k, True)}
            changes["_requested"] = {**{k: self.now for k, wanted in asked.items() if wanted}, **kept}
        changes["_given"] = {**doc["_given"], **{k: str(v) for k, v in dotted(told).items()}}
        before = self.alter(doc, **changes)
        bank = told.get("external_account") or told.get("bank_account")
        return before | self.add_external_account(bank, replace=True) if bank else before

    def add_external_account(self, given: Mapping[str, Any] | str, *, replace: bool = False) -> Doc:
        """A bank account or debit card for payouts; emits account.external_account.created."""
        doc = self.own_account()
        fields: Mapping[str, Any] = {} if isinstance(given, str) else given
        card = fields.get("object") == "card" or (isinstance(given, str) and given.startswith("tok_"))
        made = (debit_card if card else bank_account)(self.ids.make("card" if card else "bank_account"), doc, fields)
        known: list[Doc] = doc["external_accounts"]["data"]
        same = [e["id"] for e in known if e["currency"] == made["currency"]]
        if same and not replace:
            made["default_for_currency"] = False
        rest = [e for e in known if not (replace and e["id"] in same and e["default_for_currency"])]
        before = self._set_external_accounts([*rest, made])
        self.emit("account.external_account.created", made)
        return before

    def external_account(self, external_id: str) -> Doc:
        """One of this account's bank accounts or cards."""
        for each in self.own_account()["external_accounts"]["data"]:
            if each["id"] == external_id:
                return dict(each)
        raise missing("external account", external_id)

    def change_external_account(self, external_id: str, *, default: bool | None = None, **changes: Any) -> Doc:
        """Change one; as the default it takes the place of the other of its currency."""
        old = self.external_account(external_id)
        data = copy_of(self.own_account()["external_accounts"]["data"])
        for each in data:
            if each["id"] == external_id:
                each |= changes | ({"default_for_currency": True} if default else {})
            elif default and each["currency"] == old["currency"]:
                each["default_for_currency"] = False
        before = self._set_external_accounts(data)
        new = self.external_account(external_id)
        self.emit("account.external_account.updated", new, {k: v for k, v in old.items() if new[k] != v})
        self.reviewed(before)
        return new

    def remove_external_account(self, external_id: str) -> Doc:
        """Remove one that is not the default of its currency."""
        old = self.external_account(external_id)
        data = [e for e in self.own_account()["external_accounts"]["data"] if e["id"] != external_id]
        if old["default_for_currency"] and any(e["currency"] == old["currency"] for e in data):
            raise StripeError(
                "You cannot delete the default external account for your default currency. Please make another "
                "external account the default using the `default_for_currency` param, and then delete this one.",
                param="id",
            )
        before = self._set_external_accounts(data)
        self.emit("account.external_account.deleted", old)
        self.reviewed(before)
        return {"id": external_id, "object": old["object"], "deleted": True}

    def _set_external_accounts(self, data: list[Doc]) -> Doc:
        doc = self.own_account()
        return self.alter(doc, external_accounts=listed(data, doc["external_accounts"]["url"]))

    def reviewed(self, before: Doc) -> None:
        """Look again at what this account lacks; emits account.updated and capability.updated for what changed."""
        doc = self.own_account()
        old = dict(doc["capabilities"])
        earlier = {**self.alter(doc, **review(doc)), **before}
        self.emit("account.updated", doc, {k: v for k, v in earlier.items() if k[0] != "_"})
        for name in sorted({*old, *doc["capabilities"]}):
            if old.get(name) != doc["capabilities"].get(name):
                previous = {"status": old.get(name, "unrequested")}
                self.emit("capability.updated", capability_of(doc, name), previous)

    def balance_of_all(self) -> list[int]:
        """What is on the balance, available and pending, by currency."""
        ready, coming = self._sums(available=True), self._sums(available=False)
        return [ready.get(c, 0) + coming.get(c, 0) for c in {*ready, *coming}]


def _laid_over(old: Doc, new: Mapping[str, Any]) -> Doc:
    """Nested settings with the new values laid over the old ones."""
    found = copy_of(old)
    for name, value in new.items():
        found[name] = _laid_over(found.get(name) or {}, value) if isinstance(value, Mapping) else _typed(name, value)
    return found


def _typed(name: str, value: Any) -> Any:
    """A setting as JSON has it, from the text of a form."""
    if name == "delay_days" and value == "minimum":
        return 2
    if value in ("true", "false"):
        return value == "true"
    return as_integer(value, name) if name in WHOLE_NUMBERS and isinstance(value, str) else value
