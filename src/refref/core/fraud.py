"""Checks against fraud that one referral alone answers: whose address, card or network it was; decides nothing.

Checks that look at the participant's other referrals are made where those are known (`complete`).
"""

from __future__ import annotations

from refref.core.fraud_domains import PUBLIC_MAIL, is_disposable
from refref.core.program import Config, Participant
from refref.core.terms import FraudCheck


def findings(
    participant_id: str, emails: frozenset[str], ips: frozenset[str], config: Config
) -> tuple[FraudCheck, ...]:
    """The checks that found something on a referral to `participant_id` by a customer with these addresses."""
    found: list[FraudCheck] = []
    participant: Participant | None = config.participants.get(participant_id)
    own = config.participant_emails.get(participant_id) or (participant.email if participant else "")
    if own:
        if own in emails:
            found.append("self_email")
        elif own in config.card_emails:  # a card says nothing more where the address is the same
            found.append("self_card")
        domain = own.rpartition("@")[2]
        if domain and domain not in PUBLIC_MAIL and own not in emails and any(e.endswith(f"@{domain}") for e in emails):
            found.append("self_domain")
    if participant is not None and not participant.ips.isdisjoint(ips):
        found.append("self_ip")
    if any(is_disposable(email.rpartition("@")[2]) for email in emails):
        found.append("disposable_email")
    return tuple(found)
