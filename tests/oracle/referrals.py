"""Who referred whom, by docs/how-it-counts.md section 3, and what the fraud checks find in the two alone."""

from __future__ import annotations

from dataclasses import dataclass

from oracle.worlds import DAY, Customer, Participant, Payment, Touch, World

ORDER = (
    "manual",
    "promotion_code",
    "client_reference_id",
    "session.metadata",
    "subscription.metadata",
    "payment_intent.metadata",
    "invoice.metadata",
    "customer.metadata",
    "signup",
)
PUBLIC_MAIL = ("gmail.com",)
DISPOSABLE = ("mailinator.com",)


@dataclass(frozen=True)
class Bond:
    """A referee's bond: `start` is the click or the first sight, `covers_from` what payments must not lie before."""

    participant: Participant
    touch: Touch
    start: int
    covers_from: int
    sale_key: str


def bond_of(world: World, customer: Customer) -> Bond | None:
    """The bond of a customer, None where nobody referred them."""
    payments = sorted(customer.payments, key=lambda payment: (payment.paid_at, payment.key))
    known = [payment for payment in payments if payment.status in ("paid", "pending")]
    groups: dict[str, list[tuple[Touch, str]]] = {}
    for payment in payments:
        for touch in payment.touches:
            groups.setdefault(payment.key, []).append((touch, payment.key))
    for touch in customer.touches:
        if known and touch.seen_at <= known[0].paid_at + DAY:
            groups.setdefault(known[0].key, []).append((touch, ""))
        else:
            groups.setdefault(customer.customer_id, []).append((touch, ""))
    by_time = sorted(groups.items(), key=lambda group: (min(touch.seen_at for touch, _ in group[1]), group[0]))
    for _, touches in by_time:
        for touch, sale_key in sorted(touches, key=lambda found: (ORDER.index(found[0].kind), found[0].seen_at)):
            person = _owner(world, touch)
            if person is not None:
                return _bond(person, touch, sale_key)
    return None


def _owner(world: World, touch: Touch) -> Participant | None:
    for person in world.participants:
        is_theirs = touch.value == (person.promotion_code if touch.kind == "promotion_code" else person.code)
        if is_theirs and (person.ended_at is None or touch.seen_at < person.ended_at):
            return person
    return None


def _bond(person: Participant, touch: Touch, sale_key: str) -> Bond:
    if touch.clicked_at is None:
        return Bond(person, touch, touch.seen_at, touch.seen_at - DAY, sale_key)
    start = min(touch.clicked_at, touch.seen_at)
    return Bond(person, touch, start, start, sale_key)


def signed_up_at(customer: Customer) -> int | None:
    """The earlier of the customer's creation and the call of the merchant's application; a guest never signs up."""
    if customer.is_guest:
        return None
    told = [touch.seen_at for touch in customer.touches if touch.kind == "signup"]
    return min([customer.created_at, *told])


def address(email: str | None) -> str:
    """An address without what a person may vary of their own: case and `+tag`."""
    name, _, domain = (email or "").lower().partition("@")
    return f"{name.partition('+')[0]}@{domain}" if domain else ""


def domain_of(email: str | None) -> str:
    return (email or "").lower().partition("@")[2]


def found_in(world: World, customer: Customer, bond: Bond) -> set[str]:
    """The checks that find something in the participant and the customer alone."""
    person = bond.participant
    found = set()
    if address(person.email) and address(person.email) == address(customer.email):
        found.add("self_email")
    is_same = "self_email" in found  # then neither the domain nor a card says anything more
    domain = domain_of(customer.email)
    if domain and domain == domain_of(person.email) and domain not in PUBLIC_MAIL and not is_same:
        found.add("self_domain")
    if domain in DISPOSABLE:
        found.add("disposable_email")
    if customer.ip and customer.ip == person.ip:
        found.add("self_ip")
    theirs = [one for one in world.customers if not one.is_guest and address(one.email) == address(person.email)]
    if address(person.email) and not is_same and any(cards_of(one) & cards_of(customer) for one in theirs):
        found.add("self_card")
    return found


def cards_of(customer: Customer) -> set[str]:
    """The cards that a customer's money came from."""
    return {payment.card for payment in customer.payments if payment.card and payment.moved > payment.off_stripe}


def covers(bond: Bond, at: int, payment: Payment | None) -> bool:
    """Whether the bond covers an instant: from the click on, and the sale that brought it whenever it was paid."""
    return at >= bond.covers_from or (payment is not None and payment.key == bond.sale_key)
