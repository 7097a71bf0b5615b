"""What was asked for that is no payment: what it is instead, or why nothing is known of it, with a next step. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from refref.core.why_not import EVENT_STOPS

LONGEST_ID = 260


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What it is, or what may be the reason that it is unknown, the likeliest first; `is_certain`: we know that it is
    so."""

    code: str
    is_certain: bool
    sentence: str
    remedy: str
    href: str


class Named(msgspec.Struct, frozen=True):
    """Something of the set-up or the catalogue that an id or a text names. `owner`: a code's participant, by name."""

    kind: str  # a key of _NAMED
    own_id: str
    name: str
    owner: str = ""
    owner_id: str = ""
    is_ended: bool = False


class IdSituation(msgspec.Struct, frozen=True, kw_only=True):
    """What we know around an unknown id. `mode`: of the connection, "" where several are meant; `events`: (type, state)
    of events about it that are not settled; `elsewhere`: names of other connections that know it; `last_webhook`: ISO
    or ""."""

    mode: str
    elsewhere: tuple[str, ...]
    events: tuple[tuple[str, str], ...]
    last_webhook: str
    has_history: bool


def asked_id(text: str) -> str:
    """The id or address in what a person typed or pasted: of an address in Stripe's dashboard its last part."""
    text = "".join(sign for sign in text if sign.isprintable()).strip()
    if text.startswith(("https://", "http://")):
        text = text.split("?")[0].split("#")[0].rstrip("/").rpartition("/")[2]
    return text[:LONGEST_ID]


def shown_id(any_id: str) -> str:
    """An id as it may be shown again: of a secret only the beginning."""
    return f"{any_id[:8]}…" if _SECRET.fullmatch(any_id) else any_id


# What Stripe calls objects of which RefRef keeps nothing, and with what to ask instead.
_NOT_KEPT: Mapping[str, tuple[str, str]] = {
    "si": ("an item of a subscription", "the id of the subscription (sub_…)"),
    "il": ("a line of an invoice", "the id of the invoice (in_…)"),
    "ii": ("an item for an invoice", "the id of the invoice (in_…)"),
    "li": ("a line of a checkout session", "the id of the session (cs_…)"),
    "di": ("a discount that was applied", "the id of the invoice or session it stands on"),
    "txn": ("a movement of the balance", "the id of the payment (ch_…, pi_…) that it names as its source"),
    "po": ("a payout to your bank", "the id of a payment in it (ch_…, pi_…)"),
    "tr": ("a transfer", "the id of a payment"),
    "pm": ("a payment method", "the id of the customer (cus_…)"),
    "card": ("a card", "the id of the customer (cus_…)"),
    "src": ("a source", "the id of the customer (cus_…)"),
    "seti": ("a set-up for later payments", "the id of the customer (cus_…)"),
    "plink": ("a payment link", "the id of a session that it started (cs_…)"),
    "sub_sched": ("a schedule of a subscription", "the id of the subscription (sub_…)"),
    "cbtxn": ("a movement of a customer's balance", "the id of the customer (cus_…)"),
    "we": ("a webhook endpoint", "the id of an event (evt_…); the endpoint is on the page of the integration"),
    "req": ("a request to Stripe", "the id of the object that it was about"),
}  # fmt: skip
_SECRET = re.compile(r"(sk|rk|whsec|rrk)_.{8,}")
_NOT_KEPT_ID = re.compile(f"({'|'.join(_NOT_KEPT)})_[A-Za-z0-9_]{{4,250}}")
_STRIPE_ID = re.compile(
    r"(in|pi|ch|py|cs|cus|sub|re|pyr|dp|du|cn|evt|promo|inpay|acct|prod|price|plan)_[A-Za-z0-9_]{4,250}"
)
_OWN_ID = re.compile(r"(rwd|rfl|tld|ptc|prg|pyt|con)_[a-z0-9]{20}(\.\d+)?")
_OF_MODE = re.compile(r"[a-z]+_(test|live)_")
_ASK = "Ask with the id of a payment (in_…, pi_…, ch_…, cs_…) or of a customer."
# What a named thing is, and where it is to be seen ({0}: its id, {1}: its owner's).
_NAMED: Mapping[str, tuple[str, str]] = {
    "participant": ("the participant", "/participants/{0}"),
    "refcode": ("a refcode", "/participants/{1}"),
    "promotion_code": ("a promotion code", "/participants"),
    "program": ("the program", "/programs/{0}"),
    "payout": ("a payout to", "/payouts/{0}"),
    "connection": ("the connection", "/integrations"),
    "product": ("the product", "/programs"),
    "price": ("a price of the product", "/programs"),
    "coupon": ("the coupon", "/programs"),
}


def cause_of_named(found: Named) -> Cause:
    """What it is, since it is no payment and no customer."""
    what, href = _NAMED[found.kind]
    sentence = f"This is {what} “{found.name}”"
    remedy = _ASK
    if found.kind in ("refcode", "promotion_code"):
        if found.owner:
            ended = ", and was ended" if found.is_ended else ""
            sentence += f". It belongs to {found.owner}{ended}"
            href, remedy = f"/participants/{found.owner_id}", "Look at what the participant earned."
        else:
            sentence += ". It belongs to no participant, so sales with it are not attributed by it"
            remedy = "Give it to a participant, if it should be."
    elif found.kind in ("participant", "program", "payout"):
        remedy = "Look at its page, or ask with the id of a payment or a customer."
    elif found.kind in ("product", "price", "coupon"):
        remedy = "What earns by it is said by the terms of the programs. " + _ASK
    href = href.format(found.own_id, found.owner_id)
    return _cause(f"is_{found.kind}", f"{sentence}.", remedy, href, is_certain=True)


def causes_of(any_id: str, found: IdSituation) -> list[Cause]:
    """Why nothing is known of an id or an e-mail address, the likeliest first."""
    if _SECRET.fullmatch(any_id):
        remedy = "Keep it to yourself; if others could see it, roll it in Stripe."
        return [_cause("secret", "That is a secret, not an id.", remedy, "/integrations", is_certain=True)]
    certain = _certain(any_id, found)
    if certain:
        return certain
    causes: list[Cause] = []
    if "@" in any_id:
        sentence = "No customer with this address is known; guests and customers without an address have only ids."
        causes.append(_cause("no_such_address", sentence, "Ask with the id of a payment (in_…, pi_…, ch_…, cs_…).", ""))
    elif kept := _NOT_KEPT_ID.fullmatch(any_id):
        what, instead = _NOT_KEPT[kept[1]]
        sentence = f"It is the id of {what}, of which RefRef keeps nothing."
        return [_cause("not_kept", sentence, f"Ask with {instead}.", "", is_certain=True)]
    elif not (_STRIPE_ID.fullmatch(any_id) or _OWN_ID.fullmatch(any_id)):
        sentence = "It is neither an id nor an address nor a code that is known here: there may be a typing error."
        causes.append(_cause("malformed", sentence, "Copy the id from Stripe's own pages.", ""))
        return causes
    if _OWN_ID.fullmatch(any_id):
        sentence = "RefRef has nothing under this id here: it may be another organization's or connection's."
        return [_cause("no_such_own_id", sentence, "Copy it again from where it stands.", "")]
    causes.extend(_likely(found))
    return causes


def _certain(any_id: str, found: IdSituation) -> list[Cause]:
    causes: list[Cause] = []
    if found.elsewhere:
        causes.append(_cause("other_connection", f"It is known on {', '.join(found.elsewhere)}.",
                             "Look at that connection.", "", is_certain=True))  # fmt: skip
    of_mode = _OF_MODE.match(any_id)
    if of_mode and "@" not in any_id and found.mode not in ("", of_mode[1]):
        sentence = f"The id is of {of_mode[1]} mode, and this connection of {found.mode} mode."
        remedy = f"Look at a connection of {of_mode[1]} mode."
        causes.append(_cause("other_mode", sentence, remedy, "", is_certain=True))
    for state in ("parked", "pending", "quarantined", "ignored"):
        types = sorted({name for name, own in found.events if own == state})
        if types:
            sentence, remedy, href = EVENT_STOPS[state]
            told = f"{sentence[:-1]}: {', '.join(types)}."
            causes.append(_cause(f"event_{state}", told, remedy, href, is_certain=True))
    return causes


def _likely(found: IdSituation) -> list[Cause]:
    last = f"The last webhook came at {found.last_webhook}." if found.last_webhook else "No webhook ever came."
    causes = [_cause("never_arrived", f"No event has told of it. {last}", "Compare with Stripe: what is missing is "
                     "brought in.", "/history")]  # fmt: skip
    if not found.has_history:
        sentence = "It may be from before the connection was made, and the history was not read."
        causes.append(_cause("before_connection", sentence, "Read the history of the account.", "/history"))
    causes.append(_cause("filtered_type", "Its event type may not be enabled on the endpoint in Stripe.",
                         "Look at the endpoint; the doctor lists what comes.", "/doctor"))  # fmt: skip
    sentence = "It may belong to another Stripe account."
    causes.append(_cause("other_account", sentence, "Connect that account.", "/integrations"))
    return causes


def _cause(code: str, sentence: str, remedy: str, href: str, *, is_certain: bool = False) -> Cause:
    return Cause(code=code, is_certain=is_certain, sentence=sentence, remedy=remedy, href=href)
