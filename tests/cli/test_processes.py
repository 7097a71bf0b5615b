"""`refref serve` and `refref worker` say in one line of JSON when they are ready, and end cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import reserved_ports


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_ready_line_and_clean_end(database: str, tmp_path: Path, command: str) -> None:
    with reserved_ports() as port:
        environment = os.environ | {
            "DATABASE_URL": database, "REFREF_DATA_DIR": str(tmp_path), "REFREF_PORT": str(port),
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "refref", command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            told: dict[str, Any] = json.loads(process.stdout.readline())
            if command == "serve":
                assert httpx.get(f"{told['url']}/readyz", timeout=60).status_code == 200
            else:
                assert told == {"ready": True}
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
