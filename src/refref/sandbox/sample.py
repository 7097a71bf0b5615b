"""Writes the sample shop's history: the planned acts one after the other, in pieces, resumable after any cut.

How far it is stands in the sandbox itself, kept together with what each act did.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from refref.sandbox.sample_cast import PROMOTERS, Promoter
from refref.sandbox.sample_plan import CUSTOMERS, Act, plan_history
from refref.sandbox.sample_shop import open_shop, price_id, purchase
from refref.sandbox.state import Sandbox
from refref.sandbox.store import BATCH, Doc
from refref.sandbox.subscriptions import LIVE
from refref.sandbox.timeline import instant

PLAN, BUYER = "sample.plan", "sample.buyer"  # kinds of documents of our own beside Stripe's
REQUEST = "req_samplehistory"


def seed(
    sandbox: Sandbox,
    seed: int,
    start: int | str | datetime,
    end: int | str | datetime,
    promoters: Sequence[Promoter] = PROMOTERS,
    customers: int = CUSTOMERS,
) -> int:
    """Write the whole history from `start` to `end` and leave the clock there; returns the number of events."""
    history = History.begun(sandbox, seed, instant(start), instant(end), promoters, customers)
    for _ in history.steps():
        pass
    return len(sandbox.events)


class History:
    """The acts of a history and how many of them are done."""

    def __init__(self, sandbox: Sandbox, plan: Doc, promoters: Sequence[Promoter]) -> None:
        self.sb = sandbox
        self._plan = plan
        self.acts = plan_history(plan["seed"], plan["start"], plan["end"], promoters, plan["customers"])

    @classmethod
    def begun(
        cls, sandbox: Sandbox, seed: int, start: int, end: int, promoters: Sequence[Promoter], customers: int
    ) -> "History":
        """A new history in an empty sandbox; the shop is open at once."""
        sandbox.advance(max(start, sandbox.now))
        plan = {"object": PLAN, "id": PLAN, "seed": seed, "start": start, "end": end, "customers": customers, "done": 0}
        sandbox.put(plan)
        open_shop(sandbox, promoters)
        return cls(sandbox, plan, promoters)

    @classmethod
    def kept(cls, sandbox: Sandbox, promoters: Sequence[Promoter]) -> "History | None":
        """The history that this sandbox has or is in the middle of; None when it has none."""
        return cls(sandbox, sandbox.find(PLAN, PLAN), promoters) if sandbox.has(PLAN, PLAN) else None

    @property
    def done(self) -> int:
        """How many acts are done."""
        return int(self._plan["done"])

    @property
    def span(self) -> tuple[int, int]:
        """Its first and last instant."""
        return int(self._plan["start"]), int(self._plan["end"])

    @property
    def complete(self) -> bool:
        """Whether nothing is left to write."""
        return self.done > len(self.acts)

    def steps(self) -> Iterator[None]:
        """Do act after act; each is kept whole or not at all. The last step moves the clock to the end."""
        while not self.complete:
            # A request around it all: nothing is written to disk in the middle of an act.
            self.sb.request = {"id": REQUEST, "idempotency_key": None}
            try:
                self._next()
            finally:
                self.sb.request = None
            self.sb.flush(BATCH)
            yield

    def _next(self) -> None:
        if self.done < len(self.acts):
            act = self.acts[self.done]
            self.sb.advance(max(act.at, self.sb.now))
            perform(self.sb, act)
        else:
            self.sb.advance(max(self._plan["end"], self.sb.now))
        self.sb.alter(self._plan, done=self.done + 1)


def perform(sb: Sandbox, act: Act) -> None:
    """Let one act happen, now. What a buyer cannot do any more (an ended plan, say) does not happen."""
    if act.verb == "buy":
        session = purchase(
            sb,
            act.number,
            act.price,
            email=act.email,
            refcode=act.refcode,
            promotion_code=act.promotion_code,
            trial_days=act.trial_days,
            guest=act.guest,
            card=act.card or None,
        )
        ids = {name: session[name] for name in ("customer", "subscription")}
        sb.put({"object": BUYER, "id": str(act.number), "session": session["id"], "dispute": None, **ids})
        return
    buyer = sb.find(BUYER, str(act.number))
    if act.verb == "restart":
        session = purchase(sb, act.number, act.price, customer=buyer["customer"])
        sb.alter(buyer, session=session["id"], subscription=session["subscription"])
    elif buyer["subscription"] and act.verb in ("change", "resize", "cancel", "leave", "card", "pay"):
        if sb.find("subscription", buyer["subscription"])["status"] in LIVE:
            _subscribe_on(sb, act, buyer["subscription"])
    else:
        _give_back(sb, act, buyer)


def _subscribe_on(sb: Sandbox, act: Act, sub: str) -> None:
    """What happens to a live subscription."""
    if act.verb == "change":
        sb.change_subscription(sub, price=price_id(act.word, act.currency), proration_behavior="always_invoice")
    elif act.verb == "resize":  # billed with the next renewal
        sb.change_subscription(sub, quantity=act.percent // 100)
    elif act.verb in ("cancel", "leave"):
        sb.cancel_subscription(sub, at_period_end=act.verb == "cancel")
    elif act.verb == "card":
        sb.change_card(sub, act.word)
    else:
        sb.change_card(sub, "visa")
        invoice = sb.find("invoice", sb.find("subscription", sub)["latest_invoice"])
        if invoice["status"] == "open":
            sb.pay_invoice(invoice["id"], card="visa")


def _give_back(sb: Sandbox, act: Act, buyer: Doc) -> None:
    """What happens to a payment."""
    session = buyer["session"]
    if act.verb == "refund":
        amount = sb.charge_of(session)["amount"] * act.percent // 100
        sb.refund(session, amount=amount, reason="requested_by_customer")
    elif act.verb == "credit":
        invoice = sb.find("checkout.session", session)["invoice"]
        amount = sb.find("invoice", invoice)["amount_paid"] * act.percent // 100
        sb.credit_note(invoice, amount=amount, reason="order_change")
    elif act.verb in ("dispute", "inquire"):
        sb.alter(buyer, dispute=sb.dispute(session, inquiry=act.verb == "inquire")["id"])
    elif act.verb == "close":
        sb.close_dispute(buyer["dispute"], act.word)
    elif act.verb == "warn":
        sb.fraud_warning(session)
    else:
        sb.settle_session(session, succeeded=act.verb == "settle")
