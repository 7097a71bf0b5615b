"""Terms as files and the life of a program, from the command line."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from refref.cli import app

Run = Callable[..., Result]


@pytest.fixture
def refref(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs a command on a database with an organization and a connection."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REFREF_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REFREF_MASTER_KEY", f"k1:{base64.b64encode(bytes(32)).decode()}")

    def run(*arguments: str, code: int = 0, typed: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=typed)
        assert result.exit_code == code, (arguments, result.output, result.exception)
        return result

    run("user", "create", "--email", "a@example.com", "--new-organization", "Sample Shop")
    run("connection", "create", "--mode", "test")
    return run


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def program(refref: Run, *more: str) -> str:
    return str(said(refref("program", "create", "--name", "Affiliates", "--json", *more))["program_id"])


def test_an_exported_file_changes_nothing_and_a_changed_one_shows_its_plan(refref: Run, tmp_path: Path) -> None:
    program_id = program(refref, "--template", "affiliate")
    file = tmp_path / "terms.yaml"
    refref("terms", "export", program_id, "--output", str(file))
    text = file.read_text()
    assert "rate_bps: 3000  # 30 %" in text
    assert refref("terms", "plan", str(file)).stdout == "Nothing to change.\n"
    assert refref("terms", "apply", str(file)).stdout == "Nothing to change.\n"
    exported = refref("terms", "export", program_id, "--format", "json").stdout
    as_json = tmp_path / "terms.json"
    as_json.write_text(exported)
    assert said(refref("terms", "apply", str(as_json), "--json"))["version"] is None

    file.write_text(text.replace("rate_bps: 3000", "rate_bps: 2500").replace("name: Affiliates", "name: Partners"))
    plan = "Name: “Affiliates” becomes “Partners”.\nVersion 2 of the terms:\n- Rule “Commission”: 30 % becomes 25 %.\n"
    tried = "Tried on the program's history, as if in force since ever:\n  It has no conversions yet.\n"
    assert refref("terms", "plan", str(file)).stdout == plan + tried
    assert refref("terms", "plan", str(file), "--no-money").stdout == plan
    refused = refref("terms", "apply", str(file), typed="n\n", code=1)
    assert refused.stdout.startswith(plan)
    assert "nothing was changed" in refused.stderr
    assert len(said(refref("terms", "history", program_id, "--json"))) == 1
    done = refref("terms", "apply", str(file), typed="y\n")
    assert done.stdout.startswith(plan)
    assert f"{program_id}: version 2 from 2" in done.stdout
    assert refref("terms", "apply", str(file)).stdout == "Nothing to change.\n"
    history = said(refref("terms", "history", program_id, "--json"))
    assert [(row["version"], row["changes"][0]) for row in history] == [
        (2, "Rule “Commission”: 30 % becomes 25 %."),
        (1, "“Commission”: 30 % of every payment."),
    ]
    assert refref("terms", "diff", program_id, "2", "1").stdout == "Rule “Commission”: 25 % becomes 30 %.\n"
    assert "rate_bps: 3000" in refref("terms", "export", program_id, "--version", "1").stdout


def test_a_file_without_an_id_makes_a_program_once(refref: Run, tmp_path: Path) -> None:
    file = tmp_path / "terms.yaml"
    file.write_text(
        "program:\n  name: Leads\n  eligibility_text: |\n    Anybody.\n"
        "terms:\n  rules:\n    - rule_id: lead\n      rate_bps: 1000\n"
    )
    made = said(refref("terms", "apply", str(file), "--yes", "--json"))
    assert (made["program_changes"], made["version"]) == (["Program “Leads” is made."], 1)
    assert said(refref("terms", "history", made["program_id"], "--json"))[0]["effective_at"] == "2000-01-01T00:00:00Z"
    assert refref("terms", "apply", str(file)).stdout == "Nothing to change.\n"
    refref("program", "create", "--name", "Leads")
    ambiguous = refref("terms", "plan", str(file), code=1)
    assert "Several programs have this name" in ambiguous.stderr
    refref("terms", "plan", str(file), "--program", made["program_id"])
    unknown = refref("terms", "plan", str(file), "--program", "prg_none", code=1)
    assert "unknown_program" in unknown.stderr


def test_faults_come_with_file_line_and_field(refref: Run, tmp_path: Path) -> None:
    file = tmp_path / "terms.yaml"
    file.write_text(
        "program:\n  name: Leads\nterms:\n  hold_days: 400\n  rules:\n    - rule_id: a\n      rate_bps: 20000\n"
    )
    for command in (("validate",), ("plan",), ("apply", "--yes")):
        result = refref("terms", command[0], str(file), *command[1:], code=1)
        assert result.stderr.splitlines() == [
            f"{file}:4: terms.hold_days: The hold in days is 0 to 365, not 400.",
            f"{file}:7: terms.rules.0.rate_bps: A rate is 1 to 10000 basis points (20 % = 2000).",
        ]
    assert said(refref("program", "list", "--json")) == []
    file.write_text("program:\n  name: Leads\nterms:\n  rules:\n    - rule_id: a\n      rate_bps: 2000\n")
    assert "- 20 % of every payment." in refref("terms", "validate", str(file)).stdout
    file.write_bytes(b"\xff")
    assert "this is not UTF-8" in refref("terms", "validate", str(file), code=1).stderr


def test_a_draft_is_saved_from_a_file_and_published(refref: Run, tmp_path: Path) -> None:
    program_id = program(refref, "--template", "revenue-share", "--draft")
    assert "No version is published yet." in refref("terms", "history", program_id).stdout
    file = tmp_path / "draft.yaml"
    file.write_text(refref("terms", "export", program_id).stdout.replace("rate_bps: 2000", "rate_bps: 1500"))
    saved = said(refref("terms", "apply", str(file), "--draft", "--yes", "--json"))
    assert saved["revision"] == 2
    shown = refref("terms", "publish", program_id, typed="n\n", code=1)
    assert "15 % of every payment." in shown.stdout
    made = said(refref("terms", "publish", program_id, "--yes", "--effective-at", "2026-01-01", "--json"))
    assert (made["version"], made["effective_at"]) == (1, "2026-01-01T00:00:00Z")
    assert "unknown_draft" in refref("terms", "discard", program_id, code=1).stderr
    file.write_text(file.read_text().replace("rate_bps: 1500", "rate_bps: 1600"))
    refref("terms", "apply", str(file), "--draft", "--yes")
    assert refref("terms", "diff", program_id, "1").stdout == "Rule “Revenue share”: 15 % becomes 16 %.\n"
    assert "is gone" in refref("terms", "discard", program_id).stdout
    assert "unknown_version" in refref("terms", "export", program_id, "--version", "7", code=1).stderr


def test_the_life_of_a_program(refref: Run, tmp_path: Path) -> None:
    program_id = program(refref)
    for verb, status in (("pause", "paused"), ("resume", "active")):
        assert said(refref("program", verb, program_id, "--json"))["status"] == status
    copy = said(refref("program", "duplicate", program_id, "--name", "Second", "--json"))
    assert "nothing was changed" in refref("program", "archive", program_id, typed="n\n", code=1).stderr
    assert said(refref("program", "archive", program_id, "--yes", "--json"))["status"] == "archived"
    assert "program_archived" in refref("program", "resume", program_id, code=1).stderr
    rows = said(refref("program", "list", "--json"))
    assert [(row["name"], row["status"]) for row in rows] == [("Second", "active"), ("Affiliates", "archived")]
    assert rows[0]["program_id"] == copy["program_id"]
    ids = [row["template_id"] for row in said(refref("program", "templates", "--json"))]
    assert ids == ["single-sided-referral", "two-sided-referral", "affiliate", "revenue-share", "per-lead"]
    assert "invalid_currency" in refref("program", "templates", "--currency", "xxx", code=1).stderr
    wrong = refref("program", "create", "--name", "P", "--template", "lottery", code=1)
    assert "There is no such template" in wrong.stderr


def test_what_a_merchant_says_of_a_participant(refref: Run) -> None:
    partner = said(
        refref(
            *("participant", "create", "--program", program(refref), "--name", "Sample partner", "--group", "gold"),
            *("--email", "p@example.com", "--metadata", "region=north", "--json"),
        )
    )["participant_id"]
    changed = said(refref("participant", "profile", partner, "--country", "DE", "--json"))
    assert {name: changed[name] for name in ("groups", "country", "metadata")} == {
        "groups": ["gold"],
        "country": "DE",
        "metadata": {"region": "north"},
    }
    assert "groups none; country DE; region=north" in refref("participant", "profile", partner, "--no-groups").stdout
    assert "--metadata is NAME=VALUE" in refref("participant", "profile", partner, "--metadata", "x", code=2).stderr
    assert "invalid_country" in refref("participant", "profile", partner, "--country", "de", code=1).stderr


def test_participants_are_called_by_their_names_and_a_draft_leaves_the_texts(refref: Run, tmp_path: Path) -> None:
    program_id = program(refref)
    person = said(
        refref(
            *("participant", "create", "--program", program_id, "--name", "Sample Partner"),
            *("--email", "partner@example.com", "--json"),
        )
    )["participant_id"]
    file = tmp_path / "terms.yaml"
    file.write_text(
        f"program: {{program_id: {program_id}, name: Partners, eligibility_text: Customers}}\n"
        "terms: {rules: [{rule_id: share, rate_bps: 1000, to: split,"
        f" split: [{{participant: referrer, share_bps: 5000}}, {{participant: {person}, share_bps: 5000}}]}}]}}\n"
    )
    named = "50 % to the referrer and 50 % to Sample Partner"
    saved = refref("terms", "apply", str(file), "--draft", "--yes")
    assert named in saved.stdout
    assert "becomes “Partners”" not in saved.stdout
    assert "The name and texts are no part of a draft" in saved.stderr
    assert said(refref("program", "show", program_id, "--json"))["name"] == "Affiliates"
    assert named in refref("terms", "diff", program_id, "1").stdout
    assert named in refref("terms", "publish", program_id, "--yes").stdout
    assert named in refref("terms", "history", program_id).stdout
    assert named in refref("program", "show", program_id).stdout
