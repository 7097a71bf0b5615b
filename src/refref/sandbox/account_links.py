"""Links into the sandbox's own Connect pages: onboarding (single use, minutes-lived) and the Express dashboard."""

from refref.sandbox.errors import StripeError
from refref.sandbox.ids import scramble
from refref.sandbox.oauth import OAuth
from refref.sandbox.store import Doc, acted

LINK, SESSION, LOGIN = "_account_link", "_onboarding", "_login_link"
LINK_LIVES = 300
SESSION_LIVES = 3600


class AccountLinks(OAuth):
    """Makes the links and says what a visit of one is good for."""

    @acted("api")
    def create_account_link(
        self, account: str, *, refresh_url: str, return_url: str, type: str = "account_onboarding"
    ) -> Doc:
        """A link to the onboarding page of an account, for one visit within five minutes."""
        if self.accounts.connection(self.account_id, account) is None:
            raise StripeError(
                "You requested an account link for an account that is not connected to your platform or does not "
                "exist.",
                param="account",
            )
        target = self.connected_account(account)
        valid = ["account_onboarding"]
        if target.own_account()["controller"].get("requirement_collection") == "application":
            valid.append("account_update")
        if type not in valid:
            raise StripeError(
                f"You cannot create `{type}` type Account Links for this account. Valid type(s) for this account are: "
                f"{', '.join(f'`{t}`' for t in valid)}.",
                param="type",
            )
        token = self._link_token()
        expires_at = self.now + LINK_LIVES
        kept = {"account": account, "platform": self.account_id, "refresh_url": refresh_url, "return_url": return_url,
                "expires_at": expires_at, "used": False}  # fmt: skip
        self.home.note(LINK, token, kept)
        url = f"{self.home.public_url}/setup/{token}"
        return {"object": "account_link", "created": self.now, "expires_at": expires_at, "url": url}

    def _link_token(self) -> str:
        number = self.ids.counts["link"] = self.ids.counts.get("link", 0) + 1
        return scramble(f"{self.ids.seed}:link:{number}", 24)

    def visit_link(self, token: str) -> tuple[bool, str] | None:
        """A visit of a link: (True, session) the first time, else (False, refresh_url); None: there is no such link."""
        kept = self.home.notes(LINK).get(token)
        if kept is None:
            return None
        if kept["used"] or self.now >= kept["expires_at"] or not self.accounts.has(kept["account"]):
            return False, str(kept["refresh_url"])
        self.home.note(LINK, token, {**kept, "used": True})
        session = self._link_token()
        opened = {k: kept[k] for k in ("account", "platform", "return_url", "refresh_url")}
        self.home.note(SESSION, session, {**opened, "expires_at": self.now + SESSION_LIVES})
        return True, session

    def onboarding(self, session: str) -> Doc | None:
        """The account, platform and return_url of an onboarding that is under way."""
        kept = self.home.notes(SESSION).get(session)
        return None if kept is None or self.now >= kept["expires_at"] else kept

    @acted("api")
    def create_login_link(self, account: str) -> Doc:
        """A link to the Express dashboard of an account that has been onboarded."""
        doc = self.connected_account(account).own_account()
        if doc["controller"].get("stripe_dashboard", {}).get("type") != "express":
            raise StripeError(
                "Cannot create a login link for an account without an Express Dashboard.", param="account"
            )
        if not doc["details_submitted"]:
            raise StripeError("Cannot create a login link for an account that has not completed onboarding.")
        token = self._link_token()
        self.home.note(LOGIN, token, {"account": account})
        return {"object": "login_link", "created": self.now, "url": f"{self.home.public_url}/express/{token}"}

    def use_login_link(self, token: str) -> str | None:
        """The account a login link opens, once."""
        kept = self.home.notes(LOGIN).get(token)
        if kept is None or not self.accounts.has(kept["account"]):
            return None
        self.home.note(LOGIN, token, None)
        return str(kept["account"])
