"""Which mail domains give out throw-away addresses."""

import pytest

from refref.core.fraud_domains import PUBLIC_MAIL, is_disposable


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("mailinator.com", True),
        ("guerrillamail.com", True),
        ("10minutemail.com", True),
        ("anything.mailinator.com", True),
        ("mailinator.com.example", False),
        ("gmail.com", False),
        ("sample-company.example", False),
        ("com", False),
        ("", False),
    ],
)
def test_throw_away_domains(domain: str, expected: bool) -> None:
    assert is_disposable(domain) is expected


def test_no_public_mail_service_is_one() -> None:
    assert [domain for domain in sorted(PUBLIC_MAIL) if is_disposable(domain)] == []
