"""The command line from outside: setting up, looking into the books, exit codes, JSON for programs."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from refref.cli import app
from refref.db.pool import Database
from refref.sandbox import Sandbox
from refref.sandbox.wire import create_app as sandbox_app
from serving import serve

KEYS = {name: base64.b64encode(bytes([number]) * 32).decode() for number, name in enumerate(("k1", "k2"))}
Run = Callable[..., Result]


@pytest.fixture
def refref(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs a command on a fresh database."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REFREF_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REFREF_BASE_URL", "http://refref.localhost:8080")
    monkeypatch.setenv("REFREF_MASTER_KEY", f"k1:{KEYS['k1']}")

    def run(*arguments: str, code: int = 0, typed: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=typed)
        assert result.exit_code == code, (arguments, result.output, result.exception)
        return result

    return run


@pytest.fixture
def stripe_url() -> Iterator[str]:
    """Give the address of a sandbox, where a key can be tried."""
    url, stop = serve(sandbox_app(Sandbox()))
    yield url
    stop()


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def test_an_installation_is_set_up_from_the_command_line(refref: Run, tmp_path: Path, stripe_url: str) -> None:
    owner = said(refref("user", "create", "--email", "a@example.com", "--new-organization", "Shop", "--json"))
    assert len(owner["password"]) >= 16
    viewer = said(
        refref(
            *("user", "create", "--email", "b@example.com", "--role", "viewer", "--password-stdin", "--json"),
            typed="a long password\n",
        )
    )
    assert "password" not in viewer
    connection = said(
        refref(
            *("connection", "create", "--api-key", "-", "--api-base", stripe_url, "--json"),
            typed="rk_test_sample0001\n",
        ),
    )
    assert connection["mode"] == "test"
    assert connection["webhook_url"].startswith("http://refref.localhost:8080/stripe/webhooks/con_")
    terms = tmp_path / "terms.json"
    terms.write_text('{"hold_days": 7}')
    program = said(
        refref(
            *("program", "create", "--name", "Partners", "--terms", str(terms)),
            *("--effective-at", "2026-01-01", "--json"),
        )
    )
    assert program["effective_at"] == "2026-01-01T00:00:00Z"
    partner = said(
        refref(
            *("participant", "create", "--program", program["program_id"], "--name", "Sample partner"),
            *("--email", "p@example.com", "--refcode", "Sample-1", "--json"),
        )
    )
    assert partner["refcode"] == "Sample-1"
    assert said(refref("api-key", "create", "--name", "x", "--json"))["secret"].startswith("rrk_")
    assert said(refref("doctor", "--json"))["ok"] is True
    report = said(refref("rebuild", "--verify", "--json"))
    assert (report["ok"], list(report["connections"])) == (True, [connection["connection_id"]])
    assert said(refref("events", "--json")) == []
    assert said(refref("replay", "--all", "--json")) == {"replayed": 0}
    assert said(refref("explain", "in_none", "--json"))["kind"] == "unknown"


REFUSALS = [
    (("rebuild",), 2, "--verify"),
    (("replay",), 2, "say what to replay"),
    (("replay", "evt_1", "--parked"), 2, "say what to replay"),
    (("events", "--state", "lost"), 2, "--state is one of"),
    (("program", "create", "--name", "P", "--effective-at", "soon"), 2, "is no instant"),
    (("events",), 1, "There is none yet"),
    (("doctor", "--organization", "org_none"), 1, "There is no organization with this id"),
    (("user", "create", "--email", "a", "--new-organization", "Shop"), 1, "email: Give an e-mail address"),
]


@pytest.mark.parametrize(("arguments", "code", "sentence"), REFUSALS)
def test_what_cannot_be_done_is_told_in_a_sentence(
    refref: Run, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    result = refref(*arguments, code=code)
    assert sentence in result.stderr
    assert result.stdout == ""


def test_the_master_key_is_rotated(
    refref: Run, database: str, monkeypatch: pytest.MonkeyPatch, stripe_url: str
) -> None:
    refref("user", "create", "--email", "a@example.com", "--new-organization", "Shop")
    secrets = ("--api-key", "rk_test_sample0001", "--webhook-secret", "whsec_sample0001")
    refref("connection", "create", *secrets, "--api-base", stripe_url)
    monkeypatch.setenv("REFREF_MASTER_KEY", f"k2:{KEYS['k2']},k1:{KEYS['k1']}")
    assert said(refref("key", "rotate", "--json")) == {"key_id": "k2", "changed": 2}
    assert said(refref("key", "rotate", "--json")) == {"key_id": "k2", "changed": 0}
    monkeypatch.setenv("REFREF_MASTER_KEY", f"k2:{KEYS['k2']}")
    refref("key", "rotate")

    monkeypatch.setenv("REFREF_MASTER_KEY", f"k1:{KEYS['k1']}")
    assert "'k2' is not among the keys" in refref("key", "rotate", code=1).stderr


def test_without_a_database_it_says_what_to_do(refref: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert "the database cannot be reached" in refref("doctor", code=1).stderr
    monkeypatch.delenv("DATABASE_URL")
    assert "There is no database" in refref("doctor", code=2).stderr


def test_the_openapi_document_and_the_events_need_no_database(refref: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    assert said(refref("openapi"))["openapi"] == "3.1.0"
    assert "invoice.paid" in said(refref("events", "--to-enable", "--json"))


def test_two_organizations_must_be_told_apart(refref: Run, database: str) -> None:
    for name in ("one", "two"):
        refref("user", "create", "--email", f"{name}@example.com", "--new-organization", name)
    assert "There are several: name one" in refref("connection", "create", "--mode", "test", code=1).stderr

    async def first() -> str:
        db = await Database.open(database, max_size=1)
        async with db.reference() as tx:
            found: str = await tx.fetchval("select organization_id from organization where name = 'one'")
        await db.close()
        return found

    refref("connection", "create", "--mode", "test", "--organization", asyncio.run(first()))


def test_a_command_that_asks_leaves_standard_output_to_its_result(refref: Run) -> None:
    refref("user", "create", "--email", "a@example.com", "--new-organization", "Shop")
    made = said(refref("connection", "create", "--mode", "test", "--webhook-secret", "whsec_sample0001", "--json"))
    assert "nothing was changed" in refref("connections", "disconnect", code=1, typed="n\n").stderr
    ended = refref("connections", "disconnect", "--json", typed="y\n")
    assert ("End the connection?" in ended.stderr, "End the connection?" in ended.stdout) == (True, False)
    assert json.loads(ended.stdout.splitlines()[-1])["connection_id"] == made["connection_id"]
