"""The sample shop's control page and the hosted payment page."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from refref.sandbox.control import Control
from refref.sandbox.errors import StripeError
from refref.sandbox.safe_pages import SafePages, is_local, static_files
from refref.sandbox.shop_view import ShopView, listener_url, minor_units, moment, money_text
from refref.sandbox.store import Doc

Answer = Callable[[Request], Awaitable[Response]]
STRIPE_ID = re.compile(r"[a-z]+_\w+")
ARRIVING_SECONDS = 2


class Pages(SafePages):
    """Renders the pages over the same `Control` the JSON routes use."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self.control = control
        self.sb = control.sandbox

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        return [
            Route("/", self.shop, methods=["GET"]),
            Route("/_page/{what}", self.act, methods=["POST"]),
            Route("/pay/{session}", self.pay, methods=["GET", "POST"]),
            static_files(),
        ]

    async def shop(self, request: Request) -> Response:
        """The control page."""
        if not is_local(request):
            return Response("Unknown host.", 421)
        query = request.query_params.get("q", "")
        done = request.query_params.get("done", "")
        view = ShopView(self.sb, query)
        state = self.control.state()
        arriving = state["history"]["of_months"] > 0
        page = self.html(
            "shop.html",
            title="Sample shop",
            now=moment(self.sb.now),
            said=request.query_params.get("said"),
            done=done if STRIPE_ID.fullmatch(done) else None,
            refref=listener_url(self.sb),
            state=state,
            query=query,
            choices=view.choices(self.control.promoters),
            payments=view.payments(),
            customers=view.customers(),
            told=view.told(),
        )
        if arriving:  # the page comes again by itself until all is there
            page.headers["refresh"] = str(ARRIVING_SECONDS)
        return page

    async def act(self, request: Request) -> Response:
        """A button of the control page: do it and come back."""
        form = await self.form_of(request)
        if form is None:
            return Response("This form is not from this page. Go back, reload and try again.", 403)
        back = {"q": form["q"]} if "q" in form else {}
        fields = {name: value for name, value in form.items() if name != "q"}
        try:
            said, done = await self._do(request.path_params["what"], fields)
            back |= {"said": said}
            if "id" in done:
                back |= {"done": done["id"]}
        except StripeError as error:
            back |= {"said": error.message}
        return RedirectResponse(f"/?{urlencode(back)}", 303)

    async def _do(self, what: str, fields: dict[str, Any]) -> tuple[str, Doc]:
        if "amount" in fields:
            fields["amount"] = minor_units(fields["amount"], self.sb.charge_of(fields["payment"])["currency"])
        if "on" in fields:
            fields["on"] = fields["on"] == "yes"
        return await self.control.act(what, fields)

    async def pay(self, request: Request) -> Response:
        """The hosted payment page of a Checkout Session."""
        session_id = request.path_params["session"]
        if not is_local(request) or not self.sb.has("checkout.session", session_id):
            return Response("There is no such payment page.", 404)
        if request.method == "GET":
            return self._pay_page(session_id, None)
        form = await self.form_of(request)
        if form is None:
            return self._pay_page(session_id, "This form is out of date. Try again.", 403)
        try:
            done = self.sb.pay_session(
                session_id,
                card=form.get("card", "visa"),
                email=form.get("email"),
                name=form.get("name"),
                promotion_code=form.get("promotion_code"),
            )
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
        return self.html(
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
