"""refref simulate: the library, files, programs and drafts, and exit codes that a script can go by."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from refref.cli import app
from refref.simulator.shelf import library, story_named
from simulator.telling import HEAD

Run = Callable[..., Result]
BUY = "happens:\n  - {customer: buyer, buys: thing-once}\n"


def simulate(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert result.exit_code == code, (arguments, result.output, result.exception)
    return result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file with the sample story, which expects too much."""
    path = tmp_path / "sample.yaml"
    path.write_text(HEAD + BUY + "expect:\n  rewards: {partner: [12.00 USD]}\n")
    return path


def test_without_a_story_the_library_is_listed() -> None:
    listed = simulate().stdout
    assert all(one.name in listed for one in library())
    assert {one["name"] for one in json.loads(simulate("--json").stdout)} == {one.name for one in library()}


def test_the_whole_library_is_as_expected() -> None:
    lines = simulate("--all").stdout.splitlines()
    assert len(lines) == len(library())
    assert all(": as expected (" in line for line in lines)
    simulate("--all", "--shuffled", "--api-version", "2024-06-20")


def test_one_story_with_its_timeline() -> None:
    shown = simulate("tiers-by-referrals").stdout
    assert "Rule “tiered”: 100.00 USD × 20 % = 20.00 USD" in shown
    assert "3 paid referrals this calendar month: the tier from 3." in shown
    played = json.loads(simulate("tiers-by-referrals", "--json").stdout)[0]
    assert played["is_as_expected"] is True
    assert [one["amount_minor"] for one in played["played"]["rewards"]] == [1000, 1000, 2000, 1000]


def test_a_wrong_expectation_ends_with_1_and_says_why(file: Path) -> None:
    shown = simulate(str(file), code=1).stdout
    assert f"{file}:19: Sample Partner: 12.00 USD\n    Expected 12.00 USD, earned 10.00 USD.\n" in shown
    assert "    Rule “commission”: 50.00 USD × 20 % = 10.00 USD" in shown
    played = json.loads(simulate(str(file), "--json", code=1).stdout)[0]
    assert played["is_as_expected"] is False


def test_a_wrong_file_ends_with_1_and_a_line_for_each_fault(file: Path) -> None:
    file.write_text(HEAD.replace("50.00 USD", "50 Dollars").replace("by: partner", "by: nobody"))
    told = simulate(str(file), code=1).stderr.splitlines()
    assert [line.partition(": ")[0] for line in told] == [f"{file}:10", f"{file}:15"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["no-such-story"], 1, "no such story in the library"),
        (["--all", "saas-with-trial"], 2, "not both"),
        (["saas-with-trial", "--draft"], 2, "--draft needs --program"),
        (["saas-with-trial", "--api-version", "2019-01-01"], 2, "--api-version is one of"),
    ],
)
def test_wrong_usage(arguments: list[str], code: int, sentence: str) -> None:
    assert sentence in simulate(*arguments, code=code).stderr


def test_a_program_s_terms_and_its_draft(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REFREF_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REFREF_MASTER_KEY", f"k1:{base64.b64encode(bytes(32)).decode()}")

    def refref(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        return result.stdout

    refref("user", "create", "--email", "a@example.com", "--new-organization", "Sample Shop")
    refref("connection", "create", "--mode", "test")
    program_id = json.loads(refref("program", "create", "--name", "Sample program", "--json"))["program_id"]
    shown = simulate(str(file), "--program", program_id, code=1).stdout
    assert "Terms (Sample program, version 1):" in shown
    draft = tmp_path / "draft.yaml"
    draft.write_text(refref("terms", "export", program_id).replace("rate_bps: 2000", "rate_bps: 2400"))
    refref("terms", "apply", str(draft), "--draft", "--yes")
    assert "Terms (Sample program, the draft):" in simulate(str(file), "--program", program_id, "--draft").stdout
    own = HEAD.partition("terms:")[0] + f"program: {program_id}\nparticipants:" + HEAD.partition("participants:")[2]
    file.write_text(own + BUY + "expect:\n  rewards: {partner: [10.00 USD]}\n")
    assert "Terms (Sample program, version 1):" in simulate(str(file)).stdout
    assert "no program with this id" in simulate(str(file), "--program", "prg_none", code=1).stderr


def test_a_story_of_the_library_can_be_copied_and_changed(tmp_path: Path) -> None:
    found = story_named("caps-and-budget")
    assert found is not None
    path = tmp_path / "mine.yaml"
    path.write_text(found.text.replace("{usd: 5000}", "{usd: 9000}"))
    shown = simulate(str(path), code=1).stdout
    assert "It earned something" in shown or "has no other rewards" in shown
