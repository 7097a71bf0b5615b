"""Invoices before and after they are final: lines, previews, balances, partial payments; over the wire."""

import pytest

import stripe
from sandbox.shop import Shop


def test_the_lines_of_a_draft(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"}).id
    draft = v1.invoices.create({"customer": customer, "currency": "eur"})
    assert (draft.status, draft.total, draft.auto_advance) == ("draft", 0, False)
    added = v1.invoices.add_lines(
        draft.id,
        {"lines": [{"amount": 700, "description": "Setting up"}, {"pricing": {"price": shop.once}, "quantity": 2}]},
    )
    assert [(line.description, line.amount) for line in added.lines.data] == [("Setting up", 700), ("Plan", 3000)]
    first, second = (line.id for line in added.lines.data)
    changed = v1.invoices.update_lines(
        draft.id, {"lines": [{"id": first, "amount": 900}, {"id": second, "quantity": 1}]}
    )
    assert (changed.total, changed.amount_due) == (2400, 2400)
    one = v1.invoices.line_items.update(draft.id, first, {"description": "Set-up"})
    assert one.description == "Set-up"
    removed = v1.invoices.remove_lines(draft.id, {"lines": [{"id": second, "behavior": "delete"}]})
    assert [line.amount for line in removed.lines.data] == [900]
    updated = v1.invoices.update(draft.id, {"description": "March", "metadata": {"k": "v"}, "footer": "Thanks"})
    assert (updated.description, updated.metadata["k"], updated.footer) == ("March", "v", "Thanks")
    final = v1.invoices.finalize_invoice(draft.id)
    assert (final.status, final.amount_due) == ("open", 900)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        v1.invoices.add_lines(draft.id, {"lines": [{"amount": 1}]})
    assert refused.value.code == "invoice_not_editable"
    assert v1.invoices.update(draft.id, {"metadata": {"k": "w"}}).metadata["k"] == "w"


def test_a_draft_is_deleted_with_its_items(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({}).id
    item = v1.invoice_items.create({"customer": customer, "amount": 500, "currency": "usd", "description": "X"})
    draft = v1.invoices.create({"customer": customer, "currency": "usd", "pending_invoice_items_behavior": "include"})
    assert draft.total == 500
    assert v1.invoice_items.update(item.id, {"amount": 650}).amount == 650
    assert v1.invoices.retrieve(draft.id).total == 650
    seen = len(shop.sb.events)
    assert v1.invoices.delete(draft.id).deleted
    assert [e["type"] for e in shop.sb.events_since(seen)] == ["invoiceitem.deleted", "invoice.deleted"]
    with pytest.raises(stripe.InvalidRequestError):
        v1.invoices.retrieve(draft.id)


def test_a_draft_that_advances_by_itself(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({}).id
    v1.invoice_items.create({"customer": customer, "amount": 500, "currency": "usd"})
    draft = v1.invoices.create({"customer": customer, "currency": "usd", "auto_advance": True})
    shop.sb.advance_by(hours=2)
    paid = v1.invoices.retrieve(draft.id)
    assert (paid.status, paid.amount_paid) == ("paid", 500)


def test_partial_payments_and_their_list(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"}).id
    invoice = shop.sb.create_invoice(customer, [{"amount": 1000}])["id"]
    shop.sb.pay_invoice(invoice, amount=300)
    assert v1.invoices.retrieve(invoice).amount_remaining == 700
    v1.invoices.pay(invoice, {"paid_out_of_band": True})
    payments = v1.invoice_payments.list({"invoice": invoice, "status": "paid"}).data
    assert [p.amount_paid for p in payments] == [300]
    assert v1.invoice_payments.retrieve(payments[0].id).invoice == invoice
    done = v1.invoices.retrieve(invoice)
    assert (done.status, done.amount_paid, done.amount_paid_off_stripe) == ("paid", 1000, 700)


def test_a_balance_in_each_currency(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"}).id
    for currency, amount in (("usd", -500), ("eur", -800)):
        v1.customers.balance_transactions.create(customer, {"amount": amount, "currency": currency})
    found = v1.customers.retrieve(customer)
    assert (found.balance, found.currency) == (-500, "usd")
    assert found.invoice_credit_balance.to_dict() == {"usd": 500, "eur": 800}
    invoice = shop.sb.create_invoice(customer, [{"price": shop.once}])
    assert (invoice["starting_balance"], invoice["amount_due"]) == (-800, 700)
    moves = v1.customers.balance_transactions.list(customer).data
    assert [(m.type, m.currency, m.ending_balance) for m in moves] == [
        ("applied_to_invoice", "eur", 0),
        ("adjustment", "eur", -800),
        ("adjustment", "usd", -500),
    ]
    assert v1.customers.balance_transactions.retrieve(customer, moves[0].id).invoice == invoice["id"]


def test_previews_change_nothing(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"}).id
    sub = v1.subscriptions.create({"customer": customer, "items": [{"price": shop.monthly}]})
    item = sub["items"].data[0].id
    shop.sb.advance("2026-02-14T00:00:00+00:00")
    before = {d["id"]: d for kind in ("subscription", "customer", "invoice", "invoiceitem") for d in shop.sb.all(kind)}
    events = len(shop.sb.events)
    upcoming = v1.invoices.create_preview({"subscription": sub.id})
    assert (upcoming.status, upcoming.amount_due, upcoming.billing_reason) == ("draft", 2500, "upcoming")
    details = {"items": [{"id": item, "price": shop.yearly}], "proration_behavior": "always_invoice"}
    upgrade = v1.invoices.create_preview({"subscription": sub.id, "subscription_details": details})  # type: ignore[typeddict-item]  # a plain dict
    assert [line.amount for line in upgrade.lines.data] == [-1250, 25000]
    later = {"items": [{"id": item, "quantity": 3}]}
    renewal = v1.invoices.create_preview({"subscription": sub.id, "subscription_details": later})  # type: ignore[typeddict-item]  # a plain dict
    assert sorted(line.amount for line in renewal.lines.data) == [-1250, 3750, 7500]
    fresh = {
        "customer": customer,
        "subscription_details": {"items": [{"price": shop.yearly}]},
        "invoice_items": [{"amount": 100, "currency": "usd"}],
    }
    new = v1.invoices.create_preview(fresh)  # type: ignore[arg-type]  # a plain dict
    assert new.total == 25100
    after = {d["id"]: d for kind in ("subscription", "customer", "invoice", "invoiceitem") for d in shop.sb.all(kind)}
    assert after == before
    assert len(shop.sb.events) == events
    v1.subscriptions.update(
        sub.id, {"items": [{"id": item, "price": shop.yearly}], "proration_behavior": "always_invoice"}
    )
    assert v1.invoices.list({"subscription": sub.id, "limit": 1}).data[0].total == upgrade.total


def test_what_the_preview_refuses(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({}).id
    with pytest.raises(stripe.InvalidRequestError) as nothing:
        v1.invoices.create_preview({"customer": customer})
    assert nothing.value.code == "invoice_upcoming_none"
    with pytest.raises(stripe.InvalidRequestError, match="Use tax rates"):
        v1.invoices.create_preview({"customer": customer, "automatic_tax": {"enabled": True}})
