"""Tries what a key may do, with calls that change nothing: lists of one row, and changes of objects that cannot exist.

Decides nothing: `core.permission_table` judges the outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from refref.core.permission_table import PERMISSIONS, Trial
from refref.stripe.client import Document, StripeGateway
from refref.stripe.errors import FailureClass, StripeFailure

AT_ONCE = 5
_NO_SUCH_ID = "refref_probe"  # Stripe checks the permission before it looks for the object


@dataclass(frozen=True, slots=True)
class Tried:
    """What a key can do: the account (None where the key may not read it), the trials by resource and read or write."""

    account: Document | None
    trials: Mapping[str, Mapping[str, Trial]]

    @property
    def account_id(self) -> str | None:
        """The account's id, where it is known."""
        found = None if self.account is None else self.account.get("id")
        return found if isinstance(found, str) else None


async def read_account(gateway: StripeGateway) -> Document | None:
    """The account behind a key; None where the key may not read it. Raises StripeFailure where no key of ours works."""
    try:
        return await gateway.read("/v1/account")
    except StripeFailure as failure:
        if failure.failure is not FailureClass.PERMISSION:
            raise
        return None


async def try_permissions(gateway: StripeGateway, *, with_writes: bool) -> Tried:
    """Try each permission. Raises StripeFailure where the key itself is not accepted or Stripe cannot be reached."""
    account = await read_account(gateway)
    turns = asyncio.Semaphore(AT_ONCE)

    async def trial(method: str, path: str) -> Trial:
        async with turns:
            return await _try(gateway, method, path)

    jobs: list[tuple[str, str, asyncio.Task[Trial]]] = []
    async with asyncio.TaskGroup() as tasks:
        for row in PERMISSIONS:
            jobs += [(row.resource, "read", tasks.create_task(trial("get", path))) for path in row.reads]
            if with_writes and row.writes:
                path = f"{row.writes}/{_NO_SUCH_ID}"
                jobs.append((row.resource, "write", tasks.create_task(trial("post", path))))
    found: dict[str, dict[str, Trial]] = {}
    for resource, kind, job in jobs:
        before = found.setdefault(resource, {}).get(kind, Trial.WORKS)
        found[resource][kind] = _worse(before, job.result())
    return Tried(account, found)


async def _try(gateway: StripeGateway, method: str, path: str) -> Trial:
    try:
        if method == "get":
            await gateway.read(path, {"limit": 1})
        else:
            await gateway.write("post", path, {}, None)
    except StripeFailure as failure:
        match failure.failure:
            case FailureClass.PERMISSION | FailureClass.AUTH:
                return Trial.REFUSED
            case FailureClass.NOT_FOUND | FailureClass.BAD_REQUEST:
                return Trial.WORKS  # it was let in; there is no such object, or nothing to do
            case _:
                return Trial.UNKNOWN
    return Trial.WORKS


def _worse(one: Trial, other: Trial) -> Trial:
    order = (Trial.WORKS, Trial.UNKNOWN, Trial.REFUSED)
    return max(one, other, key=order.index)
