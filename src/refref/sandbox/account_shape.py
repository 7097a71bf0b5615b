"""The shapes of accounts, capabilities and external accounts, and the rule that says what an account still lacks."""

from collections.abc import Mapping
from typing import Any

from refref.sandbox.errors import StripeError
from refref.sandbox.ids import scramble
from refref.sandbox.store import Doc, listed

CURRENCIES = {"AU": "aud", "CA": "cad", "CH": "chf", "DK": "dkk", "GB": "gbp", "HK": "hkd", "HU": "huf", "JP": "jpy",
              "MX": "mxn", "NO": "nok", "NZ": "nzd", "PL": "pln", "SE": "sek", "SG": "sgd", "US": "usd"}  # fmt: skip
# What the old `type` says in controller properties: who pays fees, who bears losses, who collects, which dashboard.
CONTROLLERS = {
    "custom": ("application_custom", "application", "application", "none"),
    "express": ("application_express", "application", "stripe", "express"),
    "standard": ("account", "stripe", "stripe", "full"),
}
PERSON = ("first_name", "last_name", "dob.day", "dob.month", "dob.year")
COMPANY = ("name", "tax_id")
TERMS = ("tos_acceptance.date", "tos_acceptance.ip")
NOTHING_DUE: Doc = {
    "alternatives": [],
    "current_deadline": None,
    "currently_due": [],
    "disabled_reason": None,
    "errors": [],
    "eventually_due": [],
    "past_due": [],
    "pending_verification": [],
}


def controller_of(kind: str | None, given: Mapping[str, Any]) -> tuple[str, Doc]:
    """The account's type and its controller, from the one or the other."""
    if kind is not None:
        if given:
            raise StripeError(
                "You may not provide the `type` parameter and `controller` parameters simultaneously. They are "
                "mutually exclusive.",
                param="type",
            )
        if kind not in CONTROLLERS:
            raise StripeError("Invalid type: must be one of custom, express, or standard", param="type")
        payer, losses, collects, dashboard = CONTROLLERS[kind]
    else:
        fees = given.get("fees", {}).get("payer", "account")
        losses = given.get("losses", {}).get("payments", "stripe")
        collects = given.get("requirement_collection", "stripe")
        dashboard = given.get("stripe_dashboard", {}).get("type", "full")
        if collects == "application" and (dashboard, losses, fees) != ("none", "application", "application"):
            raise StripeError(
                "When `controller[requirement_collection]=application`, fees and losses must be the application's and "
                "the dashboard must be none.",
                param="controller",
            )
        express = fees == "application" and dashboard == "express"
        payer = "application_express" if express else ("application_custom" if collects == "application" else fees)
        kind = next((k for k, c in CONTROLLERS.items() if c == (payer, losses, collects, dashboard)), "none")
    return kind, {
        "fees": {"payer": payer},
        "is_controller": True,
        "losses": {"payments": losses},
        "requirement_collection": collects,
        "stripe_dashboard": {"type": dashboard},
        "type": "application",
    }


def settings_of(name: str | None, *, delay_days: int = 2, interval: str = "daily") -> Doc:
    """An account's settings; payouts go out by that schedule."""
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": name, "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "always"},
        "payments": {"statement_descriptor": None, "statement_descriptor_kana": None,
                     "statement_descriptor_kanji": None},
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": delay_days, "interval": interval},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }  # fmt: skip


def blank_account(account_id: str, now: int, country: str) -> Doc:
    """An account that nobody has told anything about."""
    return {
        "id": account_id,
        "object": "account",
        "business_profile": dict.fromkeys(
            ("annual_revenue", "estimated_worker_count", "mcc", "minority_owned_business_designation", "name",
             "specified_commercial_transactions_act_url", "support_address", "support_email", "support_phone",
             "support_url", "url")
        ),
        "business_type": None,
        "capabilities": {},
        "charges_enabled": False,
        "company": {"name": None},
        "country": country,
        "created": now,
        "default_currency": CURRENCIES.get(country, "eur"),
        "details_submitted": False,
        "email": None,
        "external_accounts": listed([], f"/v1/accounts/{account_id}/external_accounts"),
        "future_requirements": dict(NOTHING_DUE),
        "metadata": {},
        "payouts_enabled": False,
        "requirements": dict(NOTHING_DUE),
        "settings": settings_of(None),
        "tos_acceptance": {"date": None},
        "_given": {},
        "_requested": {},
        "_forced": {},
        "_asked": None,
        "_rejected": None,
    }  # fmt: skip


def finished_account(account_id: str, now: int, name: str) -> Doc:
    """The account of a merchant who is in business: a standard account of its own that lacks nothing."""
    made = blank_account(account_id, now, "US") | {
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "details_submitted": True,
        "email": "merchant@example.com",
        "payouts_enabled": True,
        "settings": settings_of(name, interval="manual"),
        "tos_acceptance": {"date": now, "ip": None, "user_agent": None},
        "type": "standard",
        "_requested": {"card_payments": now, "transfers": now},
        "_forced": {"card_payments": "active", "transfers": "active"},
    }
    made["business_profile"]["name"] = name
    made["external_accounts"]["data"].append(bank_account(f"ba_{scramble(account_id, 24)}", made, {}))
    return made


def needed(account: Doc) -> list[str]:
    """The requirements an account has to meet before it can be used."""
    who = account["business_type"] or "individual"
    named = COMPANY if who == "company" else PERSON
    prefix = "company" if who == "company" else "individual"
    url = () if account["tos_acceptance"].get("service_agreement") == "recipient" else ("business_profile.url",)
    kind = () if account["business_type"] else ("business_type",)
    return [*url, *kind, "external_account", *(f"{prefix}.{n}" for n in named), *TERMS]


def review(account: Doc) -> Doc:
    """What an account lacks and what it therefore may do: the changes to the account. Pure."""
    if account["controller"]["type"] == "account":  # nobody's platform asks it for anything
        return {}
    given = account["_given"]
    has_bank = bool(account["external_accounts"]["data"])
    due = [n for n in needed(account) if not (has_bank if n == "external_account" else given.get(n))]
    asked = account["_asked"] or {"fields": [], "deadline": None, "past_due": False, "errors": []}
    blocked = bool(due) or asked["past_due"]
    rejected = account["_rejected"]
    usual = "inactive" if blocked else "active"
    forced = account["_forced"]
    capabilities = {n: "inactive" if rejected else forced.get(n, usual) for n in account["_requested"]}
    active = "active" in capabilities.values()
    if not capabilities and account["type"] == "standard" and not rejected:
        # Nothing was asked for: it may receive transfers all the same, as Stripe's own command-line tool expects.
        capabilities = {"legacy_payments": "active"}
    past = [*due, *(asked["fields"] if asked["past_due"] else [])]
    reason = "requirements.past_due" if blocked else None
    if "pending" in capabilities.values():
        reason = "requirements.pending_verification"
    return {
        "capabilities": capabilities,
        "charges_enabled": active,
        "details_submitted": not due,
        "payouts_enabled": active and has_bank,
        "requirements": {
            **NOTHING_DUE,
            "current_deadline": asked["deadline"],
            "currently_due": [*due, *asked["fields"]],
            "disabled_reason": rejected or reason,
            "errors": asked["errors"],
            "eventually_due": [*due, *asked["fields"]],
            "past_due": past,
        },
    }


def capability_of(account: Doc, name: str) -> Doc:
    """One capability as an object."""
    due = account["requirements"]
    status = account["capabilities"].get(name)
    reason = None
    if status == "inactive":
        reason = "rejected.other" if account["_rejected"] else "requirements.fields_needed"
    elif status == "pending":
        reason = "pending.review"
    lists = {k: due[k] for k in ("currently_due", "errors", "eventually_due", "past_due", "pending_verification")}
    empty: Doc = {**{k: [] for k in lists}, "alternatives": [], "current_deadline": None, "disabled_reason": None}
    return {
        "id": name,
        "object": "capability",
        "account": account["id"],
        "future_requirements": empty,
        "requested": name in account["_requested"],
        "requested_at": account["_requested"].get(name),
        "requirements": {
            **(lists if status else {k: [] for k in lists}),
            "alternatives": [],
            "current_deadline": due["current_deadline"],
            "disabled_reason": reason,
        },
        "status": status or "unrequested",
    }


def bank_account(bank_id: str, account: Doc, given: Mapping[str, Any]) -> Doc:
    """A bank account for payouts, from the parameters of its creation or from a test token."""
    number = str(given.get("account_number", "000123456789"))
    empty: Doc = {"currently_due": [], "errors": [], "past_due": [], "pending_verification": []}
    return {
        "id": bank_id,
        "object": "bank_account",
        "account": account["id"],
        "account_holder_name": given.get("account_holder_name"),
        "account_holder_type": given.get("account_holder_type"),
        "account_type": given.get("account_type"),
        "available_payout_methods": ["standard", "instant"],
        "bank_name": "STRIPE TEST BANK",
        "country": given.get("country", account["country"]),
        "currency": given.get("currency", account["default_currency"]).lower(),
        "default_for_currency": True,
        "fingerprint": scramble(f"bank {number}", 16),
        "future_requirements": empty,
        "last4": number[-4:],
        "metadata": {},
        "requirements": empty,
        "routing_number": given.get("routing_number", "110000000"),
        "status": "new",
    }


def debit_card(card_id: str, account: Doc, given: Mapping[str, Any]) -> Doc:
    """A debit card for payouts."""
    number = str(given.get("number", "4000056655665556"))
    unset = ("address_city", "address_country", "address_line1", "address_line1_check", "address_line2",
             "address_state", "address_zip", "address_zip_check", "cvc_check", "dynamic_last4", "name",
             "tokenization_method")  # fmt: skip
    return {
        **dict.fromkeys(unset),
        "id": card_id,
        "object": "card",
        "account": account["id"],
        "allow_redisplay": "unspecified",
        "available_payout_methods": ["standard", "instant"],
        "brand": "Visa",
        "country": account["country"],
        "currency": given.get("currency", account["default_currency"]).lower(),
        "default_for_currency": True,
        "exp_month": int(given.get("exp_month", 12)),
        "exp_year": int(given.get("exp_year", 2034)),
        "fingerprint": scramble(f"debit {number}", 16),
        "funding": "debit",
        "last4": number[-4:],
        "metadata": {},
        "networks": {"preferred": None},
        "status": "new",
        "regulated_status": "unregulated",
    }
