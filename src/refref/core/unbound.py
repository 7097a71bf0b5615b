"""Why an identifier bound nobody, by what the set-up says now: finer words for explanations. Pure.

A stored decision knows only which programs with terms have a code; this changes no decision and books nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from refref.core.attribution import Evidence
from refref.core.decisions import REASONS, Decision
from refref.core.told_carriers import code_key
from refref.core.why_not import StoppedBy, bind_by_hand, stopped_by
from refref.core.words import day

# Codes that only an explanation gives, as `stopped_by`. docs/how-it-counts.md is checked against this table.
UNBOUND_REASONS: dict[str, str] = {
    "no_terms": "The code is of a participant whose program has no published terms.",
    "other_connection": "The code is of a participant on another connection.",
}
_STORED = ("not_attributed", "unknown_code", "inactive_code")
_MOST_SHOWN = 64  # letters of an identifier that anybody may have written


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """Whose code it is, as the set-up says now. `ended_at`: from then on it binds nobody new; `elsewhere`: the name of
    the connection where it is, "" for that of the sale."""

    participant_id: str
    participant_name: str
    program_id: str
    program_name: str
    has_terms: bool = True
    is_archived: bool = False
    ended_at: int | None = None
    elsewhere: str = ""


class Unbound(msgspec.Struct, frozen=True):
    """What to tell of a sale that nobody is bound to, instead of what its decision says."""

    sentence: str
    evidence: tuple[Evidence, ...]
    stopped_by: StoppedBy


def is_unbound(decision: Decision) -> bool:
    """Whether nobody is bound to the sale, so that the set-up may say more than the decision."""
    return not decision.program_id and decision.reason in _STORED


def explain_unbound(
    decision: Decision, evidence: Sequence[Evidence], standings: Mapping[str, Standing]
) -> Unbound | None:
    """What the set-up says of the identifiers of an unbound sale, which matters most first; None where it says no more
    than the decision. `evidence`: as it was weighed; `standings`: by look-up key."""
    weighed = tuple([_judged(item, standings.get(code_key(item.kind, item.value))) for item in evidence])
    for verdict in ("no_terms", "inactive_code", "other_connection"):
        item = next((one for one in weighed if one.verdict == verdict), None)
        if item is not None:
            stop = _stop(decision, item, standings[code_key(item.kind, item.value)])
            return Unbound(stop.sentence, weighed, stop)
    return None


def _judged(item: Evidence, standing: Standing | None) -> Evidence:
    if standing is None or item.verdict not in ("other_program", "unknown_code"):
        return item
    if standing.elsewhere:
        verdict = "other_connection"
    elif standing.ended_at is not None and item.seen_at >= standing.ended_at:
        verdict = "inactive_code"
    elif not standing.has_terms:
        verdict = "no_terms"
    else:
        return item
    return msgspec.structs.replace(item, verdict=verdict, participant_id=standing.participant_id)


def _stop(decision: Decision, item: Evidence, standing: Standing) -> StoppedBy:
    code, named = item.verdict, f"The code “{item.value[:_MOST_SHOWN]}” is that of {standing.participant_name}"
    if code == "no_terms":
        sentence = f"{named}, whose program “{standing.program_name}” has no published terms."
        if standing.is_archived:
            before = "The program is archived and can have none. "
            remedy, href = bind_by_hand(decision, " to a participant of another program, if it should count.")
            return StoppedBy(gate="program", code=code, sentence=sentence, remedy=f"{before}{remedy}", href=href)
        remedy = (
            f"Publish terms of “{standing.program_name}” that are in force since {day(decision.occurred_at)} or "
            "before; the payment is judged again. No later version can reach back before the first."
        )
        return StoppedBy(
            gate="program", code=code, sentence=sentence, remedy=remedy, href=f"/programs/{standing.program_id}"
        )
    if code == "other_connection":
        return StoppedBy(
            gate="attribution",
            code=code,
            sentence=f"{named}, who takes part on the connection “{standing.elsewhere}”; connections never meet.",
            remedy="Add the code to a participant of this connection; the payment is judged again.",
            href="/participants",
        )
    found = stopped_by([msgspec.structs.replace(decision, reason=code)])
    assert found is not None
    assert found.sentence == REASONS[code]
    return found
