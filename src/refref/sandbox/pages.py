"""The sample merchant's control page and the hosted payment page: plain HTML, no scripts, no outside assets.

Forms carry a token and are refused from other origins; the host must be a loopback name (no DNS rebinding).
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from refref.sandbox.control import Control
from refref.sandbox.errors import StripeError
from refref.sandbox.sample_shop import price_id
from refref.sandbox.store import Doc
from refref.sandbox.subscriptions import LIVE

Answer = Callable[[Request], Awaitable[Response]]
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
ZERO_DECIMAL = {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
SHOWN = 20
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


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


def local(request: Request) -> bool:
    """Whether a request is for a loopback name and, if it names an origin, comes from the same place."""
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    if urlsplit(f"//{host}").hostname not in LOOPBACK:
        return False
    return origin is None or urlsplit(origin).netloc == host


class Pages:
    """Renders the pages over the same `Control` the JSON routes use."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.sb = control.sandbox
        self.token = secrets.token_urlsafe(24)
        folder = Path(__file__).with_name("templates")
        self._templates = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True)

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        return [
            Route("/", self.shop, methods=["GET"]),
            Route("/_page/{what}", self.act, methods=["POST"]),
            Route("/pay/{session}", self.pay, methods=["GET", "POST"]),
        ]

    def _html(self, name: str, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(name).render(token=self.token, **values)
        headers = {
            "content-security-policy": POLICY,
            "cache-control": "no-store",
            "referrer-policy": "same-origin",
        }
        return HTMLResponse(text, status, headers)

    async def _form(self, request: Request) -> Mapping[str, str] | None:
        """The fields of a form that is ours; None when it is not."""
        form = {k: str(v) for k, v in (await request.form()).items()}
        trusted = local(request) and secrets.compare_digest(form.pop("token", ""), self.token)
        return {k: v for k, v in form.items() if v} if trusted else None

    async def shop(self, request: Request) -> Response:
        """The control page."""
        if not local(request):
            return Response("Unknown host.", 421)
        state = self.control.state()
        return self._html(
            "shop.html",
            title="Sample merchant",
            now=moment(self.sb.now),
            said=request.query_params.get("said"),
            events=state["events"],
            next_number=len(self.sb.live("checkout.session")) + 1,
            prices=[{"id": p["id"], "label": self._plan(p)} for p in self.sb.live("price") if p["active"]],
            payments=[self._payment(c) for c in self.sb.live("charge")[: -SHOWN - 1 : -1]],
            subscriptions=[self._subscription(s) for s in self.sb.live("subscription")[: -SHOWN - 1 : -1]],
            **{k: state["deliveries"][k] for k in ("delivered", "waiting", "failed")},
        )

    def _plan(self, price: Doc) -> str:
        every = f" a {price['recurring']['interval']}" if price["recurring"] else ""
        return f"{self.sb.product_name(price)}, {money_text(price['unit_amount'], price['currency'])}{every}"

    def _who(self, customer: str | None) -> str:
        found: Doc = {} if customer is None else self.sb.find("customer", customer)
        return str(found.get("email") or ("deleted" if found.get("deleted") else "guest"))

    def _payment(self, charge: Doc) -> Doc:
        paid = charge["status"] == "succeeded"
        dispute = self.sb.find("dispute", charge["dispute"]) if charge["dispute"] else None
        left = charge["amount"] - charge["amount_refunded"]
        state = charge["status"]
        if charge["amount_refunded"]:
            state += f", refunded {money_text(charge['amount_refunded'], charge['currency'])}"
        if dispute:
            state += f", dispute {dispute['status'].replace('_', ' ')}"
        return {
            "id": charge["id"],
            "when": moment(charge["created"]),
            "who": self._who(charge["customer"]),
            "amount": money_text(charge["amount"], charge["currency"]),
            "half": money_text(left // 2, charge["currency"]).split()[0],
            "state": state,
            "refundable": paid and left > 0,
            "disputable": paid and dispute is None,
            "dispute": dispute["id"] if dispute and dispute["status"] in ("needs_response", "under_review") else None,
        }

    def _subscription(self, sub: Doc) -> Doc:
        item = sub["items"]["data"][0]
        alive = sub["status"] in LIVE
        annual = price_id("annual", sub["currency"])
        monthly = item["price"]["recurring"]["interval"] == "month"
        return {
            "id": sub["id"],
            "since": moment(sub["created"]),
            "who": self._who(sub["customer"]),
            "plan": self._plan(item["price"]),
            "state": sub["status"].replace("_", " "),
            "renews": moment(item["current_period_end"]) if alive else "",
            "upgrade": annual if alive and monthly and self.sb.has("price", annual) else None,
            "live": alive,
        }

    async def act(self, request: Request) -> Response:
        """A button of the control page: do it and come back."""
        form = await self._form(request)
        if form is None:
            return Response("This form is not from this page. Go back, reload and try again.", 403)
        try:
            said = await self._do(request.path_params["what"], dict(form))
        except StripeError as error:
            said = error.message
        return RedirectResponse(f"/?{urlencode({'said': said})}", 303)

    async def _do(self, what: str, form: dict[str, Any]) -> str:
        if "amount" in form:
            form["amount"] = minor_units(form["amount"], self.sb.charge_of(form["payment"])["currency"])
        for name in ("days", "months"):
            if name in form:
                form[name] = int(form[name])
        return (await self.control.do_today(what, form))[0]

    async def pay(self, request: Request) -> Response:
        """The hosted payment page of a Checkout Session."""
        session_id = request.path_params["session"]
        if not local(request) or not self.sb.has("checkout.session", session_id):
            return Response("There is no such payment page.", 404)
        if request.method == "GET":
            return self._pay_page(session_id, None)
        form = await self._form(request)
        if form is None:
            return self._pay_page(session_id, "This form is out of date. Try again.", 403)
        try:
            done = self.sb.pay_session(session_id, **{k: form[k] for k in PAY_FIELDS if k in form})
        except StripeError as error:
            return self._pay_page(session_id, error.message, 402)
        target = done["success_url"]
        if not target:
            return self._pay_page(session_id, None)
        return RedirectResponse(target.replace("{CHECKOUT_SESSION_ID}", session_id), 303)

    def _pay_page(self, session_id: str, said: str | None, status: int = 200) -> Response:
        session = self.sb.find("checkout.session", session_id)
        known: Doc = self.sb.find("customer", session["customer"]) if session["customer"] else {}
        messages = {"complete": "Thank you. You have paid.", "expired": "This payment page has expired."}
        items = [
            {"text": f"{i['quantity']} × {i['description']}", "amount": money_text(i["amount_total"], i["currency"])}
            for i in session.get("_items", [])
        ]
        return self._html(
            "pay.html",
            status,
            title="Pay",
            open=session["status"] == "open",
            message=messages.get(session["status"], ""),
            said=said,
            items=items,
            total=money_text(session["amount_total"] or 0, session["currency"] or "usd"),
            email=session["customer_email"] or known.get("email") or "",
            buyer=known.get("name") or "",
            promotion_codes=session["allow_promotion_codes"],
        )


PAY_FIELDS = ("card", "email", "name", "promotion_code")
