"""What every request may use: settings, database, vault, clock. Made once by the app factory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from starlette.requests import HTTPConnection

from refref.db.pool import Database
from refref.settings import Settings
from refref.vault import Vault
from refref.web.limits import AttemptLimiter


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    database: Database
    vault: Vault
    sign_in_limiter: AttemptLimiter
    now: Callable[[], datetime] = utc_now

    @property
    def is_https(self) -> bool:
        """Whether browsers reach this installation by https."""
        return self.settings.base_url.startswith("https://")


def context_of(request: HTTPConnection) -> Context:
    """The context of the app that serves this request."""
    return cast(Context, request.app.state.context)
