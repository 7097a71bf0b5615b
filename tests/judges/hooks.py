"""Hangs the judges into pytest: what they find is printed at the end and fails the run."""

import pytest

from judges.recorder import Recorder

recorder = Recorder()


def pytest_sessionstart() -> None:
    """Look at everything from the first test on."""
    recorder.start()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run whose tests passed but whose requests, objects or events Stripe would not know."""
    if recorder.found and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The count, and each fault with the test that showed it first."""
    if recorder.requests or recorder.events:
        terminalreporter.write_line(recorder.line())
    for fault, test in recorder.found.items():
        terminalreporter.write_line(f"judged wrong: {fault}\n    in {test}", red=True)
