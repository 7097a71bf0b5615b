"""docs/errors.md, docs/api.md and docs/cli.md tell what the code does: no more, no less."""

import re
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.main import get_command

from refref.cli import app
from refref.web.permissions import PERMISSIONS
from refref.web.problems import CODES, INTAKE_CODES, errors_page

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "refref"
# Made where no Refused is raised: by the framework, the driver, the body limit.
OF_THE_EDGE = {
    *("bad_request", "body_too_large", "database_unreachable", "internal_error", "invalid_request"),
    *("method_not_allowed", "not_found"),
}


def found(pattern: str, *paths: Path) -> set[str]:
    return {code for path in paths for code in re.findall(pattern, path.read_text())}


def test_the_page_of_errors_is_up_to_date() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == errors_page(), (
        "run: .venv/bin/python -m refref.web.problems > docs/errors.md"
    )


def test_every_code_that_is_raised_has_a_row_and_every_row_is_raised() -> None:
    files = [path for path in SOURCE.rglob("*.py") if "sandbox" not in path.parts]
    raised = found(r"(?:\bRefused|\bNoAccess|super\(\).__init__)\(\s*\"([a-z0-9_]+)\"", *files) | OF_THE_EDGE
    assert raised - CODES.keys() == set(), "give these codes a row in web/problems.py"
    assert CODES.keys() - raised == set(), "nothing raises these codes"


def test_every_answer_of_the_intake_has_a_row() -> None:
    refused = r"(?:SignatureRefused|EventRefused)\(\s*\"([a-z0-9_]+)\""
    stripe = found(refused, SOURCE / "stripe" / "signature.py", SOURCE / "stripe" / "envelope.py")
    answers = re.findall(r"Answer\(\s*(\d+), \"([a-z0-9_]+)\"", (SOURCE / "web" / "intake_answers.py").read_text())
    assert stripe | {code for _, code in answers} == INTAKE_CODES.keys()
    assert {code: int(status) for status, code in answers}.items() <= {
        code: status for code, (status, _) in INTAKE_CODES.items()
    }.items()


def test_the_page_of_the_api_names_every_address() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    for _, path in PERMISSIONS:
        if path.startswith("/v1/"):
            noun, last = path.split("/")[2], path.rpartition("/")[2]
            assert f"/v1/{noun}" in page, path
            assert last.startswith("{") or last in page, path


def commands(group: typer.Typer, before: str = "refref") -> Iterator[str]:
    for command in group.registered_commands:
        yield f"{before} {command.name}"
    for info in group.registered_groups:
        if info.typer_instance is not None:
            yield from commands(info.typer_instance, f"{before} {info.name}")


def test_the_page_of_the_command_line_names_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    there = set(commands(app))
    told = {re.sub(r" (ID|--verify)$", "", name) for name in re.findall(r"^\| `(refref [^`]+)` \|", page, re.MULTILINE)}
    assert told == there


def test_every_option_on_the_page_of_the_command_line_exists() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    wrong = []
    for name, row in re.findall(r"^\| `refref ([a-z -]+[a-z])[^`]*`( \|.*)", page, re.MULTILINE):
        command = get_command(app)
        words = [word for word in name.split() if not word.startswith("-")]
        for word in words:
            command = getattr(command, "commands", {})[word]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        wrong += [f"{name} {option}" for option in re.findall(r"--[a-z][a-z-]+", row) if option not in options]
    handed_on = "sandbox --"  # its options are those of `python -m refref.sandbox`
    assert [text for text in wrong if not text.startswith(handed_on)] == []
