"""What the control page shows of the sandbox: payments, customers, what there is to buy, and what was told to whom.

Presents only: everything here is text and ids, ready for the template; nothing is changed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from refref.sandbox.deliveries import NOTE, wanted
from refref.sandbox.errors import StripeError
from refref.sandbox.sample_cast import Promoter
from refref.sandbox.sample_shop import DOWNGRADES, UPGRADES, price_id
from refref.sandbox.sample_traffic import plan_noun
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc
from refref.sandbox.subscriptions import LIVE

ZERO_DECIMAL = {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
SHOWN = 10
TOLD = 15

# How an event reads to somebody who does not know Stripe's names.
IN_WORDS = {
    "charge.dispute.closed": "Dispute decided",
    "charge.dispute.created": "Dispute opened",
    "charge.dispute.funds_reinstated": "Disputed money came back",
    "charge.dispute.funds_withdrawn": "Disputed money taken",
    "charge.failed": "Card declined",
    "charge.refunded": "Payment refunded",
    "charge.succeeded": "Card charged",
    "checkout.session.completed": "Checkout completed",
    "credit_note.created": "Credit note",
    "customer.created": "New customer",
    "customer.subscription.created": "Subscription started",
    "customer.subscription.deleted": "Subscription ended",
    "customer.subscription.trial_will_end": "Trial ends soon",
    "customer.subscription.updated": "Subscription changed",
    "invoice.paid": "Invoice paid",
    "invoice_payment.paid": "Payment of an invoice",
    "invoice.payment_failed": "Invoice not paid",
    "payment_intent.succeeded": "Payment succeeded",
    "refund.created": "Refund",
}
DISPUTES = {
    "needs_response": "open, the money is withdrawn",
    "warning_needs_response": "asked about, no money moved",
    "warning_closed": "asked about and settled",
}
PAYMENT_TONES = {"succeeded": "good", "pending": "wait", "failed": "bad"}
PLAN_TONES = {"active": "good", "trialing": "info", "past_due": "bad", "unpaid": "bad", "canceled": "off"}


def money_text(amount: int, currency: str) -> str:
    """An amount in minor units as people write it."""
    if currency in ZERO_DECIMAL:
        return f"{amount} {currency.upper()}"
    whole, rest = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:02d} {currency.upper()}"


def minor_units(text: str, currency: str) -> int:
    """What a person typed ("12.5") in minor units."""
    whole, _, rest = text.strip().replace(",", ".").partition(".")
    places = 0 if currency in ZERO_DECIMAL else 2
    if not (whole.isdigit() and (rest == "" or rest.isdigit()) and len(rest) <= places):
        raise StripeError(f"'{text}' is not an amount.")
    return int(whole + rest.ljust(places, "0"))


def moment(at: int) -> str:
    """An instant as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


# What RefRef writes on an endpoint of its own, and what the set-up of the demo does.
_MARKS = frozenset(("refref_connection", "refref_connection_id"))


def listener_url(sb: Sandbox) -> str | None:
    """Where the RefRef is that this sandbox tells: the origin of its newest endpoint."""
    for endpoint in reversed(sb.live("webhook_endpoint")):
        parts = urlsplit(endpoint["url"])
        if endpoint["status"] == "enabled" and not _MARKS.isdisjoint(endpoint["metadata"]):
            return f"{parts.scheme}://{parts.netloc}"
    return None


class ShopView:
    """The rows of the page. `query` finds customers and payments by e-mail, name or id; empty: the newest."""

    def __init__(self, sb: Sandbox, query: str = "") -> None:
        self.sb = sb
        self.query = query.strip().lower()

    def choices(self, promoters: Sequence[Promoter]) -> Doc:
        """What the form for a sale offers."""
        return {
            "prices": [{"id": p["id"], "label": self.plan(p)} for p in self.sb.live("price") if sellable(p)],
            "promoters": [{"refcode": p.refcode, "name": p.name} for p in promoters],
            "promotion_codes": [p["code"] for p in self.sb.live("promotion_code") if p["active"]],
            "next_email": f"customer{len(self.sb.live('checkout.session')) + 1}@example.com",
        }

    def plan(self, price: Doc) -> str:
        """A price with its product: "Sample Monthly, 29.00 USD a month"."""
        every = f" a {price['recurring']['interval']}" if price["recurring"] else ""
        return f"{self.sb.product_name(price)}, {money_text(price['unit_amount'] or 0, price['currency'])}{every}"

    def payments(self) -> list[Doc]:
        """The newest payments, or those that were asked for."""
        rows: list[Doc] = []
        for charge in reversed(self.sb.live("charge")):
            who = self._who(charge)
            if self._asked(charge["id"], charge["payment_intent"], charge["customer"], who):
                rows.append(self._payment(charge, who))
            if len(rows) == SHOWN:
                break
        return rows

    def customers(self) -> list[Doc]:
        """The newest customers with their plan, or those that were asked for."""
        rows: list[Doc] = []
        for customer in reversed(self.sb.live("customer")):
            if customer.get("deleted"):
                continue
            if self._asked(customer["id"], customer["email"], customer["name"]):
                rows.append(self._customer(customer))
            if len(rows) == SHOWN:
                break
        return rows

    def told(self) -> list[Doc]:
        """The newest events that somebody asked for (all, when nobody listens), and whether they were taken."""
        notes: dict[str, Doc] = {note["event"]: note for note in self.sb.notes(NOTE).values()}
        endpoints = self.sb.live("webhook_endpoint")
        rows: list[Doc] = []
        for event in reversed(self.sb.events):
            asked = any(wanted(event, endpoint) for endpoint in endpoints)
            if endpoints and not asked:
                continue
            rows.append(self._told(event, outcome(notes.get(event["id"]), asked=asked)))
            if len(rows) == TOLD:
                break
        return rows

    def _told(self, event: Doc, came_of_it: tuple[str, str]) -> Doc:
        kind = event["type"]
        return {
            "type": kind,
            "words": IN_WORDS.get(kind, kind.replace(".", " ").replace("_", " ").capitalize()),
            "when": moment(event["created"]),
            "about": self._about(event["data"]["object"]),
            "outcome": came_of_it[0],
            "tone": came_of_it[1],
        }

    def _asked(self, *texts: str | None) -> bool:
        return not self.query or any(self.query in text.lower() for text in texts if text)

    def _who(self, charge: Doc) -> str:
        found: Doc = {} if charge["customer"] is None else self.sb.find("customer", charge["customer"])
        if found.get("deleted"):
            return "a deleted customer"
        return str(found.get("email") or charge["billing_details"]["email"] or "guest")

    def _payment(self, charge: Doc, who: str) -> Doc:
        paid = charge["status"] == "succeeded" and charge["captured"]
        dispute = self.sb.find("dispute", charge["dispute"]) if charge.get("dispute") else None
        left = charge["amount"] - charge["amount_refunded"]
        tone = PAYMENT_TONES[charge["status"]]
        notes = []
        if charge["amount_refunded"]:
            notes.append(f"refunded {money_text(charge['amount_refunded'], charge['currency'])}")
        if dispute:
            word = str(dispute["status"])
            notes.append(f"dispute {DISPUTES.get(word, word.replace('_', ' '))}")
        is_open = dispute is not None and dispute["status"] in ("needs_response", "under_review")
        is_inquiry = dispute is not None and dispute["status"].startswith("warning_needs")
        return {
            "id": charge["id"],
            "when": moment(charge["created"]),
            "who": who,
            "for": charge["description"] or "One-off purchase",
            "amount": money_text(charge["amount"], charge["currency"]),
            "half": money_text(left // 2, charge["currency"]).split()[0],
            "word": "paid" if charge["status"] == "succeeded" else charge["status"],
            "tone": "bad" if is_open else "off" if paid and not left else tone,
            "notes": ", ".join(notes),
            "refundable": paid and left > 0 and not is_open,
            "disputable": paid and left > 0 and dispute is None,
            "dispute": dispute["id"] if dispute and is_open else None,
            "inquiry": dispute["id"] if dispute and is_inquiry else None,
        }

    def _customer(self, customer: Doc) -> Doc:
        subs = [s for s in self.sb.live("subscription") if s["customer"] == customer["id"]]
        row: Doc = {
            "id": customer["id"],
            "who": customer["email"] or customer["name"] or customer["id"],
            "since": moment(customer["created"])[:10],
            "monthly": price_id("monthly", "eur" if customer["currency"] == "eur" else "usd"),
            "subscription": None,
        }
        if not subs:
            return row
        sub = subs[-1]
        item = sub["items"]["data"][0]
        is_live = sub["status"] in LIVE
        noun = plan_noun(sub)
        moves = [*((n, "Upgrade") for n in UPGRADES.get(noun, ())), (DOWNGRADES.get(noun, ""), "Downgrade")]
        return row | {
            "subscription": sub["id"],
            "plan": self.plan(item["price"]),
            "quantity": item.get("quantity") or 1,
            "word": sub["status"].replace("_", " "),
            "tone": PLAN_TONES.get(sub["status"], "wait"),
            "change": self._next(sub) if is_live else "",
            "is_live": is_live,
            "is_ending": sub["cancel_at_period_end"],
            "moves": [
                {"price": price_id(n, sub["currency"]), "label": f"{label} to {n}"}
                for n, label in moves
                if is_live and n and self.sb.has("price", price_id(n, sub["currency"]))
            ],
        }

    def _next(self, sub: Doc) -> str:
        """What a live subscription does at the end of its period."""
        word = "ends" if sub["cancel_at_period_end"] else "first pays" if sub["status"] == "trialing" else "renews"
        return f"{word} {moment(sub['items']['data'][0]['current_period_end'])[:10]}"

    def _about(self, doc: Doc) -> str:
        """Whom or how much an event is about."""
        amount = next((doc[name] for name in ("amount_paid", "amount_total", "amount") if doc.get(name)), None)
        if isinstance(amount, int) and doc.get("currency"):
            return money_text(amount, doc["currency"])
        return str(doc.get("email") or doc.get("name") or "")


def sellable(price: Doc) -> bool:
    """Whether the form can sell it: active, and at one price."""
    return bool(price["active"]) and price["unit_amount"] is not None


def outcome(note: Doc | None, *, asked: bool) -> tuple[str, str]:
    """What became of an event's delivery, and its tone."""
    if not asked:
        return "nobody listens", "off"
    if note is None:
        return "taken", "good"
    if note["lost"]:
        return "given up", "bad"
    return ("on its way", "wait") if note["attempt"] == 1 else (f"refused, try {note['attempt']} follows", "bad")
