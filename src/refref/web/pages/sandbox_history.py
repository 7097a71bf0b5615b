"""What a connection's sandbox says of its sample history: how much of it is still to arrive. Reads, decides nothing.

Only a connection with an address of its own, which is never Stripe's, has a sandbox to ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import httpx

ANSWERS_WITHIN_S = 0.5


class Arriving(msgspec.Struct, frozen=True):
    """How many months of the sample history have arrived, and of how many."""

    arrived_months: int
    of_months: int


class _State(msgspec.Struct):
    history: Arriving


async def history_arriving(api_base: str | None, transport: httpx.AsyncBaseTransport | None = None) -> Arriving | None:
    """The progress of the history; None when it is all there, when there is no sandbox, or when it does not say."""
    if api_base is None:
        return None
    import httpx  # only a demo needs it here: not on the way to the first page

    try:
        async with httpx.AsyncClient(base_url=api_base, timeout=ANSWERS_WITHIN_S, transport=transport) as client:
            answer = await client.get("/_sandbox/state")
        state = msgspec.json.decode(answer.content, type=_State)
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError):
        return None
    return state.history if state.history.of_months else None
