"""Start: from `./run demo` and `./run up` to the first page, in an empty folder and again. Installed beforehand."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from rig import ROOT, free_port, report

RUNS = 3


def seconds_to_first_page(command: str, folder: Path) -> tuple[float, float]:
    """Start, fetch the first page as soon as it answers, stop: seconds to the page and to the ready line."""
    port = free_port()
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(ROOT / "run"), command, "--port", str(port), "--data", str(folder), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in", timeout=5) as answer,
            ):
                if answer.status == 200 and b"</html>" in answer.read():
                    break
            time.sleep(0.005)
        page = time.perf_counter() - started
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        return page, time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def measure(command: str) -> list[dict[str, object]]:
    """The best of a few starts, in an empty folder and again."""
    first, again = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="refref-start-", ignore_cleanup_errors=True) as name:
            first.append(seconds_to_first_page(command, Path(name) / "data"))
            again.append(seconds_to_first_page(command, Path(name) / "data"))
    return [
        {
            "command": command,
            "folder": folder,
            "first_page_s": round(min(page for page, _ in runs), 2),
            "ready_s": round(min(ready for _, ready in runs), 2),
            "runs": RUNS,
        }
        for folder, runs in (("empty", first), ("again", again))
    ]


if __name__ == "__main__":
    report("start", [*measure("up"), *measure("demo")], limit="2.5 s in an empty folder, 1 s again")
