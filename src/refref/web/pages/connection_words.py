"""The words of connections: what a state is called, what a permission's state means."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from refref.core.connection_health import PROBLEMS, ProblemKind
from refref.db.connection_health import ConnectionProblem
from refref.db.connections import StripeConnection
from refref.web.pages.words import Status, moment_text

PERMISSION_STATES: dict[str, Status] = {
    "works": Status("Works", "good", ""),
    "missing": Status("Missing", "bad", "Add it to the key in Stripe."),
    "not_needed": Status("Not needed", "off", ""),
    "too_much": Status("Too much", "wait", "It may change what is only read. Take the right to write away."),
    "unknown": Status("Unknown", "wait", "Stripe could not be asked; check again."),
}


def problem_kind(code: str) -> ProblemKind:
    """What a problem is called and what to do."""
    return PROBLEMS[code]


def reached_by(connection: StripeConnection, held: Collection[str]) -> str:
    """How a connection and its account reach one another; `held`: the kinds of its secrets."""
    if connection.status == "disabled":
        return "nothing any more"
    if connection.access == "platform":
        return "Connect with Stripe"
    if "api_key" in held:
        return "its own key"
    return "webhooks alone" if "webhook" in held else "nothing yet"


def connection_status(
    connection: StripeConnection, problems: Sequence[ConnectionProblem], held: Collection[str]
) -> Status:
    """The state of a connection in a word; `problems` are open ones, of any connection, `held` the kinds of its
    secrets."""
    own = [problem for problem in problems if problem.connection_id == connection.connection_id]
    if connection.status == "disabled":
        return Status("Ended", "off", "Nothing is asked or taken. Another key takes it up again.")
    stopping = [problem for problem in own if PROBLEMS[problem.code].stops_calls]
    if connection.status == "degraded" and stopping:
        first = stopping[0]
        return Status("Cut off", "bad", f"{PROBLEMS[first.code].title}, since {moment_text(first.began_at)}.")
    if connection.access == "key" and not held:
        return Status("Not set up", "wait", "Store a key or a signing secret: until then nothing arrives.")
    if own:
        return Status("Active, with a fault", "wait", f"{PROBLEMS[own[0].code].title}.")
    return Status("Active", "good", "")
