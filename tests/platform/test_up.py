"""The supervisor of `./run up` and `./run demo`, with stand-ins for the processes that it watches."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from serving import reserved_ports

STANDINS = Path(__file__).parent / "standins"
LIMIT_S = 120.0  # of one wait: nothing here takes as long, however busy the machine is
RUN = """
import sys
from pathlib import Path
from refref.up.supervisor import Plan, Supervisor
port = int(sys.argv[2])
plan = Plan(
    Path(sys.argv[1]), "127.0.0.1", port, f"http://127.0.0.1:{port}", demo="demo" in sys.argv, as_json=True,
    web_module="standin_web", worker_module="standin_worker", sandbox_module="standin_sandbox",
    demo_setup_module="standin_setup",
)
sys.exit(Supervisor(plan).run())
"""


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def family(pid: int) -> set[int]:
    """Every living process that descends from `pid`, and itself."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found = {pid} & parents.keys()
    while grown := {child for child, parent in parents.items() if parent in found} - found:
        found |= grown
    return found


def command_of(pid: int) -> bytes:
    """The command line of a process, empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def living(pids: set[int]) -> set[int]:
    return {pid for pid in pids if family(pid)}


class Running:
    """A supervisor in a process of its own."""

    def __init__(self, data_dir: Path, port: int, *words: str, **variables: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(data_dir), str(port), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(STANDINS)} | variables,
        )

    def ready(self) -> dict[str, str]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"it did not start: {self.process.communicate()[1]}")
        answer: dict[str, str] = json.loads(line)
        return answer

    def get(self, path: str) -> dict[str, str]:
        with urllib.request.urlopen(self.url + path, timeout=LIMIT_S) as response:  # noqa: S310 - our own http address
            answer: dict[str, str] = json.load(response)
            return answer

    def answers(self) -> bool:
        try:
            self.get("/healthz")
        except OSError:
            return False
        return True

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        printed, said = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, printed, said


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []
    with ExitStack() as ports:

        def start_one(*words: str, port: int | None = None, **variables: str) -> Running:
            if port is None:
                port = ports.enter_context(reserved_ports(2))  # a demo's sandbox takes the next one
            started.append(Running(tmp_path / "data", port, *words, **variables))
            return started[-1]

        yield start_one
        for running in started:
            if running.process.poll() is None:
                running.end()


Start = Callable[..., Running]


def test_up_starts_all_migrates_reports_and_ends_in_time(start: Start, tmp_path: Path) -> None:
    running = start()
    assert running.ready() == {"url": running.url, "data_dir": str(tmp_path / "data")}
    environment = running.get("/environment")
    assert environment["REFREF_BASE_URL"] == running.url
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        assert connection.execute("select count(*) from alembic_version").fetchone() == (1,)
    wait_for(lambda: "working" in (tmp_path / "data" / "logs" / "worker.log").read_text())
    processes = family(running.process.pid)
    assert len(processes) > 6
    code, printed, said = running.end()  # the worker sleeps for ten minutes and heeds no SIGTERM: it is not waited for
    assert (code, printed, said) == (0, "", "")  # one line in all, and quiet
    wait_for(lambda: not living(processes))


def test_ctrl_c_ends_it_in_the_same_way(start: Start) -> None:
    running = start()
    running.ready()
    processes = family(running.process.pid)
    assert running.end(signal.SIGINT)[0] == 0
    wait_for(lambda: not living(processes))


def test_killing_it_leaves_no_process_and_it_starts_again(start: Start) -> None:
    running = start("demo")
    running.ready()
    processes = family(running.process.pid) - {running.process.pid}
    sleepers = {pid for pid in processes if b"7654" in command_of(pid)}
    running.process.kill()
    running.process.communicate()
    wait_for(lambda: not living(processes - sleepers))
    for pid in sleepers:  # what a process itself started is its own affair when it is killed
        os.kill(pid, signal.SIGKILL)
    start("demo").ready()


def test_a_process_that_dies_is_started_again_and_said_so(start: Start) -> None:
    running = start()
    running.ready()
    first = running.get("/environment")["pid"]
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        running.get("/die")
    wait_for(running.answers)
    assert running.get("/environment")["pid"] != first
    assert "The web process ended (exit code 3); it starts again in 0.5 s" in running.end()[2]


def test_postgresql_that_dies_is_started_again(start: Start) -> None:
    running = start()
    running.ready()
    dsn = running.get("/environment")["DATABASE_URL"]
    pid_file = Path(running.get("/environment")["REFREF_DATA_DIR"]) / "postgres" / "cluster" / "postmaster.pid"
    first = started_at(dsn)
    assert first is not None
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
    wait_for(lambda: started_at(dsn) not in (None, first))
    assert "PostgreSQL ended unexpectedly" in running.end()[2]


def started_at(dsn: str) -> datetime | None:
    """When the PostgreSQL that answers was started; None while none answers."""
    try:
        with psycopg.connect(dsn) as connection:
            row = connection.execute("select pg_postmaster_start_time()").fetchone()
    except psycopg.OperationalError:
        return None
    assert row is not None
    return row[0]


def test_a_web_process_that_cannot_start_is_an_error_with_its_own_words(start: Start) -> None:
    running = start(STANDIN_FAILS="yes")
    printed, said = running.process.communicate(timeout=LIMIT_S)
    assert running.process.returncode == 1
    assert printed == ""
    assert "the stand-in was told to fail" in said


def test_a_port_in_use_is_named(start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        running = start(port=other.getsockname()[1])
        said = running.process.communicate(timeout=LIMIT_S)[1]
    assert running.process.returncode == 1
    assert "--port" in said


def test_the_demo_is_set_up_once_and_keeps_its_address_and_keys(start: Start, tmp_path: Path) -> None:
    first = start("demo")
    answer = first.ready()
    assert (answer["email"], answer["url"]) == ("demo@example.com", first.url)
    assert answer["sandbox_key"].startswith("sk_test_")
    assert (tmp_path / "data" / "demo.json").stat().st_mode & 0o777 == 0o600
    first.end()
    port = int(first.url.rpartition(":")[2])
    again = start("demo", port=port)
    assert again.ready() == answer
    assert (tmp_path / "data" / "runs").read_text() == f"{first.url}\n"
    again.end()
    elsewhere = start("demo")
    assert elsewhere.ready()["sandbox_url"] == answer["sandbox_url"]
    assert (tmp_path / "data" / "runs").read_text() == f"{first.url}\n{elsewhere.url}\n"  # told its new address


def test_a_second_one_on_the_same_folder_is_refused(start: Start) -> None:
    start().ready()
    second = start()
    said = second.process.communicate(timeout=LIMIT_S)[1]
    assert second.process.returncode == 1
    assert "already running" in said
