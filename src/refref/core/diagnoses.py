"""What the doctor knows: every fault with its area, severity, sentence and fix, and how traces are judged. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Severity = Literal["error", "warning", "notice"]
Area = Literal["deliveries", "attribution", "duplicates", "stripe", "payouts", "books"]
Repair = Literal["replay_parked", "ask_again", "mended"]


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """What mends a fault: a repair that the doctor does itself, a page, a command, or a snippet to put somewhere."""

    sentence: str
    repair: Repair | None = None
    label: str = ""
    href: str = ""
    command: str = ""
    snippet: str = ""


class FaultKind(msgspec.Struct, frozen=True):
    """A row of the table. `sentence` has a place for {count}; `is_trace`: what is found are traces of the past, which
    stay when the cause is mended, so a person says that it is."""

    area: Area
    severity: Severity
    sentence: str
    fix: Fix
    is_trace: bool = False


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


_CHECKOUT_SNIPPET = """\
stripe.checkout.sessions.create({
  // ... what you pass already
  client_reference_id: readCookie("refref-refcode"),  // leave it out where there is none
  metadata: {refref_referral_id: readCookie("refref-refcode")},
  subscription_data: {metadata: {refref_referral_id: readCookie("refref-refcode")}},
})"""
_KEY_SNIPPET = """\
metadata: {
  refref_referral_id: refcode,  // exactly this key
  refref_campaign: campaign,    // if there is one
}"""
_BLANK_SNIPPET = """\
const refcode = readCookie("refref-refcode")
const session = {mode: "subscription", line_items, success_url}
if (refcode) session.client_reference_id = refcode  // never an empty text"""
_SUBSCRIPTION_SNIPPET = """\
subscription_data: {
  metadata: {refref_referral_id: refcode},  // beside the session's own metadata
}"""
_ENDPOINT = Fix(
    sentence="Open Stripe's list of webhook endpoints and look at this connection's.",
    label="Open the integrations",
    href="/integrations",
    command="refref events --to-enable",
)
_RECONCILE = Fix(
    sentence="Compare with Stripe: what is missing is brought in.",
    label="Compare with Stripe",
    href="/history",
    command="refref reconcile",
)
_MENDED = "Then say that it is mended: only what comes later counts."


def _trace(area: Area, severity: Severity, sentence: str, fix: str, snippet: str = "", href: str = "") -> FaultKind:
    made = Fix(sentence=f"{fix} {_MENDED}", repair="mended", label="It is mended", snippet=snippet, href=href)
    return FaultKind(area, severity, sentence, made, is_trace=True)


FAULTS: Mapping[str, FaultKind] = {
    # Missing webhooks
    "no_webhook_secret": FaultKind(
        "deliveries", "warning", "The connection has no signing secret: every webhook is refused.",
        Fix(sentence="Store the signing secret of its webhook endpoint.",
            label="Open the integrations", href="/integrations"),
    ),
    "nothing_arrived": FaultKind(
        "deliveries", "warning", "The connection is a day old or older, and no webhook has arrived yet.", _ENDPOINT
    ),
    "silent": FaultKind(
        "deliveries", "error", "No webhook has arrived for much longer than is usual here.", _ENDPOINT
    ),
    "type_missing": FaultKind(
        "deliveries", "error",
        "Stripe does not send events of types that RefRef needs. Objects that tell so: {count}.",
        _ENDPOINT,
    ),
    "missed_by_webhook": FaultKind(
        "deliveries", "warning", "Events were found in Stripe's list that no webhook has brought: {count}.", _ENDPOINT
    ),
    "gaps_found": FaultKind(
        "deliveries", "warning",
        "The last comparison with Stripe found what was missing, and brought it in: {count}.", _RECONCILE
    ),
    "reading_failed": FaultKind(
        "deliveries", "error", "Readings of Stripe's lists failed: {count}.",
        Fix(sentence="Look at the error and let it go on.", label="Open the readings", href="/history"),
    ),
    "poll_failing": FaultKind(
        "deliveries", "error", "Stripe's list of events cannot be read.",
        Fix(sentence="Look at the error; often the key lacks a permission.", label="Open the readings",
            href="/history"),
    ),
    # Attribution errors
    "no_carriers": _trace(
        "attribution", "warning",
        "None of the last {count} checkout sessions carried a referral identifier, although there are participants.",
        "Pass the visitor's refcode on to Stripe.", _CHECKOUT_SNIPPET,
    ),
    "unknown_codes": FaultKind(
        "attribution", "warning", "Customers or sales carried a code that no participant has: {count}.",
        Fix(
            sentence="Add the code to a participant: their payments are judged again. If it is an id of your own, pass "
            "it as metadata instead.",
            label="Open the participants", href="/participants", repair="mended",
        ),
        is_trace=True,
    ),
    "misspelt_key": _trace(
        "attribution", "error", "A metadata key looks like RefRef's, but is not. Objects that carry it: {count}.",
        "Write the key exactly.", _KEY_SNIPPET,
    ),
    "blank_reference": _trace(
        "attribution", "warning", "Checkout sessions came with a blank client_reference_id: {count}.",
        "Pass it only where there is one.", _BLANK_SNIPPET,
    ),
    "session_metadata_only": _trace(
        "attribution", "notice",
        "Sessions carried the refcode in their metadata, and the subscriptions they started do not: {count}.",
        "Put it on the subscription, too: renewals then tell it by themselves, should the session's event be lost.",
        _SUBSCRIPTION_SNIPPET,
    ),
    "promotion_code_collides": FaultKind(
        "attribution", "error", "Promotion codes read like the refcode of another participant: {count}.",
        Fix(sentence="Rename one, or give the promotion code to that participant.", label="Open the participants",
            href="/participants"),
    ),
    "codes_alike": FaultKind(
        "attribution", "warning", "Active codes of different participants can be mistaken for one another: {count}.",
        Fix(sentence="End one of each pair and give out another.", label="Open the participants", href="/participants"),
    ),
    # Duplicate events
    "two_connections": FaultKind(
        "duplicates", "error",
        "The same Stripe account is connected more than once, so sales count twice. Others: {count}.",
        Fix(sentence="Disable one of them and delete its webhook endpoint.", label="Open the integrations",
            href="/integrations"),
    ),
    "same_event_twice": _trace(
        "duplicates", "error",
        "The account is connected twice. Events that arrived on another connection, too: {count}.",
        "Disable one of the connections.", href="/integrations",
    ),
    "several_endpoints": FaultKind(
        "duplicates", "warning", "Further endpoints at Stripe send the same events here; each event counts once.",
        Fix(sentence="Delete the others, and check the endpoint again.",
            label="Open the integrations", href="/integrations"),
    ),
    "sale_twice": FaultKind(
        "duplicates", "warning", "Sales may be known by two ids (same customer, same amount, within minutes): {count}.",
        Fix(
            sentence="If it was one sale, an event that links the ids is missing: a comparison with Stripe brings it.",
            label="Compare with Stripe", href="/history", command="refref reconcile",
        ),
    ),
    # Stripe's side
    "version_drift": FaultKind(
        "stripe", "warning", "The latest webhooks come in {count} API versions.",
        Fix(
            sentence="Two endpoints of different versions, or the account was upgraded. Let one endpoint of RefRef's "
            "version send; after twenty events of one version this ends by itself.",
            label="Open the integrations", href="/integrations",
        ),
    ),
    "clock_ahead": FaultKind(
        "stripe", "warning", "This machine's clock is slow. Webhooks made minutes after they were received: {count}.",
        Fix(sentence="Synchronise the machine's clock.", command="timedatectl set-ntp true"),
    ),
    "wrong_mode": _trace(
        "stripe", "error", "Events of the other mode (test or live) came here and were set aside: {count}.",
        "Delete the endpoint of the other mode, or give it a connection of its own.", href="/integrations",
    ),
    "unknown_account": _trace(
        "stripe", "warning", "Events of another Stripe account came here and were set aside: {count}.",
        "Connect that account, or take it off the endpoint.", href="/integrations",
    ),
    "needs_unanswered": FaultKind(
        "stripe", "warning", "Questions to Stripe have no answer after several tries: {count}.",
        Fix(sentence="See that the key may read these objects, then ask again.", repair="ask_again", label="Ask again"),
    ),
    "secret_unreadable": FaultKind(
        "stripe", "error", "Stored secrets cannot be decrypted: {count}.",
        Fix(
            sentence="Put the master key that encrypted them back, or store the secrets anew.",
            snippet="REFREF_MASTER_KEY=new:<base64>,old:<base64>", command="refref key rotate",
        ),
    ),
    # The books
    "parked_events": FaultKind(
        "books", "error", "Events could not be settled and are parked: {count}.",
        Fix(sentence="Mend the cause that each names, then settle them again.", repair="replay_parked",
            label="Settle them again", href="/events?state=parked", command="refref replay --parked"),
    ),
    "overdue_events": FaultKind(
        "books", "error", "Events have waited for more than a quarter of an hour: {count}.",
        Fix(sentence="The worker does not run, or cannot keep up.", command="refref worker"),
    ),
    "broken_invariant": FaultKind(
        "books", "error", "Promises of the books do not hold: {count}.",
        Fix(sentence="Do not pay out. Tell the developers; the books can be derived anew and compared.",
            command="refref rebuild --verify"),
    ),
}  # fmt: skip

_PROBLEM_AREA: Area = "stripe"


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
