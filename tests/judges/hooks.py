"""Hangs the judges into pytest: what they find is printed at the end and fails the run; so does it if they cannot."""

import importlib
from functools import cache
from typing import Any

import pytest

_absent: list[str] = []  # why nothing is looked at
_at_work: list[Any] = []  # the recorder, once there was something to judge


@cache
def _recorder() -> Any:
    """The recorder, made when there is something to judge: the specification takes a second to load."""
    _at_work.append(importlib.import_module("judges.recorder").Recorder())
    return _at_work[0]


def pytest_sessionstart() -> None:
    """Look at everything from the first test on. A sandbox that cannot be imported need not stop the other tests."""
    try:
        witness = importlib.import_module("refref.sandbox.witness")
    except ImportError as error:
        _absent.append(str(error))
    else:
        witness.exchanges.append(lambda seen: _recorder().exchange(seen))
        witness.events.append(lambda event: _recorder().event(event))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run whose tests passed but whose requests, objects or events Stripe would not know."""
    is_bad = bool(_absent) or any(judge.found for judge in _at_work)
    if is_bad and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The count, and each fault with the test that showed it first."""
    for reason in _absent:
        terminalreporter.write_line(f"nothing was judged: {reason}", red=True)
    for judge in _at_work:
        terminalreporter.write_line(judge.line())
        for fault, test in judge.found.items():
            terminalreporter.write_line(f"judged wrong: {fault}\n    in {test}", red=True)
