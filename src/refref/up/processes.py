"""One supervised child process: started early, told to begin, watched, ended with everything it started.

Owns the process and its log file. Knows no order between processes; that is the supervisor's part.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_MAX_BYTES = 20_000_000
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0


class Child:
    """A Python module run as a process of its own, restarted with growing pauses when it ends unasked."""

    def __init__(self, name: str, module: str, log_path: Path | None, *, answers: bool = False) -> None:
        """`log_path` None: it writes to our stderr. `answers`: what it prints is for `answer`, not for the log."""
        self.name = name
        self.log_path = log_path
        self._answers = answers
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: int | None = None
        self._told: tuple[Mapping[str, str], Sequence[str]] | None = None
        self._began_at = 0.0
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self.restart_at: float | None = None

    def prepare(self) -> None:
        """Start the process; it imports its module and then waits for `begin`."""
        reading, self._orders = os.pipe()
        try:
            with contextlib.ExitStack() as stack:
                log = sys.stderr.fileno()
                if self.log_path is not None:
                    rotate(self.log_path)
                    log = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                    stack.callback(os.close, log)
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                    [sys.executable, "-m", "refref.up.child", str(reading), self._module, str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if self._answers else log,
                    stderr=log,
                    pass_fds=(reading,),
                    start_new_session=True,  # Ctrl-C is for the supervisor, which ends us in order
                )
        finally:
            os.close(reading)

    def begin(self, environment: Mapping[str, str], arguments: Sequence[str] = ()) -> None:
        """Let the module run with these variables added to the environment."""
        self._told = environment, arguments
        if self._process is None:
            self.prepare()
        assert self._orders is not None
        orders, self._orders = self._orders, None
        self._began_at = time.monotonic()
        with contextlib.suppress(BrokenPipeError), os.fdopen(orders, "w") as pipe:
            json.dump({"environment": dict(environment), "arguments": list(arguments)}, pipe)

    @property
    def ended(self) -> int | None:
        """Return the exit code of the process, None while it runs or was never started."""
        return None if self._process is None else self._process.poll()

    def answer(self) -> str | None:
        """Wait for the end of a child that answers; return what it printed, None when it failed."""
        assert self._process is not None
        printed, _ = self._process.communicate()
        return printed.decode() if self._process.returncode == 0 else None

    def plan_restart(self) -> float:
        """Note when to start again after an unasked end; returns the pause in seconds."""
        if time.monotonic() - self._began_at > _STEADY_SECONDS:
            self._pause_seconds = _FIRST_PAUSE_SECONDS
        pause = self._pause_seconds
        self._pause_seconds = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        self.restart_at = time.monotonic() + pause
        return pause

    def restart(self) -> None:
        """Start the ended process again with what it was told first."""
        assert self._told is not None
        self.restart_at = None
        self._signal_group(signal.SIGKILL)  # what it may have left
        self.prepare()
        self.begin(*self._told)

    def stop(self, seconds: float) -> None:
        """Ask the process to end, and end it with everything it started when it has not after `seconds`."""
        if self._orders is not None:
            os.close(self._orders)
            self._orders = None
        process, self._process = self._process, None
        self.restart_at = None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines that the process wrote, to show when it cannot start."""
        if self.log_path is None:
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 8000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def _signal_group(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def rotate(log_path: Path) -> None:
    """Keep a grown log as `.1` and go on with an empty one; processes that append to it need not notice."""
    if log_path.exists() and log_path.stat().st_size > LOG_MAX_BYTES:
        shutil.copyfile(log_path, log_path.with_suffix(".log.1"))
        os.truncate(log_path, 0)
