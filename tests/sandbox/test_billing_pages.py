"""The pages a buyer sees besides Checkout, as a browser without scripts sees them."""

import re

import httpx

from sandbox.shop import Shop


def token_of(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_payment_link_leads_to_a_payment_page(shop: Shop) -> None:
    link = shop.client.v1.payment_links.create({"line_items": [{"price": shop.once, "quantity": 1}]})
    answer = httpx.get(f"{shop.url}/buy/{link.id}?client_reference_id=amy&utm_source=x")
    assert answer.status_code == 303
    session = shop.sb.get(answer.headers["location"].removeprefix("/pay/"))
    assert (session["client_reference_id"], session["payment_link"], session["status"]) == ("amy", link.id, "open")
    shop.client.v1.payment_links.update(link.id, {"active": False, "inactive_message": "Sold out"})
    closed = httpx.get(f"{shop.url}/buy/{link.id}")
    assert (closed.status_code, "Sold out" in closed.text) == (410, True)
    assert httpx.get(f"{shop.url}/buy/plink_none").status_code == 404


def test_the_bank_asks_and_is_answered(shop: Shop) -> None:
    v1 = shop.client.v1
    intent = v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "payment_method": "pm_card_authenticationRequired", "confirm": True}
    )
    url = f"{shop.url}/authenticate/{intent.id}"
    page = httpx.get(url).text
    for token in ({}, {"token": "another"}, {"token": "señal"}):
        assert httpx.post(url, data={"do": "pass", **token}).status_code == 403
    assert v1.payment_intents.retrieve(intent.id).status == "requires_action"
    done = httpx.post(url, data={"do": "pass", "token": token_of(page)})
    assert "succeeded" in done.text
    assert v1.payment_intents.retrieve(intent.id).status == "succeeded"
    setup = v1.setup_intents.create({"payment_method": "pm_card_authenticationRequired", "confirm": True})
    url = f"{shop.url}/authenticate/{setup.id}"
    httpx.post(url, data={"do": "fail", "token": token_of(httpx.get(url).text)})
    assert v1.setup_intents.retrieve(setup.id).status == "requires_payment_method"


def test_a_hosted_invoice_is_paid(shop: Shop) -> None:
    customer = shop.sb.create_customer(email="a@example.com")["id"]
    invoice = shop.sb.create_invoice(customer, [{"amount": 1250, "description": "A <b>day</b>"}])
    url = shop.url + invoice["hosted_invoice_url"].partition(shop.sb.public_url)[2]
    page = httpx.get(url).text
    assert "12.50 USD" in page
    assert "A &lt;b&gt;day&lt;/b&gt;" in page
    declined = httpx.post(url, data={"token": token_of(page), "card": "declined"})
    assert (declined.status_code, "declined" in declined.text) == (402, True)
    paid = httpx.post(url, data={"token": token_of(page), "card": "visa"})
    assert "This invoice is paid" in paid.text
    assert shop.client.v1.invoices.retrieve(invoice["id"]).amount_paid == 1250
