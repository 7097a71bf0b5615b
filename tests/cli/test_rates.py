"""refref rates: what is known, one rate, files taken in; text for people, JSON for programs, exit codes."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from refref.cli import app
from refref.ecb_file import bundled_history

Run = Callable[..., Result]
_LAST = bundled_history().last_day
NEXT_DAY = next(day for n in (1, 2, 3) if (day := _LAST + timedelta(days=n)).weekday() < 5)


@pytest.fixture
def refref(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs a command on a fresh database with one organization."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REFREF_DATA_DIR", str(tmp_path))

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, (arguments, result.output, result.exception)
        return result

    run("user", "create", "--email", "a@example.com", "--new-organization", "Sample Shop")
    return run


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def test_rates_of_one_s_own(refref: Run, tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("date,from,to,rate\n2026-01-05,eur,usd,0.9\n2026-01-05,kwd,usd,3.25\n")
    preview = refref("rates", "import", str(file), "--dry-run").stdout
    assert "2 rates from 2026-01-05 to 2026-01-05: 2 would be new, 0 would be changed." in preview
    assert "Is it turned around?" in preview
    assert said(refref("rates", "list", "--json"))["uploads"] == []
    assert said(refref("rates", "import", str(file), "--json"))["upload"]["upload_no"] == 1
    assert "nothing changes" in refref("rates", "import", str(file)).stdout
    file.write_text("date,from,to,rate\n2026-01-05,eur,usd,1.2\n")
    assert "  2026-01-05 eur/usd: 0.9 becomes 1.2" in refref("rates", "import", str(file)).stdout
    assert refref("rates", "show", "EUR", "usd", "--on", "2026-01-05").stdout == (
        "1 EUR = 1.2 USD, your own rate, 5 Jan 2026\nexactly 1.2\n"
    )
    listed = refref("rates", "list").stdout
    assert f"European Central Bank: up to {_LAST} (installed: up to {_LAST})" in listed
    assert "1 rate, 1 of them changed" in listed


def test_a_newer_history(refref: Run, tmp_path: Path) -> None:
    asked = ("rates", "show", "gbp", "usd", "--on", str(NEXT_DAY))
    assert f"The rates are known up to {_LAST}" in refref(*asked, code=1).stdout
    assert said(refref(*asked, "--json", code=1))["reason"] == "rate_not_yet_known"
    file = tmp_path / "eurofxref-hist.csv"
    file.write_text(f"Date,USD,GBP,\n{NEXT_DAY},1.12,0.84,\n")
    assert "2 are new" in refref("rates", "update", "--file", str(file)).stdout
    found = said(refref(*asked, "--json"))
    assert (found["rate"], found["origin"], found["via"], found["upload_no"]) == ("1.12/0.84", "ecb", "eur", 1)
    assert said(refref("rates", "list", "--json"))["ecb_last_day"] == str(NEXT_DAY)


def test_what_is_wrong_is_one_sentence(refref: Run, tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("date,from,to,rate\n2026-01-05,eur,usd,1,2\n")
    refused = refref("rates", "import", str(file), code=1)
    assert "file: Line 2, column rate: 5 columns instead of 4; decimals take a point. (invalid_rates)" in refused.stderr
    assert "is not the heading Date,USD,JPY" in refref("rates", "update", "--file", str(file), code=1).stderr
    assert "from: A currency is three letters" in refref("rates", "show", "euro", "usd", code=1).stderr
    assert "is no day" in refref("rates", "show", "eur", "usd", "--on", "soon", code=2).stderr
