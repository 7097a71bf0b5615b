"""How the doctor judges what it sees: silence, misspelt keys, codes that look alike, ids of the shop's own. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import msgspec

from refref.core.known_faults import FAULTS, Area, Fix, Severity


class Seen(msgspec.Struct, frozen=True):
    """Where a fault was found: how often, from when to when (seconds since 1970), a few examples, the latest first."""

    count: int
    first_at: int | None
    last_at: int | None
    examples: tuple[str, ...]


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of one connection (or of the organization: connection_id ""), with evidence and fix."""

    code: str
    connection_id: str
    area: Area
    severity: Severity
    sentence: str
    count: int
    first_at: int | None
    last_at: int | None
    evidence: tuple[str, ...]
    fix: Fix
    is_trace: bool = False


def diagnose(code: str, connection_id: str, seen: Seen) -> Diagnosis:
    """The diagnosis of a fault of the table."""
    kind = FAULTS[code]
    return Diagnosis(
        code=code,
        connection_id=connection_id,
        area=kind.area,
        severity=kind.severity,
        sentence=kind.sentence.format(count=f"{seen.count:,}"),
        count=seen.count,
        first_at=seen.first_at,
        last_at=seen.last_at,
        evidence=seen.examples,
        fix=kind.fix,
        is_trace=kind.is_trace,
    )


class Rhythm(msgspec.Struct, frozen=True):
    """How deliveries used to come: how many, the first, the last, and the longest pause between two, in seconds."""

    count: int
    first_at: int | None
    last_at: int | None
    longest_pause_s: int


ENOUGH_DELIVERIES = 20
ENOUGH_SPAN_S = 7 * 86_400
_LEAST_PAUSE_S = 6 * 3_600


def is_silent(rhythm: Rhythm, now: int) -> bool:
    """Whether the present pause is out of the usual: more than twice the longest, and six hours, of a week or more."""
    if rhythm.first_at is None or rhythm.last_at is None or rhythm.count < ENOUGH_DELIVERIES:
        return False
    if rhythm.last_at - rhythm.first_at < ENOUGH_SPAN_S:
        return False
    return now - rhythm.last_at > max(2 * rhythm.longest_pause_s, _LEAST_PAUSE_S)


_KNOWN_KEYS = frozenset(("refref_referral_id", "refref_campaign"))
_NOT_A_LETTER = re.compile(r"[^a-z0-9]")


def is_misspelt_key(key: str) -> bool:
    """Whether a metadata key was meant to be RefRef's and is not."""
    if key in _KNOWN_KEYS:
        return False
    plain = _NOT_A_LETTER.sub("", key.lower())
    if plain.startswith(("refref", "reffef", "refreff")):
        return True
    return 0 < _distance("refrefreferralid", plain) <= 3


def _distance(a: str, b: str) -> int:
    """How many letters to change, add or take away (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (left != right))
    return row[-1]


_LOOKALIKES = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "-": "", "_": "", ".": ""})


def codes_alike(codes: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of codes of different participants that can be mistaken for one another; given as (code, participant)."""
    folded: dict[str, tuple[str, str]] = {}
    pairs: list[tuple[str, str]] = []
    for code, participant_id in sorted(codes):
        first = folded.setdefault(code.lower().translate(_LOOKALIKES), (code, participant_id))
        if first[1] != participant_id:
            pairs.append((first[0], code))
    return pairs


# How shops write ids of their own: numbers, long hexadecimal ones, a prefix with many letters, or anything long.
_OWN_ID = re.compile(r"[0-9]+|[0-9a-f-]{16,}|[a-z]{1,12}[_-][0-9a-z]{8,}|.{25,}")
_MANY_OWN_IDS = 5


def without_own_ids(codes: Sequence[tuple[str, int]]) -> frozenset[str]:
    """Which of the codes that nobody owns, each with how many customers carried it, were meant as refcodes.

    A shop may put ids of its own into client_reference_id; then there are many of that form, each of one customer.
    """
    own = {code for code, scope_count in codes if scope_count == 1 and _OWN_ID.fullmatch(code)}
    return frozenset(code for code, _ in codes) - (own if len(own) >= _MANY_OWN_IDS else set())


_NO_CODES = frozenset(("", "undefined", "null", "none", "nan", "[object object]", "false", "true", "{refcode}"))


def is_no_code(value: str) -> bool:
    """Whether a referral identifier is what programs write where there is none."""
    return value.strip().lower() in _NO_CODES


def are_two_sales(ids: Collection[str], other_ids: Collection[str]) -> bool:
    """Whether payments with these ids are proven to be different: money moved for each by a payment of its own."""
    return all(any(i.startswith(("pi_", "ch_", "py_")) for i in own) for own in (ids, other_ids)) and not set(
        ids
    ).intersection(other_ids)
