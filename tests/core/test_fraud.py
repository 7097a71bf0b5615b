"""Checks that one referral alone answers: whose address, domain, card or network the customer's is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from core.samples import config
from refref.core.fraud import findings
from refref.core.program import Participant

ANA = Participant("ptc_ana", email="ana@shop.example.com", ips=frozenset(["net_a"]))
AT_PUBLIC = replace(ANA, email="ana@gmail.com")


@pytest.mark.parametrize(
    ("ana", "emails", "ips", "cards", "expected"),
    [
        (ANA, ["bea@example.com"], [], [], ()),
        (ANA, ["ana@shop.example.com"], [], [], ("self_email",)),
        # The same address says more than the same card or domain.
        (ANA, ["ana@shop.example.com"], [], ["ana@shop.example.com"], ("self_email",)),
        (ANA, ["bea@example.com"], [], ["ana@shop.example.com"], ("self_card",)),
        (ANA, ["bea@shop.example.com"], [], [], ("self_domain",)),
        (ANA, ["ana@shop.example.com", "bea@shop.example.com"], [], [], ("self_email",)),
        (ANA, ["bea@example.com", "dan@shop.example.com"], [], [], ("self_domain",)),  # any of the addresses
        (ANA, ["bea@workshop.example.com"], [], [], ()),  # another domain that ends alike
        (AT_PUBLIC, ["bea@gmail.com"], [], [], ()),  # everybody may have an address there
        (AT_PUBLIC, ["ana@gmail.com"], [], [], ("self_email",)),
        (ANA, ["bea@example.com"], ["net_a", "net_b"], [], ("self_ip",)),
        (ANA, ["bea@example.com"], ["net_b"], [], ()),
        (ANA, ["bea@mailinator.com"], [], [], ("disposable_email",)),
        (ANA, ["bea@shop.example.com"], ["net_a"], ["ana@shop.example.com"], ("self_card", "self_domain", "self_ip")),
        (replace(ANA, email=""), ["ana@shop.example.com"], [], ["ana@shop.example.com"], ()),  # no address is known
        (None, ["ana@shop.example.com"], ["net_a"], [], ()),
    ],
)
def test_what_is_found_on_one_referral(
    ana: Participant | None, emails: list[str], ips: list[str], cards: list[str], expected: tuple[str, ...]
) -> None:
    shop = replace(config(), participants={} if ana is None else {"ptc_ana": ana}, card_emails=frozenset(cards))
    assert findings("ptc_ana", frozenset(emails), frozenset(ips), shop) == expected


def test_the_address_that_was_found_for_a_participant_comes_before_their_own() -> None:
    shop = replace(config(), participants={"ptc_ana": ANA}, participant_emails={"ptc_ana": "ana@example.org"})
    assert findings("ptc_ana", frozenset(["ana@example.org"]), frozenset(), shop) == ("self_email",)
    assert findings("ptc_ana", frozenset(["ana@shop.example.com"]), frozenset(), shop) == ()
