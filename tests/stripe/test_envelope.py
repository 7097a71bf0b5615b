"""The head of an event: what is stored and routed, and which signed bodies are no events."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refref.stripe.envelope import EventHead, EventRefused, parse_event_head

EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "invoice.paid",
    "created": 1_780_000_000,
    "livemode": True,
    "account": "acct_1",
    "api_version": "2020-08-27",
    "data": {"object": {"id": "in_1", "object": "invoice", "name": "Zoë 😀"}, "previous_attributes": None},
    "pending_webhooks": 1,
}
THIN = {
    "id": "evt_2",
    "object": "v2.core.event",
    "type": "v1.invoice.paid",
    "created": "2026-10-28T10:00:00.000Z",
    "livemode": False,
    "context": "acct_1",
    "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
}


def without(*keys: str) -> bytes:
    return json.dumps({key: value for key, value in EVENT.items() if key not in keys}).encode()


def changed(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def test_the_head_of_an_event() -> None:
    expected = EventHead("evt_1", "invoice.paid", 1_780_000_000, True, "acct_1", "2020-08-27", "in_1")
    assert parse_event_head(changed()) == expected
    assert parse_event_head(json.dumps(EVENT, indent=2, ensure_ascii=False).encode()) == expected


def test_what_may_be_absent() -> None:
    head = parse_event_head(without("account", "api_version", "object"))
    assert (head.account, head.api_version) == (None, None)
    assert parse_event_head(changed(account=None)).account is None
    balance = changed(type="balance.available", data={"object": {"object": "balance"}})
    assert parse_event_head(balance).data_object_id is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"hello", "not_json"),
        (b'{"id":"evt_1"', "not_json"),
        (changed() + b"}", "not_json"),
        (b"\xef\xbb\xbf" + changed(), "not_json"),  # a byte order mark
        (changed().replace(b'"in_1"', b'"in_1\n"'), "not_json"),
        (changed().replace(b"null", b"nul"), "not_json"),
        (b"[" * 100_000, "not_json"),
        (json.dumps(EVENT, ensure_ascii=False).encode("latin-1", "replace"), "not_utf8"),
        (changed().replace(b"in_1", b"in_\xff"), "not_utf8"),
        (changed().replace(b"in_1", b"in_\xed\xa0\x80"), "not_utf8"),
        (b"{}", "not_an_event"),
        (b"[]", "not_an_event"),
        (b"null", "not_an_event"),
        (b"7", "not_an_event"),
        (without("id"), "not_an_event"),
        (without("type"), "not_an_event"),
        (without("created"), "not_an_event"),
        (without("livemode"), "not_an_event"),
        (without("data"), "not_an_event"),
        (changed(data={}), "not_an_event"),
        (changed(data={"object": None}), "not_an_event"),
        (changed(data={"object": []}), "not_an_event"),
        (changed(data={"object": {"id": 7}}), "not_an_event"),
        (changed(data={"object": {"id": "in 1\x00"}}), "not_an_event"),
        (changed(id=""), "not_an_event"),
        (changed(id="x" * 256), "not_an_event"),
        (changed(id="evt_é"), "not_an_event"),
        (changed(created=-1), "not_an_event"),
        (changed(created=10**12), "not_an_event"),
        (changed(created="1780000000"), "not_an_event"),
        (changed(livemode="true"), "not_an_event"),
        (changed(object="invoice"), "not_an_event"),
        (json.dumps(THIN).encode(), "thin_event"),
        (json.dumps({**THIN, "created": 1_780_000_000, "data": {}}).encode(), "thin_event"),
        (changed(object="v2.core.event"), "thin_event"),
    ],
)
def test_what_is_no_event(body: bytes, code: str) -> None:
    with pytest.raises(EventRefused) as refused:
        parse_event_head(body)
    assert refused.value.code == code
    assert refused.value.sentence.endswith(".")


def test_recorded_events(recorded: Any) -> None:
    for name in recorded.names("event_*.json"):
        body = recorded.load(name)
        head = parse_event_head(json.dumps(body).encode())
        assert (head.id, head.type) == (body["id"], body["type"])
        assert head.data_object_id == body["data"]["object"]["id"]


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_or_parsed(body: bytes) -> None:
    with pytest.raises(EventRefused):
        parse_event_head(body)


@given(st.integers(0, len(changed()) - 1), st.integers(0, 255))
def test_one_changed_byte_never_crashes_and_what_passes_can_be_decoded(at: int, byte: int) -> None:
    body = bytearray(changed())
    body[at] = byte
    try:
        parse_event_head(bytes(body))
    except EventRefused:
        return
    msgspec.json.decode(bytes(body))
