"""Completing some conversions where others' payments matter: what must be judged again, from which sums, and whom it
concerns next.

The books hold the outcome of every conversion; only those whose draft changed, or before which something changed, are
completed again. Pure: `plan` says what to look up, `complete_planned` does it with what was found.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from refref.core.claims import Candidate
from refref.core.compiled import CompiledRule, Window
from refref.core.complete import Completed, Judged, complete
from refref.core.contributions import stage_one_tally
from refref.core.decisions import Decision
from refref.core.paid import Key, as_booked, draft_digest
from refref.core.periods import period_end, period_start
from refref.core.program import Program
from refref.core.terms import TierStep
from refref.core.totals import ALL_MEASURES, Firsts, Tally, Totals

Owner = tuple[str, str]  # program, owner; owner "" is the whole program
Order = tuple[int, str]
Sum = tuple[Literal["referrals", "revenue", "earned"], str]  # what is added up, over which period
CUSTOMER = frozenset(("customer",))
OF_OWNER = frozenset(("referrals", "revenue", "participant"))
OF_PROGRAM = frozenset(("program",))


class KnownDecision(msgspec.Struct, frozen=True, gc=False):
    """A decision as the books have it, by its digests; `is_paid`: a reward of it was paid out."""

    digest: bytes
    draft: bytes | None
    is_stale: bool
    is_paid: bool = False


class Prefix(msgspec.Struct, frozen=True, gc=False):
    """The sums of one owner before a position, of one rule and currency, in the periods that hold the position; None
    is nothing."""

    program_id: str
    owner_id: str
    rule_id: str
    currency: str
    sums: Mapping[Sum, int | None]


def sum_of(window: Window) -> Sum | None:
    """The sum that a window's count starts from; None for a customer's own, which is at hand."""
    if window.measure == "customer":
        return None
    if window.measure == "referrals" or window.measure == "revenue":
        return window.measure, window.period
    return "earned", window.period


class Look(msgspec.Struct, gc=False):
    """What to look up, and what to judge again.

    `todo`: places of candidates by scope; `since`: for each owner, the position from which contributions matter;
    `replaced`: conversions whose contributions are out of date; `paid`: those of them that come out as booked.
    """

    todo: dict[str, list[int]]
    digests: dict[Key, bytes]
    since: dict[Owner, Order]
    replaced: set[Key]
    paid: set[Key]

    def starts_at(self, owner: Owner, order: Order) -> None:
        """Take note that an owner's sums matter from a position on."""
        known = self.since.get(owner)
        if known is None or order < known:
            self.since[owner] = order


def plan(
    drafts: Sequence[tuple[str, Sequence[Candidate]]],
    booked: Mapping[str, Mapping[Key, KnownDecision]],
    tallies: Mapping[str, Sequence[Tally]],
    programs: Mapping[str, Program],
) -> Look:
    """Which conversions must be judged again, and whose sums that takes."""
    look = Look({}, {}, {}, set(), set())
    for scope, candidates in drafts:
        known = booked.get(scope, {})
        gone = set(known)
        todo = look.todo.setdefault(scope, [])
        for place, candidate in enumerate(candidates):
            decision = candidate.decision
            key = (decision.payment_key, decision.program_id)
            gone.discard(key)
            program = programs.get(decision.program_id)
            if program is None or not program.is_shared:
                todo.append(place)
                continue
            look.digests[key] = digest = draft_digest(candidate)
            before = known.get(key)
            if before is not None and before.draft == digest and not before.is_stale:
                if before.is_paid:
                    look.paid.add(key)
                continue
            todo.append(place)
            look.replaced.add(key)
            for owner in _owners(candidate):
                look.starts_at(owner, candidate.order)
        look.replaced.update(gone)
        _judge_referrals_whole(scope, candidates, look, programs)
        for tally in tallies.get(scope, ()):
            if (tally.payment_key, tally.program_id) in look.replaced:
                look.starts_at((tally.program_id, tally.owner_id), tally.order)
                look.starts_at((tally.program_id, ""), tally.order)
    _leave_out_what_nobody_looks_at(look, programs)
    return look


def _judge_referrals_whole(
    scope: str, candidates: Sequence[Candidate], look: Look, programs: Mapping[str, Program]
) -> None:
    """A check finds its verdict on a referral at its first counted payment, so that one is judged with any other."""
    todo = set(look.todo[scope])
    again = {
        (candidates[place].decision.program_id, candidates[place].decision.referee_id)
        for place in todo
        if candidates[place].referral
    }
    for place, candidate in enumerate(candidates):
        decision = candidate.decision
        program = programs.get(decision.program_id)
        if program is None or not program.outline.judges_referrals or place in todo or not candidate.referral:
            continue
        if (decision.program_id, decision.referee_id) in again:
            look.todo[scope].append(place)
            look.replaced.add((decision.payment_key, decision.program_id))
            for owner in _owners(candidate):
                look.starts_at(owner, candidate.order)


def _owners(candidate: Candidate) -> list[Owner]:
    """Whose sums a conversion looks at and adds to."""
    program_id = candidate.decision.program_id
    owners = {candidate.decision.participant_id, ""}
    owners.update(beneficiary for claim in candidate.claims for beneficiary, _ in claim.parts)
    return [(program_id, owner) for owner in owners]


def _leave_out_what_nobody_looks_at(look: Look, programs: Mapping[str, Program]) -> None:
    for owner in list(look.since):
        program = programs.get(owner[0])
        measures = {window.measure for window in program.outline.windows} if program else set()
        wanted = OF_PROGRAM if owner[1] == "" else OF_OWNER
        if not measures & wanted and not (owner[1] and program is not None and program.outline.judges_referrals):
            del look.since[owner]


class Found(msgspec.Struct, gc=False):
    """What was looked up: sums before, contributions from there on (those replaced left out), first payments, and the
    booked decisions of what was paid out."""

    prefixes: Sequence[Prefix]
    later: Sequence[Tally]
    firsts: Mapping[Owner, tuple[int, int, int, tuple[int, ...]]]  # count, undone, by code, instants of the last day
    paid: Mapping[Key, Decision] = {}


class Stale(msgspec.Struct, frozen=True, gc=False):
    """Conversions to judge again: an owner's in [since, until), from after `after` in the order."""

    program_id: str
    owner_id: str
    since: int
    until: int | None
    after: Order


class Outcome(msgspec.Struct, gc=False):
    """What completing came to: by scope and place (None: as booked), the contributions, and who is concerned next."""

    completed: dict[str, list[Completed | None]]
    tallies: list[tuple[Tally, str]]
    stale: list[Stale]


def complete_planned(
    drafts: Sequence[tuple[str, Sequence[Candidate]]],
    look: Look,
    found: Found,
    tallies: Mapping[str, Sequence[Tally]],
    programs: Mapping[str, Program],
) -> Outcome:
    """Judge what was planned, in the order of conversions."""
    totals = Totals(programs.values())
    _start(totals, look, found)
    steps = _steps(drafts, look, found, tallies)
    for step in steps:
        if isinstance(step[3], Candidate):
            tally = stage_one_tally(step[3])
            if tally is not None:
                totals.add_whole(tally)
        elif step[4] is OF_OWNER:
            totals.add_whole(step[3])
    outcome = Outcome({scope: [None] * len(candidates) for scope, candidates in drafts}, [], [])
    judged: dict[tuple[str, str], Judged] = {}
    for _, scope, place, item, measures in steps:
        if isinstance(item, Tally):
            totals.add(item, measures)
            continue
        program = programs.get(item.decision.program_id)
        booked = found.paid.get((item.decision.payment_key, item.decision.program_id))
        if booked is not None and program is not None:
            completed = as_booked(item, booked, program, judged)
        else:
            completed = complete(item, program, totals, judged)
        outcome.completed[scope][place] = completed
        for tally in completed.tallies:
            totals.add(tally)
        if program is not None and program.is_shared:
            outcome.tallies.extend([(tally, scope) for tally in completed.tallies])
    outcome.stale = _concerned(look, found, tallies, outcome, totals, programs)
    return outcome


def _start(totals: Totals, look: Look, found: Found) -> None:
    for prefix in found.prefixes:
        at = look.since[prefix.program_id, prefix.owner_id][0]
        for window in totals.windows_of(prefix.program_id):
            if (window.measure == "program") != (prefix.owner_id == ""):
                continue
            start = period_start(window.period, at)
            looked_up = sum_of(window)
            if looked_up is None or (looked_up[0] == "earned") == (prefix.rule_id == ""):
                continue
            if window.rules is not None and prefix.rule_id not in window.rules:
                continue
            amount = prefix.sums[looked_up]
            if amount:
                totals.add_sum(window, prefix.program_id, prefix.owner_id, prefix.currency, start, amount)
    for owner, (count, undone, by_code, instants) in found.firsts.items():
        firsts = totals.firsts.setdefault(owner, Firsts())
        firsts.count, firsts.undone, firsts.by_code, firsts.instants = count, undone, by_code, list(instants)


Step = tuple[Order, str, int, Candidate | Tally, frozenset[str]]


def _steps(
    drafts: Sequence[tuple[str, Sequence[Candidate]]],
    look: Look,
    found: Found,
    tallies: Mapping[str, Sequence[Tally]],
) -> list[Step]:
    """Everything that adds to the sums, in order: candidates, others' contributions, and the scopes' own kept ones."""
    steps: list[Step] = []
    for scope, candidates in drafts:
        for place in look.todo.get(scope, ()):
            candidate = candidates[place]
            steps.append((candidate.order, scope, place, candidate, ALL_MEASURES))
        for tally in tallies.get(scope, ()):
            if (tally.payment_key, tally.program_id) not in look.replaced and tally.rule_id:
                steps.append((tally.order, "", -1, tally, CUSTOMER))
    for tally in found.later:
        for owner, measures in ((tally.owner_id, OF_OWNER), ("", OF_PROGRAM)):
            since = look.since.get((tally.program_id, owner))
            if since is not None and tally.order >= since:
                steps.append((tally.order, "", -1, tally, measures))
    steps.sort(key=_in_order)
    return steps


def _in_order(step: Step) -> tuple[Order, str, int]:
    return step[:3]


# Who is concerned next -----------------------------------------------------------------------------------------------


def _concerned(
    look: Look,
    found: Found,
    tallies: Mapping[str, Sequence[Tally]],
    outcome: Outcome,
    totals: Totals,
    programs: Mapping[str, Program],
) -> list[Stale]:
    """Conversions of others after a changed contribution, and whole periods whose step changed."""
    old = {tally for own in tallies.values() for tally in own if (tally.payment_key, tally.program_id) in look.replaced}
    new = {tally for tally, _ in outcome.tallies}
    stale: dict[Stale, None] = {}
    last = _last_positions(found.later)
    deltas: dict[tuple[str, str, str, str, int], list[int]] = {}
    for sign, changed in ((-1, old - new), (1, new - old)):
        for tally in changed:
            program = programs.get(tally.program_id)
            if program is None:
                continue
            for owner in (tally.owner_id, ""):
                if last.get((tally.program_id, owner), (0, "")) > tally.order:
                    stale[Stale(tally.program_id, owner, tally.occurred_at, None, tally.order)] = None
            _note_deltas(program, tally, sign, deltas)
    for (program_id, owner, measure, period, at), (amount,) in deltas.items():
        whole = totals.whole(f"{measure} {period}", period, program_id, owner, at)
        if _step_changes(programs[program_id], measure, period, whole - amount, whole):
            stale[Stale(program_id, owner, at, period_end(period, at), (at - 1, ""))] = None
    return list(stale)


def _last_positions(later: Collection[Tally]) -> dict[Owner, Order]:
    last: dict[Owner, Order] = {}
    for tally in later:
        for owner in (tally.owner_id, ""):
            key = (tally.program_id, owner)
            if tally.order > last.get(key, (0, "")):
                last[key] = tally.order
    return last


def _retroactive_rules(program: Program) -> list[CompiledRule]:
    rules = [rule for version in program.terms for rule in program.version_numbered(version.version).rules]
    return [
        rule
        for rule in rules
        if rule.tier_window is not None and rule.rule.tiers is not None and rule.rule.tiers.applies == "retroactive"
    ]


def _note_deltas(
    program: Program, tally: Tally, sign: int, deltas: dict[tuple[str, str, str, str, int], list[int]]
) -> None:
    for rule in _retroactive_rules(program):
        window = rule.tier_window
        assert window is not None
        amount = sign * (tally.referrals if window.measure == "referrals" else tally.revenue)
        if amount:
            start = period_start(window.period, tally.occurred_at)
            key = (tally.program_id, tally.owner_id, window.measure, window.period, start)
            deltas.setdefault(key, [0])[0] += amount


def _step_changes(program: Program, measure: str, period: str, before: int, after: int) -> bool:
    for rule in _retroactive_rules(program):
        tiers, window = rule.rule.tiers, rule.tier_window
        if tiers is None or window is None or window.measure != measure or window.period != period:
            continue
        if _step(tiers.steps, before) != _step(tiers.steps, after):
            return True
    return False


def _step(steps: Sequence[TierStep], reached: int) -> int:
    chosen = 0
    for place, step in enumerate(steps):
        if step.at_least <= reached:
            chosen = place
    return chosen
