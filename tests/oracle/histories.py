"""Random histories: a few months of participants, clicks, sales, refunds and disputes under random terms.

Biased to boundaries: few instants, so that many are equal or at the end of a window; amounts at thresholds; refunds of
the whole, of a line, of the referral that reached a tier.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from oracle.conversions import conversions_of
from oracle.drawing import (
    AMOUNTS,
    COUNTRIES,
    CURRENCIES,
    GROUPS,
    LAST_DAY,
    PRICES,
    PRODUCTS,
    RATES,
    START,
    Dice,
)
from oracle.drawn_terms import currency_terms, fraud_rules, terms
from oracle.sums import months_later
from oracle.worlds import (
    DAY,
    Customer,
    Dispute,
    Line,
    Participant,
    Payment,
    Profile,
    Refund,
    StripeEvent,
    Subscription,
    Touch,
    World,
)
from refref.core.terms import TermsVersion

# When something is bought, after the click: most soon, some before, at the ends of windows, or too late.
LATER = (0, DAY, DAY, 2 * DAY, 9 * DAY, 10 * DAY, 11 * DAY - 1, 11 * DAY, 31 * DAY, 61 * DAY, -1, -DAY, -10 * DAY)
NAMES = ("ana", "bea", "cy", "dia", "eli", "fay")


def worlds(dice: Dice, most_customers: int = 15) -> World:
    """A whole world; its first participants are ana and bea, whom terms name."""
    currency, fraud = currency_terms(dice), fraud_rules(dice) if dice.rare(3) else ()
    versions = [TermsVersion(1, dice.one((0, 0, 0, 0, 0, START + 10 * DAY)), terms(dice, currency, fraud))]
    for number in range(2, dice.one((1, 1, 1, 2, 3)) + 1):
        versions.append(TermsVersion(number, dice.instant(20, 80), terms(dice, currency, fraud)))
    people = tuple(participants(dice, name) for name in NAMES[: dice.whole(2, 6)])
    # Most customers come through few participants, so that tiers and caps are reached.
    customers = tuple(buyers(dice, number, people) for number in range(1, dice.whole(1, most_customers) + 1))
    pauses: tuple[tuple[int, int | None], ...] = ()
    if dice.rare(16):
        begun = dice.instant(0, 40)
        pauses = ((begun, dice.one((None, begun + 10 * DAY))),)
    archived_at = dice.instant(60, LAST_DAY) if dice.rare(16) else None
    world = World(people, customers, tuple(versions), pauses, archived_at, RATES)
    return replace(world, reviews=reviews(dice, world)) if dice.rare(3) else world


def reviews(dice: Dice, world: World) -> dict[tuple[str, str], str]:
    """A few verdicts on rewards, conversions and referees."""
    given = {}
    conversions = conversions_of(world)
    for _ in range(dice.whole(1, 3) if conversions else 0):
        conversion = dice.one(conversions)
        name = dice.one(((conversion.key, "r1"), (conversion.key, ""), (conversion.customer.referee_id, "")))
        given[name] = dice.one(("approved", "rejected"))
    return given


def participants(dice: Dice, name: str) -> Participant:
    profiles: tuple[Profile, ...] = ()
    if dice.rare(2):
        first = Profile(0, dice.one(((), GROUPS[:1], GROUPS)), dice.one((None, "FR", "US")))
        later = Profile(dice.instant(20, 60), GROUPS[1:], "FR")
        profiles = (first, later) if dice.rare() else (first,)
    return Participant(
        f"ptc_{name}",
        name,
        dice.one((f"{name}@partner.example", f"{name}@gmail.com", None)),
        f"promo_{name}",
        dice.one(("affiliate", "referrer")),
        0,
        dice.instant(20, 60) if dice.rare(10) else None,
        profiles,
        f"ip-{name}" if dice.rare() else "",
    )


def buyers(dice: Dice, number: int, people: tuple[Participant, ...]) -> Customer:
    clicked = dice.instant(-5, 60)
    joined = clicked + dice.one((0, DAY, -DAY, 10 * DAY, 11 * DAY - 1, 11 * DAY))
    if dice.rare(8):
        guest: Customer = guests(dice, number, people, clicked)
        return guest
    touches = customer_touches(dice, people, clicked, joined) if not dice.rare(6) else ()
    subscriptions, payments = purchases(dice, number, people, clicked)
    addresses = (f"c{number}@shop.example", "x@mailinator.com", "ana+b@partner.example", "z@gmail.com", None)
    email = dice.one(addresses) if dice.rare(6) else f"c{number}@buyer.example"
    return Customer(
        f"cus_{number:02}",
        joined,
        email,
        dice.one((None, *COUNTRIES)),
        dice.one(((), (("tier", "gold"),), (("tier", "iron"),))),
        touches,
        payments,
        subscriptions,
        happenings(dice, clicked) if dice.rare(3) else (),
        "ip-ana" if dice.rare(8) else "",
    )


def guests(dice: Dice, number: int, people: tuple[Participant, ...], clicked: int) -> Customer:
    """Somebody without a customer at Stripe: one checkout, with the code in its client_reference_id."""
    at = clicked + dice.one((0, DAY, 61 * DAY))
    code = dice.one(people).code
    touch = Touch("client_reference_id", code, at)
    made = payments(dice, f"{number:02}00", at, people)
    sale = replace(made, source="session", subscription="", touches=(touch,))
    email = dice.one((f"g{number}@shop.example", None))
    return Customer(f"gone_{number}", at, email, payments=(_plain(sale),), is_guest=True)


def customer_touches(dice: Dice, people: tuple[Participant, ...], clicked: int, joined: int) -> tuple[Touch, ...]:
    """What is known of the customer: in metadata, or told by the merchant's application."""
    found = []
    for kind in dice.one((("customer.metadata",), ("signup",), ("customer.metadata", "signup"))):
        code = dice.one((*(person.code for person in people[:2]), *(person.code for person in people)))
        seen = max(clicked, joined) + dice.one((0, 0, DAY))
        campaign = dice.one(("spring", "spring", ""))
        is_told = kind == "signup" and not dice.rare()  # only the merchant's application knows of the click
        found.append(Touch(kind, code, seen, clicked if is_told else None, campaign))
    return tuple(found)


def purchases(
    dice: Dice, number: int, people: tuple[Participant, ...], clicked: int
) -> tuple[tuple[Subscription, ...], tuple[Payment, ...]]:
    """Up to two subscriptions with their invoices, and single purchases."""
    subscriptions, made = [], []
    serial = 0
    for count in range(1, dice.one((0, 1, 1, 1, 2)) + 1):
        name = f"sub_{number:02}{count}"
        begun = clicked + dice.one(LATER)
        product = dice.one(PRODUCTS)
        has_trial = dice.rare()
        changes: tuple[tuple[str, int], ...] = ()
        if dice.rare():
            changes = ((dice.one(("downgrade", "quantity_change")), begun + dice.whole(1, 60) * DAY),)
        currency = dice.one(CURRENCIES)
        subscriptions.append(
            Subscription(name, begun, currency, product, PRICES[product], begun if has_trial else None, changes)
        )
        first = begun + (14 * DAY if has_trial else 0)
        for month in range(dice.whole(0, 4)):
            serial += 1
            reason = "subscription_cycle" if month else "subscription_create"
            if month and dice.rare():
                reason = "subscription_update"
            sale = payments(dice, f"{number:02}{serial:02}", months_later(first, month), people, product, currency)
            made.append(replace(sale, status="paid", subscription=name, billing_reason=reason))
    for _ in range(dice.one((0, 0, 1, 1, 2))):
        serial += 1
        at = clicked + dice.one(LATER)
        sale = payments(dice, f"{number:02}{serial:02}", at, people)
        source = dice.one(("invoice", "invoice", "session", "bare"))
        made.append(_plain(replace(sale, source=source)))
    return tuple(subscriptions), tuple(made)


def _plain(sale: Payment) -> Payment:
    """Only invoices are paid in part or out of band, have prorations and credit notes; bare charges have no lines."""
    if sale.source == "invoice":
        return replace(sale, status="paid")  # others are no sales yet
    lines = tuple(
        replace(line, line_id=f"li_{sale.payment_id}{number}", amount=abs(line.amount), discount=0, is_proration=False)
        for number, line in enumerate(sale.lines)
    )
    sale = replace(sale, lines=lines, paid=None, off_stripe=0)
    if sale.source == "bare":
        plain = tuple(replace(line, tax_inclusive=0, tax_exclusive=0) for line in lines)
        sale = replace(sale, lines=plain, shipping=0, has_known_lines=False, coupons=())
        sale = replace(sale, touches=(), status="paid")
    refunds = tuple(replace(refund, line_ids=(), amount=min(refund.amount, sale.moved)) for refund in sale.refunds)
    disputes = tuple(replace(dispute, amount=sale.moved) for dispute in sale.disputes)
    if sale.status != "paid":
        refunds, disputes = (), ()
    return replace(sale, refunds=tuple(one for one in refunds if one.amount > 0), disputes=disputes)


def payments(
    dice: Dice, number: str, at: int, people: tuple[Participant, ...], product: str = "", currency: str = ""
) -> Payment:
    """A paid invoice of one to three lines; now and then something of it went back, or a code was used on it."""
    lines = [lines_of(dice, f"il_{number}1", product)]
    for count in range(2, dice.one((1, 1, 1, 2, 3)) + 1):
        lines.append(lines_of(dice, f"il_{number}{count}", ""))
    sale = Payment(
        number,
        at,
        tuple(lines),
        currency=currency or dice.one(CURRENCIES),
        shipping=500 if dice.rare(8) else 0,
        status=dice.one(("pending", "failed")) if dice.rare(12) else "paid",
        has_known_lines=not dice.rare(12),
        coupons=("coupon_a",) if dice.rare(8) else (),
        touches=sale_touches(dice, at, people) if dice.rare(8) else (),
    )
    if dice.rare(6):
        sale = replace(sale, card=dice.one(("card_1", "card_2")))
    if dice.rare(8):
        sale = replace(sale, paid=dice.one((0, sale.total // 2, sale.total - 1, sale.total + 100)))
    if dice.rare(10):
        sale = replace(sale, off_stripe=sale.moved)
    if dice.rare(3) and sale.moved > 0:
        sale = replace(sale, refunds=refunds(dice, sale))
    if dice.rare(10) and sale.moved > 0:
        outcome = dice.one(("open", "inquiry", "lost", "won"))
        sale = replace(sale, disputes=(Dispute(f"dp_{number}", sale.moved, at + 2 * DAY, outcome),))
    return sale


def sale_touches(dice: Dice, at: int, people: tuple[Participant, ...]) -> tuple[Touch, ...]:
    person = dice.one(people)
    return (Touch("promotion_code", dice.one((person.promotion_code, "promo_nobody")), at),)


def lines_of(dice: Dice, line_id: str, product: str) -> Line:
    chosen = product or dice.one(PRODUCTS)
    amount = dice.one(AMOUNTS)
    discount = dice.one((amount // 2, amount, 1)) if dice.rare(6) else 0
    inclusive = (amount - discount) // 6 if dice.rare(8) else 0
    exclusive = (amount - discount) // 10 if dice.rare(8) else 0
    is_proration = dice.rare(5)
    if is_proration and dice.rare(2):
        amount, discount, inclusive, exclusive = -amount, 0, 0, 0
    quantity = dice.one((1, 1, 3, None, 0))
    return Line(line_id, amount, discount, inclusive, exclusive, chosen, PRICES[chosen], quantity, is_proration)


def refunds(dice: Dice, sale: Payment) -> tuple[Refund, ...]:
    """The whole, a part, two parts, a line by credit note, or one that failed."""
    number, moved, at = sale.payment_id, sale.moved, sale.paid_at + DAY
    kind = dice.one(("whole", "part", "two", "line", "failed"))
    part = max(1, dice.one((moved // 2, moved // 3, 1, moved - 1)))
    if kind == "whole":
        return (Refund(f"re_{number}", moved, at),)
    if kind == "two":
        return (Refund(f"re_{number}a", part, at, "pending"), Refund(f"re_{number}b", part, at + DAY))
    if kind == "failed":
        return (Refund(f"re_{number}", part, at, dice.one(("failed", "canceled"))),)
    if kind == "line":
        line = dice.one(sale.lines)
        if 0 < line.gross <= moved and sale.moved == sale.total:
            return (Refund(f"re_{number}", line.gross, at, line_ids=(line.line_id,)),)
    return (Refund(f"re_{number}", part, at),)


def happenings(dice: Dice, clicked: int) -> tuple[StripeEvent, ...]:
    """Stored events about the customer, no two in one second."""
    found = []
    for number in range(dice.whole(1, 3)):
        at = clicked + dice.one((0, -2 * DAY, 10 * DAY, 30 * DAY)) + number
        word, amount = dice.one(("passed", "open")), dice.one(AMOUNTS)
        found.append(StripeEvent(at, word, amount, dice.one(CURRENCIES)))
    return tuple(found)


@st.composite
def stories(draw: st.DrawFn, most_customers: int = 15) -> tuple[World, int]:
    """A world and the instant at which it is looked at."""
    dice = Dice(draw)
    return worlds(dice, most_customers), dice.instant(0, 3 * LAST_DAY)
