"""Faults of terms as a form says them: core names fields of a file and minor units, a page has neither."""

from __future__ import annotations

import re
from collections.abc import Callable

from refref.core.faults import Fault
from refref.web.pages.typed_amounts import percent_text

_IN_FORM: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"A rate is 1 to .*"), "Give a share of more than 0 and at most 100 %."),
    (re.compile(r"A rate is 0 to .*"), "Give a share of 0 to 100 %."),
    (re.compile(r"A share is 1 to .*"), "Give a share of more than 0 and at most 100 %."),
    (re.compile(r"An amount is positive.*"), "Give an amount of more than nothing, and not above what Stripe charges."),
    (re.compile(r"An amount is not negative.*"), "Give an amount of nothing or more."),
    (re.compile(r"A fixed reward needs amounts.*"), "Give an amount, such as 10.00 USD."),
    (re.compile(r"A cap needs amounts.*"), "Give an amount, such as 1000.00 USD."),
    (
        re.compile(r"The shares sum to (\d+) basis points.*"),
        lambda match: f"The shares sum to {percent_text(int(match[1]))} %: they must sum to 100 %.",
    ),
    (re.compile(r"Say who shares.*"), "Say who shares, in per cent that sum to 100."),
    (re.compile(r"Say what the discount grants.*"), "Say what the discount takes off: a percentage or an amount."),
    (re.compile(r"Say what the feature grants.*"), "Give the lookup key of the feature."),
    (re.compile(r"A discount takes off .*"), "Give a percentage or an amount that is taken off: one of them."),
    (re.compile(r"What is taken off is .*"), "Give 0 to 100 %."),
    (
        re.compile(r"“(.*)” carries no money to take a percentage of.*"),
        lambda match: f"“{match[1]}” carries no money to take a share of: choose a fixed amount.",
    ),
    (re.compile(r"Give the price of each currency.*"), "Give the price of each currency, such as 1.27 GBP."),
    (re.compile(r"To pay in the base currency.*"), "To pay in the base currency, choose how sales are converted."),
    (re.compile(r"Give the id of a participant, ptc_… or.*"), "Give the id of a participant (ptc_…), or referrer."),
    (re.compile(r"A custom event needs to say.*"), "Say which Stripe events it looks at."),
    (re.compile(r"A currency without amount_path.*"), "A currency is only used with an amount: say where it stands."),
)


def in_plain_words(fault: Fault) -> str:
    """The sentence of a fault for somebody who sees a form."""
    for pattern, words in _IN_FORM:
        match = pattern.fullmatch(fault.sentence)
        if match is not None:
            return words if isinstance(words, str) else words(match)
    return fault.sentence
