"""The head of a webhook body: just enough to store and route an event. Typed parse; reads nothing of the object."""

from __future__ import annotations

import msgspec

LONGEST_TEXT = 255
LATEST_INSTANT = 10**11


class EventRefused(Exception):
    """A body that is signed but is no event we can store: a stable `code` and a `sentence` for people.

    Codes: not_utf8, not_json, not_an_event, thin_event.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


class EventHead(msgspec.Struct, frozen=True):
    """What intake needs. `account` is set on Connect endpoints only; `data_object_id` may be null (balance.available,
    previews); `created` in unix seconds."""

    id: str
    type: str
    created: int
    livemode: bool
    account: str | None
    api_version: str | None
    data_object_id: str | None


class _Object(msgspec.Struct, gc=False):
    id: str | None = None


class _Data(msgspec.Struct, gc=False):
    object: _Object


class _Event(msgspec.Struct, gc=False):
    id: str
    type: str
    created: int
    livemode: bool
    data: _Data
    object: str | None = None
    account: str | None = None
    api_version: str | None = None


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_any = msgspec.json.Decoder().decode


def parse_event_head(body: bytes) -> EventHead:
    """The head of a snapshot event. The whole body is checked to be UTF-8 and JSON. Raises EventRefused."""
    try:
        if not body.isascii():
            body.decode("utf-8")  # the JSON decoder does not check the bytes of texts that it skips
    except UnicodeDecodeError as error:
        raise EventRefused("not_utf8", f"The body is not UTF-8 (byte {error.start}).") from error
    try:
        event = _decode_event(body)
    except msgspec.ValidationError as error:
        raise _explain(body, str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise EventRefused("not_json", "The body is not JSON.") from error
    if event.object is not None and event.object != "event":
        raise _explain(body, f"its `object` is {event.object[:40]!r}")
    for name, value in (("id", event.id), ("type", event.type)):
        if not _is_word(value):
            raise EventRefused("not_an_event", f"The event's `{name}` is not a word of letters, digits and signs.")
    for named in (event.account, event.api_version, event.data.object.id):
        if named is not None and not _is_word(named):
            raise EventRefused("not_an_event", "The event names something by an id that no id looks like.")
    if not 0 <= event.created <= LATEST_INSTANT:
        raise EventRefused("not_an_event", "The event's `created` is no instant.")
    return EventHead(
        event.id,
        event.type,
        event.created,
        event.livemode,
        event.account,
        event.api_version,
        event.data.object.id,
    )


def _is_word(value: str) -> bool:
    return 0 < len(value) <= LONGEST_TEXT and value.isascii() and value.isprintable()


def _explain(body: bytes, reason: str) -> EventRefused:
    """Tell apart JSON that is broken further on, a thin event, and something else altogether."""
    try:
        found = _decode_any(body)
    except (msgspec.DecodeError, RecursionError):
        return EventRefused("not_json", "The body is not JSON.")
    if isinstance(found, dict):
        is_named = str(found.get("object")).startswith("v2.")
        data = found.get("data")
        has_object = isinstance(data, dict) and "object" in data
        if is_named or ("related_object" in found and not has_object):
            return EventRefused(
                "thin_event",
                "This is a thin event of API v2. Set the event destination to send snapshot events instead.",
            )
    return EventRefused("not_an_event", f"The body is JSON but no Stripe event: {reason[:200]}.")
