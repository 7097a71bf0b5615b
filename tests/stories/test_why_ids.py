"""Why not, asked with everything that a person may find in Stripe or in RefRef: an answer and a next step for each."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from refref.flows.explain import explain
from refref.flows.payouts import record_payout
from refref.sandbox import Sandbox
from stories.doctor_plants import second_connection
from stories.story import MODES, START, Mode, Story
from stories.test_why_not import why
from stories.world import World


@pytest.fixture
def s(world_of: Callable[[Mode], World]) -> Story:
    """Give the story of a merchant with one referred subscriber and one customer whom nobody referred."""
    world = world_of(MODES[0])
    sandbox = Sandbox(clock_start=START, seed=31)
    made = Story(world, MODES[0], world.create_merchant(sandbox), sandbox, random.Random(31))  # noqa: S311 - repeatable tests need it
    made.affiliate("ana")
    made.buy(
        made.price(5_000, every="month"),
        email="Buyer+one@Customers.example",
        discounts=[{"promotion_code": made.code("ana")}],
    )
    made.buy(made.price(2_000), email="organic@customers.example")
    made.deliver()
    made.sb.refund(made.sb.all("charge")[0]["id"], amount=1_000)
    made.sb.dispute(made.sb.all("charge")[1]["id"])
    made.wait(months=1)
    return made


def first(s: Story, kind: str) -> Any:
    return s.sb.all(kind)[0]


def answer(found: dict[str, Any]) -> tuple[str, int, list[str]]:
    return found["kind"], len(found["payments"]), [cause["code"] for cause in found["causes"]]


PAYMENTS = ("invoice", "payment_intent", "charge", "refund", "dispute", "checkout.session", "invoice_payment")


def test_an_id_of_a_sale_tells_of_that_payment_alone(s: Story) -> None:
    for kind in PAYMENTS:
        found = why(s, first(s, kind)["id"])
        assert answer(found) == ("payment", 1, []), kind
        assert first(s, kind)["id"] in found["payments"][0]["ids"]
    invoice = first(s, "invoice")["id"]
    address = f"https://dashboard.stripe.com/test/invoices/{invoice}?tab=log"
    for pasted in (f"  {invoice}\n", address, f"{invoice}\x00"):
        assert answer(why(s, pasted)) == ("payment", 1, [])


def test_an_id_or_address_of_a_customer_tells_of_all_payments(s: Story) -> None:
    subscription = first(s, "subscription")
    (referral,) = s.world.fetch(s.merchant, "select referral_id from referral")
    for asked in (
        *(subscription["id"], subscription["customer"], referral[0]),
        *("Buyer+one@Customers.example", "buyer+ONE@customers.EXAMPLE"),
    ):
        assert answer(why(s, asked)) == ("customer", 2, []), asked
    assert answer(why(s, "buyer@customers.example"))[:2] == ("unknown", 0)  # a tag makes another address
    assert why(s, "buyer@customers.example")["causes"][0]["code"] == "no_such_address"


def test_a_reward_and_its_entries_tell_of_its_payment(s: Story) -> None:
    (entry,) = s.world.fetch(s.merchant, "select entry_id from ledger_entry order by 1 limit 1")
    for asked in (entry[0], entry[0].partition(".")[0]):
        assert answer(why(s, asked)) == ("reward", 1, [])


def test_events_tell_what_came_of_them(s: Story) -> None:
    of = {event["type"]: event["id"] for event in s.sb.events}
    for kind, payments in (("invoice.paid", 1), ("charge.refunded", 1), ("product.created", 0)):
        assert answer(why(s, of[kind])) == ("event", payments, []), kind


def test_what_is_of_the_set_up_or_the_catalogue_says_what_it_is(s: Story) -> None:
    promotion_code = first(s, "promotion_code")
    shops_own = s.sb.create_promotion_code(first(s, "coupon")["id"], "SUMMER")
    s.wait(months=2)
    for asked, code, words in (
        (first(s, "product")["id"], "is_product", "the product “Plan”"),
        (first(s, "price")["id"], "is_price", "a price of the product “Plan”"),
        (first(s, "coupon")["id"], "is_coupon", "the coupon"),
        (promotion_code["id"], "is_promotion_code", "It belongs to ana"),
        (promotion_code["code"].lower(), "is_promotion_code", "It belongs to ana"),
        (shops_own["id"], "is_promotion_code", "belongs to no participant"),
        ("Summer", "is_promotion_code", "belongs to no participant"),
        ("Ana", "is_refcode", "It belongs to ana"),
        (s.names["ana"], "is_participant", "the participant “ana”"),
        ("ANA@partners.example", "is_participant", "the participant “ana”"),
        (s.names["main"], "is_program", "the program “main”"),
        (s.merchant.connection_id, "is_connection", "the connection “Story”"),
        (_paid(s), "is_payout", "a payout to “ana”"),
    ):
        found = why(s, asked)
        assert answer(found) == ("named", 0, [code]), asked
        assert words in found["headline"]
        assert found["causes"][0]["href"].startswith("/")
    s.deactivate("ana", "ana")
    assert "and was ended" in why(s, "ana")["headline"]


def _paid(s: Story) -> str:
    async def work() -> str:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            paid = await record_payout(
                tx,
                s.merchant.organization_id,
                s.names["ana"],
                currency="usd",
                amount_minor=None,
                actor="system",
                now=datetime.fromtimestamp(s.sb.now, UTC),
            )
        return paid.payout_id

    return s.world.run(work())


def test_an_object_without_a_payment_of_its_own_does_not_tell_of_others(s: Story) -> None:
    customer = first(s, "subscription")["customer"]
    draft = s.sb.create_invoice(customer, [{"amount": 700, "description": "Work"}])["id"]
    s.deliver()
    assert answer(why(s, draft)) == ("unknown", 0, ["event_ignored"])
    s.sb.void_invoice(draft)
    s.deliver()
    found = why(s, draft)
    assert answer(found) == ("payment", 0, [])
    assert (found["stopped_by"]["gate"], found["stopped_by"]["code"]) == ("payment", "not_paid")
    assert "void" in found["stopped_by"]["sentence"]


def test_what_stripe_has_and_refref_does_not_keep_says_with_what_to_ask(s: Story) -> None:
    subscription, invoice = first(s, "subscription"), first(s, "invoice")
    kept = [subscription["items"]["data"][0]["id"], invoice["lines"]["data"][0]["id"]]
    for asked in (*kept, "di_1Sample12345", "txn_1Sample12345", "po_1Sample12345", "we_1Sample12345"):
        found = why(s, asked)
        assert answer(found) == ("unknown", 0, ["not_kept"]), asked
        assert found["causes"][0]["remedy"].startswith("Ask with the id of")


def test_nothing_of_another_organization_is_told(s: Story) -> None:
    other = s.another_account()
    other.affiliate("zoe")
    session = other.buy(other.price(100), "zoe", email="zoe@customers.example")
    other.catch_up()
    event = other.sb.events[-1]["id"]
    for asked in (session, event, "zoe@customers.example", "zoe", other.names["zoe"], other.names["main"]):
        found = why(s, asked)
        assert (found["kind"], found["payments"], found["facts"]) == ("unknown", [], []), asked
        assert found["causes"], asked
        assert not any("Story" in cause["sentence"] or cause["code"] == "other_connection" for cause in found["causes"])


@pytest.mark.parametrize("asked", ["hello world", "%", "x" * 5_000, "'; drop table fact", "\ud800", "a@", "in_"])
def test_nonsense_gets_an_answer(s: Story, asked: str) -> None:
    found = why(s, asked)
    assert found["kind"] == "unknown"
    assert found["causes"]


def test_where_several_connections_are_meant_an_unknown_id_has_its_next_steps_too(s: Story) -> None:
    second_connection(s)

    async def ask(any_id: str) -> dict[str, Any]:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            return await explain(tx, s.merchant.organization_id, None, any_id, s.sb.now)

    assert answer(s.world.run(ask("cs_live_a1Sample"))) == (
        *("unknown", 0),
        ["never_arrived", "before_connection", "filtered_type", "other_account"],
    )
    assert answer(s.world.run(ask("ana"))) == ("named", 0, ["is_refcode"])
    assert answer(s.world.run(ask(first(s, "invoice")["id"])))[:2] == ("payment", 1)


def test_a_secret_is_not_shown_again(s: Story) -> None:
    found = why(s, "sk_live_abcdefghijk")
    assert answer(found) == ("unknown", 0, ["secret"])
    assert "abcdefghijk" not in str(found)
