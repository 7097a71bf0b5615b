"""What is wrong with a connection's webhook endpoint at Stripe, in stable codes, and what repairs it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

# Every set-up has them; without one of these sales or renewals are lost.
BASIC_EVENTS = (
    "checkout.session.completed",
    "invoice.paid",
    "customer.subscription.created",
    "customer.subscription.updated",
    "charge.succeeded",
)
METADATA_KEY = "refref_connection"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint as Stripe has it. `connection_id`: whose it is by our metadata; `api_version` None is that of
    the account; `is_connect`: it hears connected accounts only."""

    stripe_endpoint_id: str
    url: str
    is_enabled: bool
    events: frozenset[str]
    api_version: str | None
    connection_id: str | None
    is_connect: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """The endpoint as it should be; `required` are the events without which the books can be wrong."""

    connection_id: str
    url: str
    events: tuple[str, ...]
    required: frozenset[str]
    api_version: str


@dataclass(frozen=True, slots=True)
class EndpointFinding:
    """One fault. `is_error`: money can be missed; else a warning. `names`: the events that it is about."""

    code: str
    is_error: bool
    sentence: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointReview:
    """The endpoint that serves the connection, others of ours that are one too many, and what is wrong."""

    endpoint: Endpoint | None
    doubles: tuple[Endpoint, ...]
    findings: tuple[EndpointFinding, ...]

    @property
    def must_be_replaced(self) -> bool:
        """Whether only a new endpoint repairs it: Stripe changes no version and tells no secret again."""
        return any(found.code in ("old_version", "secret_unknown") for found in self.findings)


def is_public(url: str) -> bool:
    """Whether Stripe can reach an address from outside; a loopback one only a sandbox on this machine can."""
    if not url.startswith("https://"):
        return False
    host = _authority(url).rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:  # a name
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))


def review_endpoint(
    wanted: Wanted, endpoints: Sequence[Endpoint], known_endpoint_ids: frozenset[str], *, has_given_secret: bool
) -> EndpointReview:
    """Find the connection's endpoint among those of the account, and judge it.

    `known_endpoint_ids`: those whose signing secret RefRef made and holds; `has_given_secret`: a secret was pasted,
    which may be that of any endpoint made by hand.
    """
    ours = [row for row in endpoints if not row.is_connect and _is_ours(row, wanted)]
    ours.sort(
        key=lambda row: (row.stripe_endpoint_id not in known_endpoint_ids, row.url != wanted.url, not row.is_enabled)
    )
    if not ours:
        return EndpointReview(None, (), (_nothing_of_ours(wanted, endpoints),))
    found, doubles = ours[0], tuple(ours[1:])
    is_known = found.stripe_endpoint_id in known_endpoint_ids or (has_given_secret and found.connection_id is None)
    return EndpointReview(found, doubles, tuple(_findings(wanted, found, doubles, is_known=is_known)))


def _authority(url: str) -> str:
    """The host and port of an address."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0]


def _is_ours(row: Endpoint, wanted: Wanted) -> bool:
    return row.connection_id == wanted.connection_id or row.url == wanted.url


def _nothing_of_ours(wanted: Wanted, endpoints: Sequence[Endpoint]) -> EndpointFinding:
    """What to say where no endpoint sends here. One with the same host may have been meant for RefRef, or may be that
    of another program there: it is named, and never changed."""
    host = _authority(wanted.url)
    near = [
        row
        for row in endpoints
        if _authority(row.url) == host and row.connection_id is None and not row.is_connect
        and "/stripe/webhooks/con_" not in row.url
    ]  # fmt: skip
    if not near:
        sentence = "Stripe has no webhook endpoint for this connection: nothing arrives."
        return EndpointFinding("no_endpoint", True, sentence)
    sentence = (
        f"Nothing arrives: {near[0].url} is not the address of this connection. Let RefRef set its own endpoint up; "
        "then delete that one in Stripe, unless another program needs it."
    )
    return EndpointFinding("wrong_url", True, sentence, tuple(row.stripe_endpoint_id for row in near))


def _findings(
    wanted: Wanted, found: Endpoint, doubles: tuple[Endpoint, ...], *, is_known: bool
) -> list[EndpointFinding]:
    rows: list[EndpointFinding] = []
    if not found.is_enabled:
        rows.append(EndpointFinding("disabled", True, "The endpoint is switched off: nothing arrives."))
    if found.url != wanted.url:
        rows.append(EndpointFinding("wrong_url", True, f"It sends to {found.url} instead of {wanted.url}."))
    if not is_known:
        sentence = "Its signing secret is not known here: every delivery is refused."
        rows.append(EndpointFinding("secret_unknown", True, sentence))
    if "*" not in found.events:
        missing = [name for name in wanted.events if name not in found.events]
        required = tuple(name for name in missing if name in wanted.required)
        useful = tuple(name for name in missing if name not in wanted.required)
        if required:
            sentence = "Events are missing without which rewards are missed or not taken back."
            rows.append(EndpointFinding("missing_events", True, sentence, required))
        if useful:
            sentence = "Events are missing that make names, trials and codes complete."
            rows.append(EndpointFinding("missing_useful_events", False, sentence, useful))
    surplus = tuple(sorted(found.events - set(wanted.events)))
    if surplus:
        sentence = "It asks for more than RefRef reads; each is answered and ignored."
        rows.append(EndpointFinding("surplus_events", False, sentence, surplus))
    if found.api_version != wanted.api_version:
        shown = found.api_version or "the account's version, which may change"
        sentence = f"It sends {shown}; RefRef pins {wanted.api_version}. Both are read."
        rows.append(EndpointFinding("old_version", False, sentence))
    if doubles:
        ids = tuple(row.stripe_endpoint_id for row in doubles)
        sentence = "Further endpoints send the same events here; each counts once, but the work is done twice."
        rows.append(EndpointFinding("several_endpoints", False, sentence, ids))
    return rows
