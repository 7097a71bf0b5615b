"""What rules need of a merchant's set-up: programs with terms and pauses, participants, reviews, rates. Data only."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from refref.core.attribution import CodeOwner
from refref.core.compiled import SHARED_CHECKS, CompiledTerms, Window, compiled
from refref.core.rates import RateBook
from refref.core.terms import TermsVersion


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
    def is_shared(self) -> bool:
        """Whether what a payment earns may depend on other customers' payments, under any version."""
        return any(compiled(version).is_shared for version in self.terms)

    @property
    def converts(self) -> bool:
        """Whether some version converts at the day's rate."""
        return any(version.terms.currency.conversion == "daily" for version in self.terms)

    @property
    def judges_referrals(self) -> bool:
        """Whether some version asks for checks that look at a participant's other referrals."""
        versions = [compiled(version) for version in self.terms]
        return any(version.fraud[check] != "off" for version in versions for check in SHARED_CHECKS)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Every sum that some version looks at."""
        found = {window.key: window for version in self.terms for window in compiled(version).windows}
        return tuple(found.values())

    @property
    def revenue_currency(self) -> str:
        """The currency in which revenue is added up: of the newest terms with tiers by revenue."""
        for version in reversed(self.terms):
            for rule in version.terms.rules:
                if rule.tiers is not None and rule.tiers.by == "revenue":
                    return rule.tiers.currency
        return ""


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
    (program, rule, Stripe id), the latest. `participants`: those whose codes or shares matter here.
    """

    programs: tuple[Program, ...]
    codes: Mapping[str, CodeOwner]
    participant_emails: Mapping[str, str] = {}
    card_emails: frozenset[str] = frozenset()
    participants: Mapping[str, Participant] = {}
    reviews: Mapping[tuple[str, str, str], str] = {}
    rates: RateBook | None = None
