"""What the doctor knows: every fault with its area, severity, sentence and fix. A table; judges nothing.

A further fault is a row here, and a query in db.doctor_traces (or a look of its own in flows.doctor).
"""

from __future__ import annotations

from collections.abc import Mapping
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


# Without a key a quiet shop and a lost delivery look alike.
_UNSEEN = Fix(
    sentence=f"{_ENDPOINT.sentence} If nothing was sold, all is well: with an API key RefRef sees by itself whether "
    "Stripe has events.",
    label="Open the integrations",
    href="/integrations",
    command="refref events --to-enable",
)


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
        "deliveries", "warning", "The signing secret is a day old or older, and no webhook has arrived yet.", _UNSEEN
    ),
    "signature_refused": FaultKind(
        "deliveries", "error",
        "Deliveries are refused, since their signature does not fit: the stored secret is not that of the endpoint.",
        Fix(sentence="Copy the signing secret of the endpoint from Stripe and store it here. Stripe delivers again by "
            "itself. If it is the same, something on the way changes the bodies.",
            label="Open the integrations", href="/integrations"),
    ),
    "silent": FaultKind(
        "deliveries", "error", "No webhook has arrived for much longer than is usual here.", _UNSEEN
    ),
    "type_missing": FaultKind(
        "deliveries", "error",
        "Stripe does not send events of types that RefRef needs. Objects that tell so: {count}.",
        _ENDPOINT,
    ),
    "type_only_listed": FaultKind(
        "deliveries", "warning",
        "Stripe's list has events of types that no webhook brings; they come minutes later. Events: {count}.",
        Fix(sentence=f"{_ENDPOINT.sentence} {_MENDED}", repair="mended", label="It is mended", href="/integrations",
            command="refref events --to-enable"),
        is_trace=True,
    ),
    "deliveries_lost": _trace(
        "deliveries", "warning",
        "Webhooks get lost, a twentieth of a day's events or more; Stripe's list brought them. Days of the last week: "
        "{count}.",
        "Look at the endpoint's failed deliveries in Stripe: this machine was not reached, or did not answer.",
        href="/integrations",
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
        "attribution", "warning", "Codes that no participant has came with customers or sales: {count}.",
        Fix(
            sentence="Add the code to a participant: their payments are judged again. If it is an id of your own, pass "
            "it as metadata instead.",
            label="It is mended", href="/participants", repair="mended",
        ),
        is_trace=True,
    ),
    "misspelt_key": _trace(
        "attribution", "error", "A metadata key looks like RefRef's, but is not. Objects that carry it: {count}.",
        "Write the key exactly.", _KEY_SNIPPET,
    ),
    "blank_reference": _trace(
        "attribution", "warning",
        "Objects came with a referral identifier that is blank, or a word such as “undefined”: {count}.",
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
        "attribution", "notice", "Active codes of different participants can be mistaken for one another: {count}.",
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
            sentence="If it was one sale, an event that links the ids is missing: a comparison with Stripe brings it. "
            "If they were two, say so: only what comes later is looked at then.",
            repair="mended", label="These are different sales", href="/history", command="refref reconcile",
        ),
        is_trace=True,
    ),
    # Stripe's side
    "version_drift": _trace(
        "stripe", "warning", "The latest webhooks come in {count} API versions.",
        "Two endpoints of different versions, or the account was upgraded: let one endpoint of RefRef's version send. "
        "After twenty events of one version this ends by itself.",
        href="/integrations",
    ),
    "clock_ahead": FaultKind(
        "stripe", "warning", "This machine's clock is slow. Webhooks made minutes after they were received: {count}.",
        Fix(sentence="Synchronise the machine's clock.", command="timedatectl set-ntp true"),
    ),
    "clock_refused": FaultKind(
        "stripe", "error", "Deliveries are refused, since they were signed more than five minutes off this machine's "
        "clock.",
        Fix(sentence="Synchronise the machine's clock; if it is right, see what keeps deliveries back for minutes.",
            command="timedatectl set-ntp true"),
    ),
    "wrong_mode": _trace(
        "stripe", "error", "Events of the other mode (test or live) came here and were set aside: {count}.",
        "Delete the endpoint of the other mode, or give it a connection of its own.", href="/integrations",
    ),
    "unknown_account": _trace(
        "stripe", "warning", "Events of another Stripe account came here and were set aside: {count}.",
        "Connect that account, or take it off the endpoint.", href="/integrations",
    ),
    "stray_accounts": FaultKind(
        "stripe", "notice", "The platform's endpoint hears of Stripe accounts that nobody has connected: {count}.",
        Fix(sentence="Let the merchant connect the account with Stripe: what came for it waits and is taken in then. "
            "Otherwise end its access in Stripe.", label="Open the integrations", href="/integrations"),
    ),
    "needs_unanswered": FaultKind(
        "stripe", "warning", "Questions to Stripe have no answer after several tries: {count}.",
        Fix(sentence="See that the key may read these objects, then ask again.", repair="ask_again", label="Ask again"),
    ),
    "lines_unknown": FaultKind(
        "stripe", "warning",
        "Payments wait a day or longer for their lines, which only Stripe's API tells: {count}.",
        Fix(sentence="Store an API key that may read invoices and checkout sessions.", label="Open the integrations",
            href="/integrations"),
    ),
    "secret_unreadable": FaultKind(
        "stripe", "error", "Stored secrets cannot be decrypted: {count}.",
        Fix(
            sentence="Put the master key that encrypted them back, or store the secrets anew.",
            snippet="REFREF_MASTER_KEY=new:<base64>,old:<base64>", command="refref key rotate",
        ),
    ),
    # Payouts. What sends money adds its own faults here.
    "overpaid": FaultKind(
        "payouts", "warning",
        "Participants were paid more than they have earned since, after refunds, and nothing on its way covers it: "
        "{count}.",
        Fix(sentence="The next payout sets it off by itself; if none is to be expected, settle it with them.",
            label="Open the payouts", href="/payouts"),
    ),
    "payout_told_twice": _trace(
        "payouts", "warning", "Payouts may have been told twice (same participant, amount and reference): {count}.",
        "Undo the one that was not made, if it is so.", href="/payouts",
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
    "worker_absent": FaultKind(
        "books", "error", "Nobody works: what is due every few minutes was not done for half an hour.",
        Fix(sentence="Start the worker; nothing is settled, matured or read without it.", command="refref worker"),
    ),
    "rates_missing": FaultKind(
        "books", "warning", "Payments wait for more than a week for an exchange rate. Currencies and days: {count}.",
        Fix(sentence="Upload rates for these days, or see why the European Central Bank's do not come.",
            label="Open the currencies", href="/settings/currencies"),
    ),
    "broken_invariant": FaultKind(
        "books", "error", "Promises of the books do not hold: {count}.",
        Fix(sentence="Do not pay out. Tell the developers; the books can be derived anew and compared.",
            command="refref rebuild --verify"),
    ),
}  # fmt: skip
