"""Hangs the judges into pytest: what they find is printed at the end and fails the run; so does it if they cannot.

Where the tests run in several processes, each judges its own, and the one that leads them adds up.
"""

import importlib
from functools import cache
from typing import Any

import msgspec
import pytest

from judges.judged import Judged

_absent: list[str] = []  # why nothing is looked at
_at_work: list[Judged] = []  # what was judged, once there was something to judge
_JUDGED = "judged"  # what a process of tests hands to the one that leads


@cache
def _recorder() -> Any:
    """The recorder, made when there is something to judge: the specification takes a second to load."""
    recorder = importlib.import_module("judges.recorder").Recorder()
    _at_work.append(recorder.judged)
    return recorder


def pytest_sessionstart() -> None:
    """Look at everything from the first test on. A sandbox that cannot be imported need not stop the other tests."""
    try:
        witness = importlib.import_module("refref.sandbox.witness")
    except ImportError as error:
        _absent.append(str(error))
    else:
        witness.exchanges.append(lambda seen: _recorder().exchange(seen))
        witness.events.append(lambda event: _recorder().event(event))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over what a process judged; one that died says nothing, its tests fail the run."""
    output: dict[str, Any] = getattr(node, "workeroutput", {})
    absent, judged = output.get(_JUDGED, ([], []))
    _absent.extend(set(absent) - set(_absent))
    _at_work.extend(msgspec.convert(each, Judged) for each in judged)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run whose tests passed but whose requests, objects or events Stripe would not know."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_JUDGED] = (list(_absent), msgspec.to_builtins(_at_work))
        return
    is_bad = bool(_absent) or bool(_all_judged().found)
    if is_bad and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The count, and each fault with the test that showed it first."""
    for reason in _absent:
        terminalreporter.write_line(f"nothing was judged: {reason}", red=True)
    if _at_work:
        judged = _all_judged()
        terminalreporter.write_line(judged.line())
        for fault, test in judged.found.items():
            terminalreporter.write_line(f"judged wrong: {fault}\n    in {test}", red=True)


def _all_judged() -> Judged:
    found = Judged()
    for each in _at_work:
        found.add(each)
    return found
