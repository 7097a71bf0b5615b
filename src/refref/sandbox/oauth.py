"""OAuth: merchants who let a platform's application act for them, the codes and tokens, and how it ends.

Owns the refusals in OAuth's own form. The pages and the routes are in `connect_pages` and `oauth_wire`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from refref.sandbox.account_shape import finished_account
from refref.sandbox.balance import MERCHANT
from refref.sandbox.connect import Connect
from refref.sandbox.errors import StripeError
from refref.sandbox.ids import scramble
from refref.sandbox.store import Doc, acted

if TYPE_CHECKING:
    from refref.sandbox.state import Sandbox

APPLICATION, CODE, REFRESH = "_application", "_oauth_code", "_refresh_token"
CODE_LIVES = 300
SCOPES = ("read_only", "read_write")


class OAuthRefusal(StripeError):
    """A refusal in OAuth's form: `error` and `error_description`."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description, status=status, code=error)

    def body(self, request_id: str) -> dict[str, Any]:
        """The body that OAuth's clients read."""
        return {"error": self.code, "error_description": self.message}


class OAuth(Connect):
    """This account as the platform of an application, and as a merchant that let one in."""

    def account(self, account_id: str) -> "Sandbox":
        """Another account of this server, as a `Sandbox` of its own."""
        return self.accounts.of(account_id)

    @acted("nobody")
    def open_merchant(self, name: str = MERCHANT, *, email: str | None = None) -> Doc:
        """A merchant in business with an account of its own, connected to nobody; returns its account object."""
        made = self.accounts.open()
        doc = made.put(finished_account(made.account_id, self.now, name))
        made.alter(doc, email=email or f"owner@{made.account_id[5:13].lower()}.example.com")
        return doc

    @acted("nobody")
    def register_application(self, redirect_uris: Sequence[str] = (), *, name: str = "Sample platform") -> Doc:
        """An application of this account (`ca_...`); it redirects to these addresses only."""
        made: Doc = {
            "id": self.ids.make("application"),
            "name": name,
            "platform": self.account_id,
            "redirect_uris": list(redirect_uris),
        }
        self.home.note(APPLICATION, made["id"], made)
        return made

    def application(self, client_id: str) -> Doc:
        """An application by its client id."""
        found = self.home.notes(APPLICATION).get(client_id)
        if found is None:
            said = f"No application matches the supplied client identifier: {client_id}"
            raise OAuthRefusal("invalid_client", said, 401)
        return found

    def redirect_target(self, application: Doc, redirect_uri: str | None) -> str:
        """Where to send the browser: an address the application has registered, the first one when none is named."""
        allowed = application["redirect_uris"]
        if redirect_uri is None and allowed:
            return str(allowed[0])
        if redirect_uri not in allowed:
            raise StripeError(
                f"Invalid redirect URI '{redirect_uri}'. Ensure this uri exactly matches one of the uris specified in "
                "your application settings.",
                param="redirect_uri",
            )
        return str(redirect_uri)

    @acted("nobody")
    def authorize(
        self,
        client_id: str,
        account: str,
        *,
        scope: str = "read_only",
        redirect_uri: str | None = None,
        state: str | None = None,
    ) -> str:
        """The merchant approves: returns the address its browser is sent to, with `code` and `state`."""
        application = self.application(client_id)
        target = self.redirect_target(application, redirect_uri)
        if scope not in SCOPES:
            raise OAuthRefusal("invalid_scope", f"Invalid scope: {scope}")
        self.accounts.of(account)
        code = self._secret("ac_")
        kept = {"client_id": client_id, "account": account, "scope": scope, "at": self.now, "used": False}
        self.home.note(CODE, code, kept)
        return redirected(target, {"scope": scope, "code": code, "state": state})

    def _secret(self, prefix: str) -> str:
        number = self.ids.counts["oauth"] = self.ids.counts.get("oauth", 0) + 1
        return prefix + scramble(f"{self.ids.seed}:oauth:{number}", 32)

    # tokens

    @acted("api")
    def exchange_code(self, code: str) -> Doc:
        """Trade a code for tokens, once and within minutes; the merchant is connected to this platform from now on."""
        kept = self.home.notes(CODE).get(code)
        if kept is None or self.application(kept["client_id"])["platform"] != self.account_id:
            raise OAuthRefusal("invalid_grant", f"Authorization code does not exist: {code}")
        if kept["used"]:
            self._revoke(kept["client_id"], kept["account"])
            raise OAuthRefusal(
                "invalid_grant",
                "This authorization code has already been used. All tokens issued with this code have been revoked.",
            )
        if self.now >= kept["at"] + CODE_LIVES:
            raise OAuthRefusal("invalid_grant", f"Authorization code expired: {code}")
        self.home.note(CODE, code, {**kept, "used": True})
        merchant = self.accounts.of(kept["account"])
        fresh = self.accounts.connection(self.account_id, merchant.account_id) is None
        self.accounts.connect(self.account_id, merchant.account_id, "oauth", kept["scope"])
        if fresh:
            merchant.emit("account.application.authorized", self._shown(kept["client_id"]))
        refresh = self._secret("rt_")
        self.home.note(REFRESH, refresh, {k: kept[k] for k in ("client_id", "account", "scope")})
        return self._tokens(kept, kept["scope"], refresh)

    @acted("api")
    def refresh_token(self, refresh_token: str, scope: str | None = None) -> Doc:
        """A new access token, of the same scope or of a smaller one."""
        kept = self.home.notes(REFRESH).get(refresh_token)
        if kept is None or self.application(kept["client_id"])["platform"] != self.account_id:
            raise OAuthRefusal("invalid_grant", f"Refresh token does not exist: {refresh_token}")
        wanted = scope or kept["scope"]
        if wanted not in SCOPES or (wanted == "read_write" and kept["scope"] == "read_only"):
            raise OAuthRefusal("invalid_scope", f"The scope {wanted} is greater than the scope of the token.")
        return self._tokens(kept, wanted, refresh_token)

    def _tokens(self, kept: Doc, scope: str, refresh_token: str) -> Doc:
        made = self.accounts.keys.make(kept["account"], scope=scope, client_id=kept["client_id"])
        return {
            "access_token": made["key"],
            "livemode": False,
            "refresh_token": refresh_token,
            "scope": scope,
            "stripe_publishable_key": made["key"].replace("sk_test_", "pk_test_"),
            "stripe_user_id": kept["account"],
            "token_type": "bearer",
        }

    # the end

    @acted("api")
    def deauthorize(self, client_id: str, account: str) -> Doc:
        """The platform lets a merchant go."""
        application = self.application(client_id)
        connection = self.accounts.connection(self.account_id, account)
        if application["platform"] != self.account_id or connection is None or connection["how"] != "oauth":
            raise OAuthRefusal(
                "invalid_client",
                f"This application is not connected to stripe account {account}, or that account does not exist.",
                401,
            )
        self._part(client_id, account)
        return {"stripe_user_id": account}

    @acted("nobody")
    def revoke_application(self, client_id: str) -> Doc:
        """This account, as the merchant, shuts an application out: its keys and Stripe-Account are refused."""
        platform = self.application(client_id)["platform"]
        if self.accounts.connection(platform, self.account_id) is None:
            raise StripeError(f"The application {client_id} is not connected to this account.", param="client_id")
        self._part(client_id, self.account_id)
        return self._shown(client_id)

    def _part(self, client_id: str, account: str) -> None:
        """Tell both sides, then end the connection and its tokens."""
        self.accounts.of(account).emit("account.application.deauthorized", self._shown(client_id))
        self.accounts.disconnect(self.application(client_id)["platform"], account)
        self._revoke(client_id, account)

    def _revoke(self, client_id: str, account: str) -> None:
        self.accounts.keys.revoke_tokens(client_id, account)
        for token, kept in list(self.home.notes(REFRESH).items()):
            if (kept["client_id"], kept["account"]) == (client_id, account):
                self.home.note(REFRESH, token, None)

    def _shown(self, client_id: str) -> Doc:
        found = self.application(client_id)
        return {"id": found["id"], "object": "application", "name": found["name"]}


def redirected(target: str, answer: dict[str, str | None]) -> str:
    """An address with the answer in its query string."""
    query = urlencode({k: v for k, v in answer.items() if v is not None})
    return f"{target}{'&' if '?' in target else '?'}{query}"
