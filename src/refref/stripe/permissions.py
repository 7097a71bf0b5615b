"""Tries what a key may do, with calls that change nothing: lists of one row, and changes of objects that cannot exist.

Decides nothing: `core.permission_table` judges the outcome.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from refref.core.permission_table import PERMISSIONS, Trial
from refref.stripe.client import Document, StripeGateway
from refref.stripe.errors import FailureClass, StripeFailure

AT_ONCE = 5
_NO_SUCH_ID = "refref_probe"  # Stripe checks the permission before it looks for the object
_REFUSED_ON = re.compile(r"\bon account '(acct_[A-Za-z0-9]+)'")


class AccountAnswer(NamedTuple):
    """The account behind a key: the document (None where the key may not read it), and its id, which Stripe's refusal
    names, too; None where neither tells."""

    document: Document | None
    account_id: str | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What a key can do: whose it is, and the trials by resource and read or write."""

    account: AccountAnswer
    trials: Mapping[str, Mapping[str, Trial]]


async def read_account(gateway: StripeGateway) -> AccountAnswer:
    """The account behind a key. Raises StripeFailure where no key of ours works."""
    try:
        document = await gateway.read("/v1/account")
    except StripeFailure as failure:
        if failure.failure is not FailureClass.PERMISSION:
            raise
        named = _REFUSED_ON.search(failure.message)
        return AccountAnswer(None, named.group(1) if named else None)
    told = document.get("id")
    return AccountAnswer(document, told if isinstance(told, str) else None)


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
