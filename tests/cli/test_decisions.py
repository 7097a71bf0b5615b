"""refref approvals and refref payouts, from outside."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.samples import customer, invoice, line
from refref.cli import app
from refref.db.pool import Database, lock_books
from refref.flows.settle import Incoming, settle

Run = Callable[..., Result]


@pytest.fixture
def refref(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs a command on a fresh database."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REFREF_DATA_DIR", str(tmp_path))

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, (arguments, result.output, result.exception)
        return result

    return run


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def sell(dsn: str, organization_id: str, connection_id: str, count: int) -> None:
    """Customers of the refcode `sample`, each with a paid invoice over 100.00 USD forty days ago."""

    async def work() -> None:
        database = await Database.open(dsn, max_size=1)
        now = int(datetime.now(UTC).timestamp())
        start = now - int(timedelta(days=40).total_seconds())
        facts = []
        for number in range(1, count + 1):
            facts.append(customer(f"cus_{number}", "sample", at=start + number, email=f"c{number}@customers.example"))
            lines = [line(number, 10_000)]
            facts.append(invoice(number, lines, paid_at=start + number * 3_600, customer=f"cus_{number}"))
        async with database.tenant(organization_id) as tx:
            await lock_books(tx, connection_id)
            await settle(tx, organization_id, connection_id, [Incoming(facts, None)], now)
        await database.close()

    asyncio.run(work())


def shop(refref: Run, dsn: str, tmp_path: Path, terms: str, count: int) -> str:
    """An installation with sales; returns the participant's id."""
    owner = said(refref("user", "create", "--email", "a@example.com", "--new-organization", "Shop", "--json"))
    connection = said(refref("connection", "create", "--mode", "test", "--json"))
    path = tmp_path / "terms.json"
    path.write_text(terms)
    program = said(
        refref("program", "create", "--name", "P", "--terms", str(path), "--effective-at", "2020-01-01", "--json")
    )
    person = said(
        refref(
            *("participant", "create", "--program", program["program_id"], "--name", "Sample partner"),
            *("--email", "p@example.com", "--refcode", "sample", "--created-at", "2020-01-01", "--json"),
        )
    )
    sell(dsn, owner["organization_id"], connection["connection_id"], count)
    return str(person["participant_id"])


def test_rewards_are_approved_rejected_and_left_open_again(refref: Run, database: str, tmp_path: Path) -> None:
    shop(refref, database, tmp_path, '{"approval": "manual"}', 3)
    waiting = said(refref("approvals", "list", "--json"))
    assert [row["holds"] for row in waiting] == [["awaiting_approval"]] * 3
    assert "awaiting_approval" in refref("approvals", "list").stdout
    first = waiting[0]["reward_id"]
    assert "1 rewards approved" in refref("approvals", "approve", first, "--reason", "Known").stdout
    assert "2 rewards rejected" in refref("approvals", "reject", "--all", "--reason", "Not known").stdout
    assert "Nothing waits" in refref("approvals", "list").stdout
    latest = said(refref("approvals", "list", "--decided", "--json"))[0]
    assert latest["verdict"] == "rejected"
    refref("approvals", "withdraw", latest["review_id"], "--reason", "A mistake")
    assert len(said(refref("approvals", "list", "--json"))) == 1


def test_a_payout_is_recorded_and_undone(refref: Run, database: str, tmp_path: Path) -> None:
    participant_id = shop(refref, database, tmp_path, "{}", 3)
    refused = refref("payouts", "record", participant_id, "--currency", "usd", "--amount-minor", "1", code=1)
    assert "amount_minor: Whole rewards are paid, the oldest first: give 20.00 USD, or all of it" in refused.stderr
    part = said(refref("payouts", "record", participant_id, "--currency", "usd", "--amount-minor", "4000", "--json"))
    assert part["amount_minor"] == 4_000
    assert "20.00 USD recorded" in refref("payouts", "record", participant_id, "--currency", "usd").stdout
    refref("payouts", "undo", part["payout_id"], "--reason", "It came back")
    assert [row["undone_reason"] for row in said(refref("payouts", "list", "--json"))] == [None, "It came back"]


REFUSALS = [
    (("approvals", "list", "--hold", "odd"), 2, "--hold is one of: awaiting_approval, fraud_hold."),
    (("approvals", "approve", "--reason", "x"), 2, "say on what"),
    (("approvals", "reject", "rwd_1", "--all", "--reason", "x"), 2, "say on what"),
    (("approvals", "approve", "--referral", "rfl_no", "--reason", "x"), 1, "There is no referral with this id"),
    (("payouts", "record", "ptc_no", "--currency", "usd"), 1, "There is no participant with this id"),
    (("payouts", "record", "ptc_no", "--currency", "usd", "--paid-on", "soon"), 2, "is no day"),
]


def test_what_cannot_be_done_is_told_in_a_sentence(refref: Run) -> None:
    refref("user", "create", "--email", "a@example.com", "--new-organization", "Shop")
    for arguments, code, sentence in REFUSALS:
        assert sentence in refref(*arguments, code=code).stderr, arguments
