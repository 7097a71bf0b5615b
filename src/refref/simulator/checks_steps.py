"""Whether the steps and expectations of a story can be played: when, who, what, and names that exist."""

from __future__ import annotations

import difflib

from refref.core.decisions import REASONS
from refref.simulator.names import Findings
from refref.simulator.story import (
    ACTIONS,
    BY_CUSTOMER,
    CreditNote,
    Dispute,
    Expectations,
    ExpectedReward,
    Invoice,
    Payment,
    PlanChange,
    Purchase,
    Refund,
    Step,
    Story,
    Subscribing,
    action_of,
)
from refref.simulator.written import Unreadable, day, money, span

MAX_QUANTITY = 1_000_000
MAX_YEARS = 12
_YEAR_S = 366 * 86_400


def check_steps(story: Story, found: Findings) -> None:
    """Every fault of the steps, in their order."""
    try:
        start = now = day(story.starts).instant
    except Unreadable:  # told already
        return
    for number, step in enumerate(story.happens):
        where = f"happens.{number}"
        moved = _moved(step, where, now, found)
        if moved < now:
            found.add(f"{where}.at", "This is before the step above it: put the steps in order of time.")
        now = max(now, moved)
        if now - start > MAX_YEARS * _YEAR_S:
            found.add(f"{where}.{'at' if step.at else 'after'}", f"A story lasts at most {MAX_YEARS} years.")
            return
        _check_step(step, where, found)


def _moved(step: Step, where: str, now: int, found: Findings) -> int:
    """The day of a step, given that of the one before."""
    if step.at and step.after:
        found.add(f"{where}.after", "Give `at` or `after`, not both.")
    if step.at:
        at = found.read(f"{where}.at", step.at, day)
        # A date begins at midnight, and the step before it may have an exact time of the same day.
        return now if at is None else at.instant if at.is_exact or at.instant + 86_400 <= now else max(at.instant, now)
    after = found.read_if_given(f"{where}.after", step.after, span)
    return now if after is None else after.after(now)


def _check_step(step: Step, where: str, found: Findings) -> None:
    given = [name for name in ACTIONS if getattr(step, name) not in (None, False)]
    if len(given) > 1:
        found.add(
            f"{where}.{given[1]}", f"A step is one thing, and this one has {given[0]} already: make it another step."
        )
        return
    found.known(f"{where}.customer", step.customer, found.names.customers, "customer")
    action = action_of(step)
    if action in BY_CUSTOMER and not step.customer and not _names_subscription(step):
        found.add(f"{where}.customer", f"Say which customer: {action} is something that customers do.")
    _check_checkout(step, where, found)
    _check_subscription(step, where, found)
    _check_money(step, where, found)
    for name in ("wins_dispute", "loses_dispute", "approves", "rejects"):
        sale = getattr(step, name)
        if sale is not None:
            found.sale(f"{where}.{name}", sale)
    if step.expect is not None:
        check_expectations(step.expect, f"{where}.expect", found)


def _names_subscription(step: Step) -> bool:
    named = (step.changes, step.cancels)
    return isinstance(step.restarts, str) or any(thing is not None and thing.subscription for thing in named)


def _check_checkout(step: Step, where: str, found: Findings) -> None:
    for name, given in (("buys", step.buys), ("subscribes", step.subscribes)):
        field = f"{where}.{name}"
        if isinstance(given, str):
            _check_price(field, given, is_recurring=name == "subscribes", found=found)
        elif given is not None:
            if isinstance(given, Purchase):
                _check_items(given, field, found)
            else:
                _check_price(f"{field}.price", given.price, is_recurring=True, found=found)
                _check_quantity(f"{field}.quantity", given.quantity, found)
                if given.trial and given.trial != "none":
                    found.read(f"{field}.trial", given.trial, span)
            _check_terms_of_checkout(given, field, found)


def _check_items(given: Purchase, field: str, found: Findings) -> None:
    if bool(given.price) == bool(given.items):
        found.add(f"{field}.price", "Say what is bought: a `price`, or several `items`.")
    _check_price(f"{field}.price", given.price, is_recurring=False, found=found)
    _check_quantity(f"{field}.quantity", given.quantity, found)
    for place, item in enumerate(given.items):
        _check_price(f"{field}.items.{place}.price", item.price, is_recurring=False, found=found)
        _check_quantity(f"{field}.items.{place}.quantity", item.quantity, found)
    shipping = found.read_if_given(f"{field}.shipping", given.shipping, money)
    if shipping is not None and shipping.amount_minor < 0:
        found.add(f"{field}.shipping", "Shipping is not negative.")


def _check_terms_of_checkout(given: Purchase | Subscribing, field: str, found: Findings) -> None:
    names = found.names
    found.known(f"{field}.link", given.link, names.participants | names.codes, "participant")
    found.known(f"{field}.promotion_code", given.promotion_code, names.promotion_codes, "promotion code")
    found.known(f"{field}.coupon", given.coupon, names.coupons, "coupon")
    found.known(f"{field}.tax", given.tax, names.tax_rates, "tax rate")
    if given.coupon and given.promotion_code:
        found.add(f"{field}.coupon", "A checkout takes one discount: the coupon or the promotion code.")


def _check_price(field: str, name: str, *, is_recurring: bool | None, found: Findings) -> None:
    names = found.names
    found.known(field, name, names.prices, "price")
    if name in names.prices and is_recurring is not None and (name in names.recurring) != is_recurring:
        kind = "charged again and again: use `subscribes`." if not is_recurring else "sold once: use `buys`."
        found.add(field, f"“{name}” is {kind}")


def _check_quantity(field: str, quantity: int, found: Findings) -> None:
    if not 1 <= quantity <= MAX_QUANTITY:
        found.add(field, f"A quantity is 1 to {MAX_QUANTITY}.")


def _check_subscription(step: Step, where: str, found: Findings) -> None:
    known = found.names.subscriptions
    for name, given in (("changes", step.changes), ("cancels", step.cancels), ("sets", step.sets)):
        if given is not None:
            found.known(f"{where}.{name}.subscription", given.subscription, known, "subscription")
    if isinstance(step.restarts, str):
        found.known(f"{where}.restarts", step.restarts, known, "subscription")
    if isinstance(step.changes, PlanChange):
        _check_price(f"{where}.changes.price", step.changes.price, is_recurring=True, found=found)
        if not step.changes.price and step.changes.quantity is None:
            found.add(f"{where}.changes", "Say what changes: the `price` or the `quantity`.")
        if step.changes.quantity is not None:
            _check_quantity(f"{where}.changes.quantity", step.changes.quantity, found)


def _check_money(step: Step, where: str, found: Findings) -> None:
    for name, given in (("pays", step.pays), ("refunds", step.refunds), ("credits", step.credits),
                        ("disputes", step.disputes)):  # fmt: skip
        field = f"{where}.{name}"
        if isinstance(given, str):
            found.sale(field, given)
        elif given is not None:
            found.sale(f"{field}.sale", given.sale)
            _check_part(given, field, found)
    if isinstance(step.invoices, Invoice):
        _check_invoice(step.invoices, f"{where}.invoices", found)


def _check_part(given: Payment | Refund | CreditNote | Dispute, field: str, found: Findings) -> None:
    amount = found.read_if_given(f"{field}.amount", given.amount, money)
    if amount is not None and amount.amount_minor <= 0:
        found.add(f"{field}.amount", "Give an amount of more than nothing.")
    if isinstance(given, Refund | CreditNote):
        found.known(f"{field}.price", given.price, found.names.prices, "price")
    if isinstance(given, CreditNote) and not given.amount and not given.price:
        found.add(f"{field}.amount", "Say what is credited: an `amount`, or the line of a `price`.")


def _check_invoice(given: Invoice, field: str, found: Findings) -> None:
    if not given.lines:
        found.add(f"{field}.lines", "Give the invoice at least one line.")
    for number, line in enumerate(given.lines):
        where = f"{field}.lines.{number}"
        if bool(line.price) == bool(line.amount):
            found.add(where, "A line is a `price`, or an `amount` with a `text`.")
        _check_price(f"{where}.price", line.price, is_recurring=False, found=found)
        found.read_if_given(f"{where}.amount", line.amount, money)
        _check_quantity(f"{where}.quantity", line.quantity, found)
    found.known(f"{field}.tax", given.tax, found.names.tax_rates, "tax rate")
    found.known(f"{field}.coupon", given.coupon, found.names.coupons, "coupon")


def check_expectations(given: Expectations, where: str, found: Findings) -> None:
    """Every fault of what is expected."""
    names = found.names
    people = names.participants | names.customers
    for who, rewards in given.rewards.items():
        found.known(f"{where}.rewards.{who}", who, people, "participant or customer")
        for place, reward in enumerate(rewards):
            field = f"{where}.rewards.{who}.{place}"
            if isinstance(reward, ExpectedReward):
                _check_reward(reward, field, found)
            else:
                found.read(field, reward, money)
    for number, refusal in enumerate(given.refusals):
        field = f"{where}.refusals.{number}"
        found.sale(f"{field}.sale", refusal.sale)
        _check_rule(f"{field}.rule", refusal.rule, found)
        if refusal.reason not in REASONS:
            close = difflib.get_close_matches(refusal.reason, list(REASONS), n=1)
            remedy = f"do you mean {close[0]}?" if close else "docs/how-it-counts.md has all of them."
            found.add(f"{field}.reason", f"There is no reason “{refusal.reason}”: {remedy}")
    for who, balance in given.balances.items():
        found.known(f"{where}.balances.{who}", who, people, "participant or customer")
        for account in ("pending", "payable", "held"):
            for place, text in enumerate(getattr(balance, account)):
                found.read(f"{where}.balances.{who}.{account}.{place}", text, money)
    for customer, participant in given.referred.items():
        found.known(f"{where}.referred.{customer}", customer, names.customers, "customer")
        found.known(f"{where}.referred.{customer}", participant, names.participants, "participant")


def _check_reward(reward: ExpectedReward, field: str, found: Findings) -> None:
    if reward.sale:
        found.sale(f"{field}.sale", reward.sale)
    found.read_if_given(f"{field}.amount", reward.amount, money)
    found.read_if_given(f"{field}.taken_back", reward.taken_back, money)
    _check_rule(f"{field}.rule", reward.rule, found)


def _check_rule(field: str, rule: str, found: Findings) -> None:
    if found.names.rules is not None:
        found.known(field, rule, found.names.rules, "rule in the terms")
