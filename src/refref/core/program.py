"""What rules need of a merchant's set-up: programs with terms and pauses, participants, reviews, rates. Data only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from refref.core.attribution import CodeOwner
from refref.core.compiled import SHARED_CHECKS, CompiledTerms, compiled
from refref.core.decisions import Note
from refref.core.rates import RateBook
from refref.core.terms import CurrencyTerms, TermsVersion


class Profile(msgspec.Struct, frozen=True, gc=False):
    """What a merchant says of a participant, from `since_at` on."""

    since_at: int
    groups: tuple[str, ...] = ()
    country: str = ""
    metadata: tuple[tuple[str, str], ...] = ()


class Participant(msgspec.Struct, frozen=True, gc=False):
    """A participant as rules see it; `email` normalised, `profiles` in order of time, `ips` hashed addresses."""

    participant_id: str
    kind: str = "affiliate"
    email: str = ""
    joined_at: int = 0
    profiles: tuple[Profile, ...] = ()
    ips: frozenset[str] = frozenset()

    def profile_at(self, instant: int) -> Profile:
        """What held at an instant."""
        chosen = _NO_PROFILE
        for profile in self.profiles:
            if profile.since_at <= instant:
                chosen = profile
        return chosen


_NO_PROFILE = Profile(0)


class Program(msgspec.Struct, frozen=True, gc=False):
    """A program; `terms` in order of version, `pauses` half-open and in order (an open one ends with None)."""

    program_id: str
    terms: tuple[TermsVersion, ...]
    pauses: tuple[tuple[int, int | None], ...] = ()
    archived_at: int | None = None

    def version_for(self, instant: int, bound_at: int) -> CompiledTerms | None:
        """The version for a conversion at `instant` of a referral bound at `bound_at`."""
        chosen = None
        for version in self.terms:
            keeps = version.terms.existing_referrals == "keep"
            if version.effective_at <= instant and not (keeps and bound_at < version.effective_at):
                chosen = version
        return None if chosen is None else compiled(chosen)

    def version_numbered(self, number: int) -> CompiledTerms:
        """The version of that number. Raises LookupError."""
        for version in self.terms:
            if version.version == number:
                return compiled(version)
        raise LookupError(f"program {self.program_id} has no terms version {number}")

    def is_paused_at(self, instant: int) -> bool:
        """Whether the program took nobody new at an instant."""
        return any(start <= instant and (end is None or instant < end) for start, end in self.pauses)

    @property
    def outline(self) -> Outline:
        """What its versions have in common, or need together."""
        return outline_of(self.terms)

    @property
    def is_shared(self) -> bool:
        """Whether what a payment earns may depend on other customers' payments, under any version."""
        return self.outline.is_shared


class Outline:
    """What the versions of one program's terms need together.

    `windows`: every sum that some version looks at; `cap_currencies`: for each cap, the currency in which others count
    and those it names; `judges_referrals`: whether checks look at a participant's other referrals; `has_sums`: whether
    a conversion may depend on others at all; `converts`: at the day's rate; `has_moneyless`: some event is no payment;
    `revenue_currency`: of the newest terms with tiers by revenue; `counted_in`: kept by `values`.
    """

    __slots__ = (
        "cap_currencies", "converts", "counted_in", "has_moneyless", "has_sums", "is_shared", "judges_referrals",
        "revenue_currency", "windows",
    )  # fmt: skip

    def __init__(self, versions: tuple[TermsVersion, ...]) -> None:
        made = [compiled(version) for version in versions]
        self.is_shared = any(version.is_shared for version in made)
        self.converts = any(version.terms.currency.conversion == "daily" for version in made)
        self.judges_referrals = any(version.fraud[check] != "off" for version in made for check in SHARED_CHECKS)
        self.has_moneyless = any(version.moneyless for version in made)
        self.counted_in: dict[tuple[int, str], tuple[Note, ...]] = {}
        self.windows = tuple({window.key: window for version in made for window in version.windows}.values())
        self.has_sums = bool(self.windows) or self.judges_referrals
        self.cap_currencies = tuple(
            {
                (source_currency(cap.amounts, version.terms.currency), tuple(sorted(cap.amounts)))
                for version in made
                for cap in version.terms.caps
            }
        )
        self.revenue_currency = next(
            (
                rule.tiers.currency
                for version in reversed(versions)
                for rule in version.terms.rules
                if rule.tiers is not None and rule.tiers.by == "revenue"
            ),
            "",
        )


def counts_otherwise(before: Sequence[TermsVersion], after: Sequence[TermsVersion]) -> bool:
    """Whether later terms look at sums across customers that were not kept so far, so that past conversions must be
    counted too."""
    old, new = Outline(tuple(before)), Outline(tuple(after))
    if not new.is_shared and not new.cap_currencies:
        return False
    return (old.is_shared, old.revenue_currency, set(old.cap_currencies)) != (
        new.is_shared,
        new.revenue_currency,
        set(new.cap_currencies),
    )


_outlines: dict[int, tuple[tuple[TermsVersion, ...], Outline]] = {}
_MOST_OUTLINES = 1024


def outline_of(versions: tuple[TermsVersion, ...]) -> Outline:
    """The outline of these versions; the same object for the same versions."""
    known = _outlines.get(id(versions))
    if known is not None and known[0] is versions:
        return known[1]
    if len(_outlines) >= _MOST_OUTLINES:
        _outlines.clear()
    made = Outline(versions)
    _outlines[id(versions)] = (versions, made)
    return made


def source_currency(amounts: Mapping[str, int], terms: CurrencyTerms) -> str:
    """From which of its amounts a value or a cap is converted."""
    return terms.base if terms.base in amounts else min(amounts)


class Review(msgspec.Struct, frozen=True, gc=False):
    """A person's verdict (approved, rejected) on a reward, a conversion (rule_id ""), or a referee (stripe_id)."""

    program_id: str
    rule_id: str
    stripe_id: str
    verdict: str


class Config(msgspec.Struct, frozen=True, gc=False):
    """What the merchant set up, as far as the scope at hand needs it.

    `codes`: look-up key -> owner; `participant_emails`: participant -> their e-mail address (normalised);
    `card_emails`: addresses of customers who paid with a card that this scope used too. `reviews`: verdicts by
    (program, rule, Stripe id), the latest. `participants`: those whose codes or shares matter here. `explains`: whether
    refusals say what exactly decided them, which takes time.
    """

    programs: tuple[Program, ...]
    codes: Mapping[str, CodeOwner]
    participant_emails: Mapping[str, str] = {}
    card_emails: frozenset[str] = frozenset()
    participants: Mapping[str, Participant] = {}
    reviews: Mapping[tuple[str, str, str], str] = {}
    rates: RateBook | None = None
    explains: bool = True
