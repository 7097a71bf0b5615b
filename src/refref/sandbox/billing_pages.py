"""Pages a buyer sees besides Checkout: a payment link, the bank's authentication, a hosted invoice."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from refref.sandbox.errors import StripeError
from refref.sandbox.payment_links import FROM_ADDRESS
from refref.sandbox.safe_pages import SafePages, is_local
from refref.sandbox.shop_view import money_text
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

GONE = "There is no such page."
STALE = "This form is out of date. Try again."
CHECKS = (("pass", "Complete authentication"), ("fail", "Fail authentication"))


class BillingPages(SafePages):
    """Renders the pages of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.sb = sandbox

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        both = ["GET", "POST"]
        return [
            Route("/buy/{link}", self.buy, methods=["GET"]),
            Route("/authenticate/{intent}", self.authenticate, methods=both),
            Route("/invoice/{page}", self.invoice, methods=both),
        ]

    def _page(
        self,
        title: str,
        message: str,
        status: int = 200,
        *,
        rows: Sequence[tuple[str, str]] = (),
        buttons: Sequence[tuple[str, str]] = (),
        cards: bool = False,
        said: str | None = None,
    ) -> Response:
        return self.html(
            "confirm.html", status, title=title, message=message, rows=rows, buttons=buttons, cards=cards, said=said
        )

    async def buy(self, request: Request) -> Response:
        """A payment link opens a new session and goes to its page."""
        link = request.path_params["link"]
        if not is_local(request) or not self.sb.has("payment_link", link):
            return self._page("Pay", GONE, 404)
        address = {k: v for k, v in request.query_params.items() if k in FROM_ADDRESS}
        try:
            session = self.sb.visit_payment_link(link, **address)
        except StripeError as error:
            return self._page("Pay", error.message, 410)
        self.sb.flush()
        return RedirectResponse(f"/pay/{session['id']}", 303)

    async def authenticate(self, request: Request) -> Response:
        """The bank asks whether it is really the buyer (3D Secure)."""
        intent = request.path_params["intent"]
        kind = "setup_intent" if intent.startswith("seti_") else "payment_intent"
        if not is_local(request) or not self.sb.has(kind, intent):
            return self._page("Authentication", GONE, 404)
        ask = "Your bank asks whether this is you. In a sandbox you decide what it finds."
        if request.method == "POST":
            form = await self.form_of(request)
            if form is None:
                return self._page("Authentication", ask, 403, buttons=CHECKS, said=STALE)
            try:
                self._answer(kind, intent, passed=form.get("do") == "pass")
            except StripeError as error:
                return self._page("Authentication", error.message, 409)
        status = self.sb.find(kind, intent)["status"]
        waits = status == "requires_action"
        message = ask if waits else f"Nothing to do: the status is {status.replace('_', ' ')}."
        return self._page("Authentication", message, buttons=CHECKS if waits else ())

    def _answer(self, kind: str, intent: str, *, passed: bool) -> None:
        if kind == "setup_intent":
            self.sb.authenticate_setup(intent, succeeded=passed)
        else:
            self.sb.authenticate(intent, succeeded=passed)
        self.sb.flush()

    async def invoice(self, request: Request) -> Response:
        """A hosted invoice, to look at and to pay."""
        address = f"/invoice/{request.path_params['page']}"
        invoice = next((i for i in self.sb.live("invoice") if (i["hosted_invoice_url"] or "").endswith(address)), None)
        if not is_local(request) or invoice is None:
            return self._page("Invoice", GONE, 404)
        said = None
        if request.method == "POST":
            form = await self.form_of(request)
            said = STALE if form is None else self._pay(invoice, form.get("card", "visa"))
        currency = invoice["currency"]
        rows = [(line["description"], money_text(line["amount"], currency)) for line in self.sb.lines_of(invoice)]
        rows += [("Total", money_text(invoice["total"], currency))]
        left = money_text(invoice["amount_remaining"], currency)
        rows += [("Still to pay", left)]
        payable = invoice["status"] in ("open", "uncollectible")
        return self._page(
            f"Invoice {invoice['number']}",
            f"This invoice is {invoice['status']}.",
            402 if said else 200,
            rows=rows,
            buttons=[("pay", f"Pay {left}")] if payable else (),
            cards=payable,
            said=said,
        )

    def _pay(self, invoice: Doc, card: str) -> str | None:
        """Pay an invoice; returns what went wrong."""
        try:
            paid = self.sb.pay_invoice(invoice["id"], card=card)
        except StripeError as error:
            return error.message
        self.sb.flush()
        return None if paid["status"] == "paid" else "Your card was declined."
