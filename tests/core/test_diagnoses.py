"""How the doctor judges: silence, keys and codes that look like others, ids of the shop's own, words for nothing."""

import pytest

from refref.core.diagnoses import (
    Rhythm,
    are_two_sales,
    codes_alike,
    is_misspelt_key,
    is_no_code,
    is_silent,
    without_own_ids,
)
from refref.core.known_faults import FAULTS

HOUR, DAY = 3_600, 86_400
RHYTHMS = [
    # deliveries, days from the first to the last, longest pause, present pause, silent?
    (100, 30, 12 * HOUR, 23 * HOUR, False),
    (100, 30, 12 * HOUR, 25 * HOUR, True),
    (100, 30, 60, 5 * HOUR, False),
    (100, 30, 60, 7 * HOUR, True),
    (19, 30, 12 * HOUR, 9 * DAY, False),  # too few to know
    (100, 6, 12 * HOUR, 9 * DAY, False),  # too short to know
    (40, 30, 14 * DAY, 20 * DAY, False),  # bills go out twice a month
]


@pytest.mark.parametrize(("count", "days", "longest", "pause", "silent"), RHYTHMS)
def test_silence_is_out_of_the_usual_rhythm(count: int, days: int, longest: int, pause: int, silent: bool) -> None:
    assert is_silent(Rhythm(count, 0, days * DAY, longest), days * DAY + pause) is silent


def test_what_never_began_is_not_silent() -> None:
    assert not is_silent(Rhythm(0, None, None, 0), 9 * DAY)


KEYS = [
    *((key, True) for key in ("refref_referal_id", "RefRef_Referral_Id", "refref-referral-id", "refreff_referral_id")),
    *((key, True) for key in ("refref", "refref_code", "refrefReferralId")),
    *((key, False) for key in ("refref_referral_id", "refref_campaign", "referral_id", "ref", "reference", "refund")),
    *((key, False) for key in ("rewardful_referral", "affiliate_id", "order_ref", "", "\u65e5\u672c")),
]


@pytest.mark.parametrize(("key", "misspelt"), KEYS)
def test_keys_that_were_meant_to_be_ours(key: str, misspelt: bool) -> None:
    assert is_misspelt_key(key) is misspelt


OWN = [f"user-{number}a9f3c2" for number in range(10, 20)]
CODES = [
    ([("anna", 1)], {"anna"}),
    ([(code, 1) for code in OWN], set()),
    ([(code, 1) for code in OWN[:4]], set(OWN[:4])),  # too few to know
    ([*((code, 1) for code in OWN), ("anna", 1), (OWN[0] + "x", 3)], {"anna", OWN[0] + "x"}),
    ([(str(number), 1) for number in range(1_000, 1_010)], set()),
    ([(f"partner{name}", 1) for name in "abcdefghij"], {f"partner{name}" for name in "abcdefghij"}),
]


@pytest.mark.parametrize(("codes", "meant"), CODES)
def test_ids_of_the_shop_s_own_are_no_codes(codes: list[tuple[str, int]], meant: set[str]) -> None:
    assert without_own_ids(codes) == meant


@pytest.mark.parametrize("value", ["", "  ", "undefined", "NULL", " None ", "[object Object]", "NaN"])
def test_words_for_nothing(value: str) -> None:
    assert is_no_code(value)
    assert not is_no_code(f"{value}ana1")


def test_codes_that_can_be_mistaken_for_one_another() -> None:
    assert codes_alike([("anna-1", "a"), ("annal", "b"), ("b0b", "c"), ("bob", "c"), ("eve", "d")]) == [
        ("anna-1", "annal")
    ]


SALES = [
    (("in_1", "pi_1", "ch_1"), ("pi_2", "ch_2"), True),
    (("in_1", "pi_1"), ("pi_1", "ch_1"), False),
    (("cs_1",), ("pi_2", "ch_2"), False),
    (("in_1",), ("pi_2",), False),
]


@pytest.mark.parametrize(("ids", "others", "are_two"), SALES)
def test_sales_with_payments_of_their_own_are_two(ids: tuple[str, ...], others: tuple[str, ...], are_two: bool) -> None:
    assert are_two_sales(ids, others) is are_two


def test_every_fault_has_a_sentence_and_a_fix() -> None:
    for code, kind in FAULTS.items():
        assert kind.sentence.endswith((".", "{count}.")), code
        assert kind.fix.sentence.endswith("."), code
        assert kind.fix.repair or kind.fix.href or kind.fix.command or kind.fix.snippet, code
        assert kind.is_trace == (kind.fix.repair == "mended"), code
        assert bool(kind.fix.repair or kind.fix.href) <= bool(kind.fix.label or kind.fix.command or kind.is_trace), code
