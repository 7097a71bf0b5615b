"""All accounts of one sandbox server: its own, those that platforms created, and merchants of their own.

Owns who is connected to whom and which account a request is about. Each account is a `Sandbox`; they share one clock.
"""

from typing import TYPE_CHECKING, Literal

from refref.sandbox.errors import missing
from refref.sandbox.ids import scramble
from refref.sandbox.keys import Keys, no_access, read_only
from refref.sandbox.store import Doc

if TYPE_CHECKING:
    from refref.sandbox.state import Sandbox

MEMBER = "_member"
CONNECTION = "_connection"
How = Literal["created", "oauth"]


class Accounts:
    """The accounts by id; the first is the server's own (`home`), whose store keeps all."""

    def __init__(self, home: "Sandbox") -> None:
        self.home = home
        self.keys = Keys(home)
        self._members: dict[str, Sandbox] = {home.account_id: home}

    def open_kept(self) -> None:
        """Open the accounts that the file of the server's own account keeps."""
        for account_id in self.home.notes(MEMBER):
            self._open(account_id)

    def _open(self, account_id: str) -> "Sandbox":
        made = type(self.home)(
            home=self.home,
            account_id=account_id,
            clock_start=self.home.now,
            seed=self.home.ids.seed,
            api_version=self.home.api_version,
        )
        made.listeners = self.home.listeners  # who listens hears every account
        self._members[account_id] = made
        return made

    def open(self) -> "Sandbox":
        """A new account that is connected to nobody."""
        number = self.home.ids.counts["account"] = self.home.ids.counts.get("account", 0) + 1
        account_id = f"acct_1{scramble(f'{self.home.ids.seed}:account:{number}', 15)}"
        self.home.note(MEMBER, account_id, {"opened_at": self.home.now})
        return self._open(account_id)

    def close(self, account_id: str) -> None:
        """Delete an account: nobody reaches it any more; what it did is kept, for deliveries that are on their way."""
        for note in [n for n in self.home.notes(CONNECTION) if account_id in n.split()]:
            self.home.note(CONNECTION, note, None)
        self.home.note(MEMBER, account_id, {**self.home.notes(MEMBER)[account_id], "closed_at": self.home.now})

    @property
    def members(self) -> list["Sandbox"]:
        """Every account, the server's own first."""
        return list(self._members.values())

    def has(self, account_id: str) -> bool:
        """Whether there is such an account and it was not deleted."""
        return account_id in self._members and "closed_at" not in self.home.notes(MEMBER).get(account_id, {})

    def of(self, account_id: str, param: str = "id") -> "Sandbox":
        """An account, with the clock of the server; raises `resource_missing` naming `param`."""
        found = self._members.get(account_id)
        if found is None:
            raise missing("account", account_id, param)
        found.now = max(found.now, self.home.now)
        return found

    # connections

    def connect(self, platform: str, account_id: str, how: How, scope: str = "read_write") -> None:
        """Let a platform act for an account."""
        made = {"platform": platform, "account": account_id, "how": how, "scope": scope}
        self.home.note(CONNECTION, f"{platform} {account_id}", made)

    def disconnect(self, platform: str, account_id: str) -> None:
        """The platform may no longer act for the account."""
        self.home.note(CONNECTION, f"{platform} {account_id}", None)

    def connection(self, platform: str, account_id: str) -> Doc | None:
        """How a platform came to act for an account and how far (`how`, `scope`); None when it may not."""
        return self.home.notes(CONNECTION).get(f"{platform} {account_id}")

    def connected(self, platform: str) -> list["Sandbox"]:
        """The accounts a platform may act for, oldest connection first."""
        return [self.of(c["account"]) for c in self.home.notes(CONNECTION).values() if c["platform"] == platform]

    def platforms_of(self, account_id: str) -> list["Sandbox"]:
        """The platforms that may act for an account."""
        return [self.of(c["platform"]) for c in self.home.notes(CONNECTION).values() if c["account"] == account_id]

    # requests

    def acting(self, key: str, named: str | None, method: str, path: str) -> "Sandbox":
        """The account a request is about: the key's own, or the one its Stripe-Account header names."""
        owner = self.keys.owner(key) or self.home.account_id
        self.keys.check(key, owner, method, path)
        if named is None or named == owner:
            return self.of(owner)
        connection = self.connection(owner, named)
        if connection is None:
            raise no_access(key, named)
        if connection["scope"] == "read_only" and method != "GET":
            raise read_only(key, named)
        return self.of(named)
