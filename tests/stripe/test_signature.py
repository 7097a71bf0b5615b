"""Our signature check agrees with Stripe's Node and Python SDKs and refuses everything else by a stable code."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stripe
from refref.stripe.signature import MOST_SIGNATURES, SignatureRefused, verify

NOW = 1_780_000_000
SECRET = "whsec_test"
BODY = '{"id":"evt_1","name":"Zoë 😀"}'.encode()


def header(body: bytes = BODY, secret: str = SECRET, at: int = NOW) -> str:
    return stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at)


GOOD = header()
V1 = GOOD.split(",")[1]


def refusal(
    body: bytes = BODY, given: str | bytes | None = GOOD, secrets: tuple[str | bytes, ...] = (SECRET,), now: int = NOW
) -> str:
    with pytest.raises(SignatureRefused) as refused:
        verify(body, given, secrets, now)
    assert refused.value.sentence.endswith(".")
    return refused.value.code


def test_the_vectors_of_the_node_sdk(recorded: Any) -> None:
    for name in recorded.names("signature_vectors__*.json"):
        for vector in recorded.load(name)["vectors"]:
            body = vector["payload"].encode()
            verify(body, vector["header"], [vector["secret"]], vector["timestamp"])
            assert refusal(body + b" ", vector["header"], (vector["secret"],), vector["timestamp"]) == "no_match"


@given(st.text(), st.text("abcdefgh", min_size=1), st.integers(0, 10**11), st.integers(-300, 300))
def test_the_python_sdk_agrees(text: str, secret: str, at: int, drift: int) -> None:
    verify(text.encode(), header(text.encode(), secret, at), [secret], at + drift)


@pytest.mark.parametrize(
    "given",
    [
        GOOD,
        GOOD.encode(),
        f"{V1},t={NOW}",
        f"t={NOW}, {V1}",
        f"t={NOW},v1={'0' * 64},{V1}",
        f"t={NOW},{V1},v1={'0' * 64},v0=anything",
        f"t={NOW},v1=,v1=short,{V1},future=1",
    ],
)
def test_any_right_v1_is_enough(given: str | bytes) -> None:
    verify(BODY, given, [SECRET], NOW)


def test_several_secrets_are_valid_while_one_is_rolled() -> None:
    verify(BODY, GOOD, ["whsec_new", SECRET], NOW)
    verify(BODY, GOOD, [SECRET.encode(), b"whsec_new"], NOW)
    verify(BODY, GOOD, ["", f" {SECRET}\n"], NOW)
    both = f"{header(secret='whsec_old')},{V1}"
    verify(BODY, both, [SECRET], NOW)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "missing_header"),
        ("", "missing_header"),
        (b"  ", "missing_header"),
        ("nonsense", "malformed_header"),
        (V1, "malformed_header"),
        (f"t=,{V1}", "malformed_header"),
        (f"t=soon,{V1}", "malformed_header"),
        (f"t=-5,{V1}", "malformed_header"),
        (f"t=1.5,{V1}", "malformed_header"),
        (f"t= {NOW},{V1}", "malformed_header"),
        (f"t=0{NOW},{V1}", "malformed_header"),
        (f"t={'9' * 13},{V1}", "malformed_header"),
        (f"t={NOW},t={NOW},{V1}", "malformed_header"),
        (f"t={NOW},{V1},", "malformed_header"),
        (f"t=１２３,{V1}", "malformed_header"),
        (f"t={NOW},{V1},é=1", "malformed_header"),
        (f"t={NOW}" + f",{V1}" * (MOST_SIGNATURES + 1), "malformed_header"),
        (f"t={NOW},{V1},x={'y' * 4096}", "malformed_header"),
        (f"t={NOW}", "no_v1_signature"),
        (f"t={NOW},v0={'0' * 64}", "no_v1_signature"),
        (f"t={NOW},v1={'0' * 64}", "no_match"),
        (f"t={NOW},v1=", "no_match"),
        (f"t={NOW + 1},{V1}", "no_match"),
        (f"t={NOW},{V1.upper().replace('V1', 'v1')}", "no_match"),
    ],
)
def test_a_wrong_header_is_refused(given: str | bytes | None, code: str) -> None:
    assert refusal(given=given) == code


def test_wrong_secrets_are_refused() -> None:
    assert refusal(secrets=("whsec_other",)) == "no_match"
    assert refusal(secrets=()) == refusal(secrets=("", b" ")) == "no_secret"


@pytest.mark.parametrize(
    ("drift", "code"),
    [(301, "timestamp_too_old"), (-301, "timestamp_in_future"), (10**6, "timestamp_too_old")],
)
def test_an_old_or_future_timestamp_is_refused(drift: int, code: str) -> None:
    verify(BODY, GOOD, [SECRET], NOW + 300)
    verify(BODY, GOOD, [SECRET], NOW - 300)
    assert refusal(now=NOW + drift) == code


def test_another_body_is_refused() -> None:
    assert refusal(body=BODY.replace(b":", b": ")) == refusal(body=b"") == "no_match"


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_any_other_header_is_refused(given: str | bytes) -> None:
    with pytest.raises(SignatureRefused):
        verify(BODY, given, [SECRET], NOW)
