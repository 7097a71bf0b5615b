"""Backtests from the command line, on a few sales that were booked."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from cli.test_terms import program, refref, said  # noqa: F401 - a fixture
from core.samples import DAY, T0, invoice, line
from refref.core.facts import Carrier, CarrierKind
from refref.db.pool import Database, lock_books
from refref.flows.settle import Incoming, settle

Run = Callable[..., Result]


def sell(dsn: str, amounts: list[int]) -> None:
    """Book sales to one customer each, referred by `ana`."""

    async def work() -> None:
        database = await Database.open(dsn)
        async with database.reference() as tx:
            organization_id = await tx.fetchval("select organization_id from organization")
        facts = [
            invoice(
                number, [line(number, amount, product=f"prod_{number % 2}")], customer=f"cus_{number}",
                paid_at=T0 + number * DAY,
                carriers=(Carrier(CarrierKind.INVOICE_METADATA, "ana", T0 + number * DAY),),
            )
            for number, amount in enumerate(amounts)
        ]  # fmt: skip
        async with database.tenant(organization_id) as tx:
            connection_id = await tx.fetchval("select connection_id from connection")
            await lock_books(tx, connection_id)
            await settle(tx, organization_id, connection_id, [Incoming(facts, None)], T0 + 90 * DAY)
        await database.close()

    asyncio.run(work())


@pytest.fixture
def booked(database: str, refref: Run) -> str:  # noqa: F811 - the fixture
    """Give a program of 30 % with three sales: 100.00, 50.00 and 10.00 USD."""
    program_id = program(refref, "--template", "affiliate")
    refref(
        "participant", "create", "--program", program_id, "--name", "Ana", "--email", "ana@partners.example",
        "--refcode", "ana",
    )  # fmt: skip
    sell(database, [10_000, 5_000, 1_000])
    return program_id


def terms_file(folder: Path, refref: Run, program_id: str, *changes: tuple[str, str]) -> str:  # noqa: F811 - the fixture
    file = folder / "changed.yaml"
    refref("terms", "export", program_id, "--output", str(file))
    text = file.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)
    return str(file)


def test_a_lower_rate_costs_less(refref: Run, booked: str, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    file = terms_file(tmp_path, refref, booked, ("rate_bps: 3000", "rate_bps: 2500"))
    told = refref("backtest", booked, "--terms", file).stdout
    assert "3 conversions, 3 come out otherwise: 0 earn more, 3 less." in told
    assert "48.00 USD booked, 40.00 USD by these terms: -8.00 USD" in told
    assert "  Ana  48.00 USD  40.00 USD  -8.00 USD" in told
    assert "  prod_0  33.00 USD  27.50 USD  -5.50 USD" in told
    largest = told.partition("The largest changes:\n")[2].splitlines()
    assert largest[:3] == [
        "  in_0  -5.00 USD",
        "    booked  Ana earned 30.00 USD.",
        "    draft   Ana earned 25.00 USD.",
    ]
    plan = refref("terms", "plan", file).stdout
    assert plan.endswith("  48.00 USD booked, 40.00 USD by these terms: -8.00 USD\n")
    shown: dict[str, Any] = said(refref("terms", "plan", file, "--json"))
    assert shown["backtest"]["money"] == [
        {"currency": "usd", "booked_minor": 4_800, "draft_minor": 4_000, "difference_minor": -800, "changed": 3}
    ]


def test_json_has_both_explanations(refref: Run, booked: str, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    file = terms_file(
        tmp_path,
        refref,
        booked,
        ("attribution_window_days: ", "excluded_products: [prod_1]\n  attribution_window_days: "),
    )
    shown = json.loads(refref("backtest", booked, "--terms", file, "--json").stdout)
    assert (shown["terms_source"], shown["conversions"], shown["changed"], shown["less"]) == ("given", 3, 1, 1)
    assert [(row["reason"], row["conversions"]) for row in shown["reasons"]] == [("nothing_paid", 1)]
    (change,) = shown["changes"]
    assert change["booked"]["sentence"] == "Ana earned 15.00 USD."
    assert change["draft"]["reason"] == "nothing_paid"
    assert change["draft"]["lines"][0]["left_out"]
    assert shown["by_product"][1]["difference_minor"] == -1_500


def test_a_draft_and_a_version_can_be_tried(refref: Run, booked: str, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    missing = refref("backtest", booked, code=1)
    assert "(unknown_draft)" in missing.stderr
    file = terms_file(tmp_path, refref, booked, ("rate_bps: 3000", "rate_bps: 4000"))
    refref("terms", "apply", file, "--draft", "--yes")
    assert "48.00 USD booked, 64.00 USD by these terms: +16.00 USD" in refref("backtest", booked, "--draft").stdout
    assert "48.00 USD booked, 48.00 USD" in refref("backtest", booked, "--version", "1").stdout
    later = refref("backtest", booked, "--draft", "--effective-at", "2026-01-17T00:00:00Z").stdout
    assert "1 come out otherwise" in later
    assert "(unknown_version)" in refref("backtest", booked, "--version", "9", code=1).stderr
    assert "say what to try" in refref("backtest", booked, "--draft", "--version", "1", code=2).stderr
