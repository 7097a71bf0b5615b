"""The check of Stripe's webhook signature over the raw body. Owns no secret and no clock; both are arguments.

Scheme (docs.stripe.com/webhooks/signature): header `t=<unix seconds>,v1=<hex>[,v1=<hex>...]`, where each v1 is the
HMAC-SHA256 of `<t>.<raw body>` under one of the endpoint's secrets. Other schemes (`v0`) are ignored.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

LONGEST_HEADER = 4096
MOST_SIGNATURES = 16
LONGEST_TIMESTAMP = 12  # digits
_HEX_LENGTH = 64


class SignatureRefused(Exception):
    """The body is not proven to come from Stripe: a stable `code` and a `sentence` for people.

    Codes: no_secret, missing_header, malformed_header, no_v1_signature, timestamp_too_old, timestamp_in_future,
    no_match.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


def verify(
    payload: bytes, header: str | bytes | None, secrets: Sequence[str | bytes], now: int, tolerance_s: int = 300
) -> None:
    """Return if one v1 signature in the header is right for one of the secrets, and the timestamp is near `now`.

    `now` in unix seconds; the timestamp may differ by `tolerance_s` either way (the SDK accepts any future one).
    Several secrets are valid while an endpoint's secret is rolled. Raises SignatureRefused.
    """
    keys = [_key(secret) for secret in secrets]
    keys = [key for key in keys if key]
    if not keys:
        raise SignatureRefused("no_secret", "This endpoint has no signing secret to check against.")
    timestamp, signatures = _parse(header)
    signed = b"%d.%b" % (timestamp, payload)
    expected = [hmac.digest(key, signed, "sha256").hex().encode() for key in keys]
    is_right = False
    for signature in signatures:
        for digest in expected:
            is_right |= hmac.compare_digest(signature, digest)
    if not is_right:
        raise SignatureRefused(
            "no_match", "No signature fits the body: wrong secret, or the body was changed on its way."
        )
    if now - timestamp > tolerance_s:
        raise SignatureRefused("timestamp_too_old", f"The event was signed more than {tolerance_s} s ago.")
    if timestamp - now > tolerance_s:
        raise SignatureRefused("timestamp_in_future", f"The event is signed more than {tolerance_s} s ahead of us.")


def _key(secret: str | bytes) -> bytes:
    return (secret.encode() if isinstance(secret, str) else secret).strip()


def _parse(header: str | bytes | None) -> tuple[int, list[bytes]]:
    if header is None or not header.strip():
        raise SignatureRefused("missing_header", "The request has no Stripe-Signature header.")
    if isinstance(header, str):
        if not header.isascii():
            raise _malformed("holds characters that are not ASCII")
        header = header.encode("ascii")
    if len(header) > LONGEST_HEADER:
        raise _malformed(f"is longer than {LONGEST_HEADER} bytes")
    timestamp: int | None = None
    signatures: list[bytes] = []
    for part in header.split(b","):
        name, equals, value = part.strip().partition(b"=")
        if not equals:
            raise _malformed("holds a part without `=`")
        if name == b"t":
            if timestamp is not None:
                raise _malformed("has two timestamps")
            timestamp = _timestamp(value)
        elif name == b"v1":
            if len(signatures) == MOST_SIGNATURES:
                raise _malformed(f"has more than {MOST_SIGNATURES} signatures")
            signatures.append(value)
    if timestamp is None:
        raise _malformed("has no timestamp")
    if not signatures:
        raise SignatureRefused("no_v1_signature", "The Stripe-Signature header has no v1 signature.")
    # One that cannot be a digest can never match; it may stand beside one that does.
    return timestamp, [signature for signature in signatures if len(signature) == _HEX_LENGTH]


def _timestamp(value: bytes) -> int:
    # The signed text repeats the digits as sent, so only the form that an int prints as can ever match.
    if not value.isdigit() or len(value) > LONGEST_TIMESTAMP or (value[:1] == b"0" and value != b"0"):
        raise _malformed("has a timestamp that is not a whole number")
    return int(value)


def _malformed(what: str) -> SignatureRefused:
    return SignatureRefused("malformed_header", f"The Stripe-Signature header {what}.")
