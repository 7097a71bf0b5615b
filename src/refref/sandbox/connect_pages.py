"""The pages of Connect: onboarding of an account, its Express dashboard, and a merchant's consent to an application."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from refref.sandbox.answers import as_json
from refref.sandbox.errors import StripeError
from refref.sandbox.oauth import SCOPES, OAuthRefusal, redirected
from refref.sandbox.safe_pages import SafePages, is_local, static_files
from refref.sandbox.shop_view import moment, money_text
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

GONE = "This link has been used or is out of date. Ask for a new one where you got it."
REFERRED = "This form is not from this page. Go back, reload and try again."
NEW_MERCHANT = "new"


class ConnectPages(SafePages):
    """Renders the pages over all the accounts of the server."""

    def __init__(self, home: Sandbox) -> None:
        super().__init__()
        self.home = home

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        both = ["GET", "POST"]
        return [
            Route("/setup/{token}", self.visit, methods=["GET"]),
            Route("/onboarding/{session}", self.onboard, methods=both),
            Route("/express/{token}", self.express, methods=["GET"]),
            Route("/oauth/authorize", self.authorize, methods=both),
            Route("/express/oauth/authorize", self.authorize, methods=both),
            static_files(),
        ]

    # onboarding

    async def visit(self, request: Request) -> Response:
        """An account link: the first visit opens the onboarding, every other goes back to the platform."""
        if not is_local(request):
            return Response("Unknown host.", 421)
        found = self.home.visit_link(request.path_params["token"])
        if found is None:
            return self.html("notice.html", 404, title="Onboarding", message=GONE)
        first, where = found
        self.home.flush()
        return RedirectResponse(f"/onboarding/{where}" if first else where, 303)

    async def onboard(self, request: Request) -> Response:
        """The form that a partner fills in; it goes back to the platform's return_url, finished or not."""
        kept = self.home.onboarding(request.path_params["session"])
        if kept is None or not is_local(request) or not self.home.accounts.has(kept["account"]):
            return self.html("notice.html", 404, title="Onboarding", message=GONE)
        platform = self.home.account(kept["platform"])
        account = self.home.account(kept["account"]).own_account()
        if request.method == "GET":
            return self._onboarding_page(platform, account, None)
        form = await self.form_of(request)
        if form is None:
            return self._onboarding_page(platform, account, REFERRED, 403)
        if form.get("do") != "later":
            missing = [label for name, label in FIELDS if name not in form]
            if missing:
                return self._onboarding_page(platform, account, f"Please fill in: {', '.join(missing)}.", 422, form)
            self._hand_in(platform, account, form)
        return RedirectResponse(kept["return_url"], 303)

    def _hand_in(self, platform: Sandbox, account: Doc, form: Mapping[str, str]) -> None:
        person = {"first_name": form["first_name"], "last_name": form["last_name"]}
        number = form["account_number"].replace(" ", "")
        bank = {"account_number": number, "account_holder_name": f"{form['first_name']} {form['last_name']}"}
        told: dict[str, Any] = {"individual": person, "email": form["email"]}
        platform.onboard(account["id"], pending=form.get("review") == "pending", bank=bank, **told)

    def _onboarding_page(
        self,
        platform: Sandbox,
        account: Doc,
        said: str | None,
        status: int = 200,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        asked_by = platform.own_account()["business_profile"]["name"] or "the platform"
        person = account.get("individual") or {}
        values = {"email": account["email"], **{k: person.get(k) for k in ("first_name", "last_name")}, **(form or {})}
        return self.html(
            "onboard.html",
            status,
            title="Get paid",
            platform=asked_by,
            account=account["id"],
            done=account["details_submitted"],
            asked=[name.replace(".", " ").replace("_", " ") for name in (account["_asked"] or {}).get("fields", ())],
            values={k: v or "" for k, v in values.items()},
            said=said,
        )

    # the Express dashboard

    async def express(self, request: Request) -> Response:
        """What a partner sees of its account: balance, payments received, payouts."""
        account_id = self.home.use_login_link(request.path_params["token"]) if is_local(request) else None
        if account_id is None:
            return self.html("notice.html", 404, title="Express dashboard", message=GONE)
        self.home.flush()
        sb = self.home.account(account_id)
        balance = sb.balance()
        return self.html(
            "express.html",
            title="Express dashboard",
            account=sb.own_account(),
            available=[money_text(row["amount"], row["currency"]) for row in balance["available"]],
            pending=[money_text(row["amount"], row["currency"]) for row in balance["pending"]],
            payments=[
                (moment(c["created"]), money_text(c["amount"] - c["amount_refunded"], c["currency"]))
                for c in reversed(sb.live("charge"))
            ],
            payouts=[
                (moment(p["arrival_date"]), money_text(p["amount"], p["currency"]), p["status"].replace("_", " "))
                for p in reversed(sb.live("payout"))
            ],
        )

    # consent

    async def authorize(self, request: Request) -> Response:
        """A merchant lets an application in, or not; the browser goes back to the platform with a code or an error."""
        if not is_local(request):
            return Response("Unknown host.", 421)
        asked = dict(request.query_params)
        try:
            application = self.home.application(asked.get("client_id", ""))
            target = self.home.redirect_target(application, asked.get("redirect_uri"))
        except StripeError as error:
            return as_json(error.body(self.home.ids.make("request")), 400, "")
        state = asked.get("state")
        scope = asked.get("scope", "read_only")
        if asked.get("response_type", "code") != "code":
            return _denied(target, state, "unsupported_response_type", "Only the response type code is supported.")
        if scope not in SCOPES:
            return _denied(target, state, "invalid_scope", f"Invalid scope: {scope}")
        if request.method == "GET":
            return self._consent_page(application, scope, asked, None)
        form = await self.form_of(request)
        if form is None:
            return self._consent_page(application, scope, asked, REFERRED, 403)
        if form.get("do") != "approve":
            return _denied(target, state, "access_denied", "The user denied your request")
        account = form.get("account", NEW_MERCHANT)
        if account == NEW_MERCHANT:
            account = self.home.open_merchant(form.get("name", "Sample merchant"), email=form.get("email"))["id"]
        try:
            platform = self.home.account(application["platform"])
            where = platform.authorize(application["id"], account, scope=scope, redirect_uri=target, state=state)
        except OAuthRefusal as refusal:
            return _denied(target, state, str(refusal.code), refusal.message)
        except StripeError as error:
            return self._consent_page(application, scope, asked, error.message, error.status)
        self.home.flush()
        return RedirectResponse(where, 303)

    def _consent_page(
        self, application: Doc, scope: str, asked: Mapping[str, str], said: str | None, status: int = 200
    ) -> Response:
        platform = application["platform"]
        others = [a.own_account() for a in self.home.accounts.members if a.account_id != platform]
        merchants = [(d["id"], d["business_profile"]["name"] or d["email"] or d["id"]) for d in others
                     if d["type"] == "standard"]  # fmt: skip
        return self.html(
            "authorize.html",
            status,
            title="Connect your account",
            application=application["name"],
            scope=scope,
            merchants=merchants,
            email=asked.get("stripe_user[email]", ""),
            name=asked.get("stripe_user[business_name]", ""),
            said=said,
        )


def _denied(target: str, state: str | None, error: str, description: str) -> Response:
    return RedirectResponse(redirected(target, {"error": error, "error_description": description, "state": state}), 303)


FIELDS = (
    ("first_name", "first name"),
    ("last_name", "last name"),
    ("email", "e-mail"),
    ("date_of_birth", "date of birth"),
    ("account_number", "account number"),
    ("agreed", "your agreement"),
)
