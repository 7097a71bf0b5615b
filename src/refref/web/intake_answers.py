"""What webhook intake answers, and how it is sent. Knows nothing of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from starlette.types import Send


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of intake; `code` and `sentence` are set on refusals."""

    status: int
    code: str = ""
    sentence: str = ""


RECEIVED = Answer(200)
UNKNOWN = Answer(404, "unknown_connection", "There is no connection with this webhook address.")
TOO_LARGE = Answer(413, "body_too_large", "A webhook body is 1 MiB at most.")
NO_POST = Answer(405, "method_not_allowed", "Stripe delivers webhooks with POST.")
UNREACHABLE_DATABASE = Answer(503, "database_unreachable", "The event was not stored; deliver it again.")
UNREADABLE_SECRET = Answer(503, "secret_unreadable", "The signing secret cannot be decrypted; deliver the event again.")
WRONG_MODE = Answer(
    400, "livemode_mismatch", "The event is of the other mode than this address (test or live); nothing is booked."
)

# An empty body leaves in the same packet as its head.
_OK_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
_OK_BODY = {"type": "http.response.body", "body": b""}


async def respond(send: Send, answer: Answer) -> None:
    if answer.status == 200:
        await send(_OK_START)
        await send(_OK_BODY)
        return
    body = msgspec.json.encode(
        {
            "type": "about:blank",
            "title": answer.code,
            "status": answer.status,
            "code": answer.code,
            "detail": answer.sentence,
        }
    )
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
