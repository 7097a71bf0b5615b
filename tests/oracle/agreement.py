"""One form for what the oracle and the product say of a world, so that the two can be compared and differences read."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oracle.awards import REFEREE
from oracle.cases import Outcome
from oracle.conversions import conversions_of
from oracle.oracle import judge
from oracle.referrals import address, cards_of
from oracle.rendering import PROGRAM, config_of, facts_of
from oracle.worlds import World
from refref.core.derive import Derived, draft, finish
from refref.core.derive import derived_of as derived_of_scope

# (conversion, rule) -> a refusal's reason, or who got what of it, and where it is.
Told = dict[tuple[str, str], str]


def told_by_oracle(world: World, now: int) -> Told:
    """What the oracle says. A rule that is not about a conversion says nothing of it."""
    referees = {conversion.key: conversion.customer.referee_id for conversion in conversions_of(world)}
    return {
        key: _sentence(outcome, referees[outcome.conversion])
        for key, outcome in judge(world, now).items()
        if outcome.reason != "no_rule_applies"
    }


def _sentence(outcome: Outcome, referee_id: str) -> str:
    if outcome.reason:
        return outcome.reason
    if outcome.state in ("reversed", "rejected") and not any(one.amount_minor for one in outcome.given):
        return "went_back" if outcome.state == "reversed" else "rejected"
    parts = [
        (
            referee_id if one.beneficiary == REFEREE else one.beneficiary,
            one.currency,
            one.amount_minor,
            one.reversed_minor,
        )
        for one in outcome.given
    ]
    return in_words(parts, outcome.state)


def in_words(parts: Iterable[tuple[str, str, int, int]], state: str) -> str:
    """`ptc_ana 1000-500 usd, pending`; the state of what is gone whole does not matter."""
    words = []
    is_gone = True
    for who, currency, amount, back in sorted(parts):
        words.append(f"{who} {amount}-{back} {currency if amount else ''}".rstrip())
        is_gone = is_gone and back == amount > 0
    return ", ".join([*words, "gone" if is_gone else state])


def told_by_product(derived: Iterable[Derived]) -> Told:
    """What the product says, by its rewards and, where there are none, by its decisions."""
    told: Told = {}
    parts: dict[tuple[str, str], list[tuple[str, str, int, int]]] = {}
    places: dict[tuple[str, str], str] = {}
    for one in derived:
        for decision in one.decisions:
            if decision.program_id != PROGRAM or not decision.participant_id:
                continue
            if decision.reason and not decision.rules:
                told[decision.payment_key, ""] = decision.reason
            for rule in decision.rules:
                if rule.reason and rule.reason != "no_rule_applies":
                    told[decision.payment_key, rule.rule_id] = rule.reason
        for reward in one.rewards:
            key = reward.payment_key, reward.rule_id
            parts.setdefault(key, []).append((reward.beneficiary_id, reward.currency, reward.amount, reward.reversed))
            places[key] = reward.location
    for key, given in parts.items():
        # What a person rejected stays in the books, taken back whole. Nothing else is both refused and rewarded.
        assert told.get(key, "rejected") == "rejected", (key, told[key], given)
        told[key] = in_words(given, places[key])
    return told


def derived_of(world: World, now: int) -> dict[str, Derived]:
    """What the product derives of a world in memory, a scope for each customer."""
    config = config_of(world)
    drafts = []
    for customer in world.customers:
        # As flows.settle asks of the books: whose card is it, too?
        sharing = [one for one in world.customers if not one.is_guest and cards_of(one) & cards_of(customer)]
        emails = frozenset(address(one.email) for one in sharing if one.email)
        own = msgspec.structs.replace(config, card_emails=emails)
        drafts.append((customer.customer_id, draft(facts_of(customer), own)))
    completed = finish(drafts, config)
    return {scope: derived_of_scope(drafted, completed[scope], now) for scope, drafted in drafts}


def differences(expected: Told, got: Told) -> list[str]:
    """Every difference as a line. What earns nothing anyway need not be told of where no sale is concerned."""
    found = []
    for key in sorted(expected.keys() | got.keys()):
        is_silent = "/" in key[0] and key[1] == "" and (key not in got or key not in expected)
        if expected.get(key) != got.get(key) and not is_silent:
            found.append(f"{key[0]} {key[1]}: expected {expected.get(key)}, got {got.get(key)}")
    return found
