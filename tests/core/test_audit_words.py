"""The audit log in words: every action that is written has a name, every kind of detail reads well."""

import ast
import re
from pathlib import Path

import pytest

from refref.core.audit_words import ACTIONS, Details, present_action, present_actor, present_details

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "src" / "refref" / "flows"
# Put together where they are written.
COMPOSED = {
    *(f"review.{verdict}" for verdict in ("approved", "rejected", "withdrawn")),
    *(f"webhook_endpoint.{what}" for what in ("create", "repair", "delete")),
    *(
        f"{kind}.{what}"
        for kind in ("backfill", "reconcile", "statement")
        for what in ("started", "cancelled", "resumed")
    ),
}
OF_FIELDS = {"program.eligibility_text", "program.name", "program.program_id", "program.terms_text"}


def written() -> set[str]:
    """The texts of the form noun.verb in the flows that write to the log."""
    return {
        node.value
        for path in FLOWS.glob("*.py")
        if re.search(r"\baudit\.record", path.read_text())
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[a-z_]+\.[a-z_]+", node.value)
    }


def test_every_action_that_is_written_has_a_name_and_every_name_is_written() -> None:
    there = (written() - OF_FIELDS) | COMPOSED
    assert there - ACTIONS.keys() == set(), "give these actions a name in core/audit_words.py"
    assert ACTIONS.keys() - there == set(), "nothing writes these actions"
    assert len(set(ACTIONS.values())) == len(ACTIONS), "two actions with one name cannot be told apart"
    assert present_action("older.action") == "older.action"


def test_the_page_of_the_audit_log_names_every_action() -> None:
    page = (ROOT / "docs" / "audit-log.md").read_text()
    assert dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (.+) \|$", page, re.MULTILINE)) == ACTIONS


DETAILS: list[tuple[Details, list[tuple[str, str]]]] = [
    ({}, []),
    ({"participant_id": "ptc_1", "amount_minor": 123456, "currency": "usd"}, [("amount", "1234.56 USD")]),
    ({"amount_minor": 500, "currency": "jpy"}, [("amount", "500 JPY")]),
    ({"program_id": "prg_1", "rule_id": None, "reason": "A friend"}, [("reason", "A friend")]),
    ({"rule_id": "first", "reason": ""}, [("rule", "first")]),
    ({"is_new": True, "scope": "read_write"}, [("new here", "yes"), ("access", "read and write")]),
    ({"has_api_key": False}, [("API key stored", "no")]),
    ({"clock_ahead_s": 86_400}, [("ahead of ours", "1 day")]),
    ({"clock_ahead_s": 30 * 86_400}, [("ahead of ours", "30 days")]),
    ({"count": 0}, [("put to work", "0")]),
    ({"kind": "webhook"}, [("kind", "signing secret")]),
    ({"something_new": 7}, [("something new", "7")]),
]


@pytest.mark.parametrize(("details", "lines"), DETAILS)
def test_details_are_told_in_words(details: Details, lines: list[tuple[str, str]]) -> None:
    assert present_details(details) == lines


def test_problems_of_a_connection_are_told_by_their_titles() -> None:
    [(label, value)] = present_details({"codes": "permission_missing unheard_of"})
    assert label == "what"
    assert "permission_missing" not in value
    assert value.endswith("; unheard_of")


@pytest.mark.parametrize(
    ("actor", "name", "words"),
    [
        ("system", None, "RefRef or the command line"),
        ("user:usr_1", "Sample Owner", "Sample Owner"),
        ("user:usr_1", None, "somebody who left"),
        ("key:key_1", "Shop", "API key “Shop”"),
        ("key:key_1", None, "an API key"),
    ],
)
def test_who_acted_is_told_in_words(actor: str, name: str | None, words: str) -> None:
    assert present_actor(actor, name) == words
