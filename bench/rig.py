"""What the benchmarks share: a durable PostgreSQL, a merchant, signed invoices, a light load generator, CPU readings.

Everything is on loopback and temporary. Each benchmark prints one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from refref.core.terms import Duration, Terms  # noqa: E402 - after the path is set
from refref.db.embedded import EmbeddedPostgres, query  # noqa: E402
from refref.db.migrate import upgrade  # noqa: E402
from refref.db.pool import Database  # noqa: E402
from refref.flows.connections import NewConnection, create_connection  # noqa: E402
from refref.flows.participants import create_participant  # noqa: E402
from refref.flows.programs import create_program  # noqa: E402
from refref.ids import new_id  # noqa: E402
from refref.sandbox.deliveries import sign  # noqa: E402
from refref.settings import MasterKey  # noqa: E402
from refref.vault import Vault  # noqa: E402

SECRET = "whsec_" + "b" * 32
MASTER_KEY = MasterKey("bench", b"b" * 32)
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Rig:
    """A running set-up. `cpu()` is the CPU seconds so far of RefRef's processes and of PostgreSQL."""

    folder: Path
    postgres: EmbeddedPostgres
    dsn: str
    organization_id: str = ""
    connection_id: str = ""
    port: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, role: str) -> None:
        """Start `web` or `worker` as the product starts it."""
        environment = os.environ | {
            "DATABASE_URL": self.dsn,
            "REFREF_DATA_DIR": str(self.folder),
            "REFREF_PORT": str(self.port),
            "REFREF_MASTER_KEY": "bench:" + _base64(MASTER_KEY.secret),
            "REFREF_LOG_LEVEL": "warning",
            "PYTHONPATH": str(ROOT / "src"),
        }
        command = [sys.executable, "-m", f"refref.{role}"]
        self.processes[role] = subprocess.Popen(command, env=environment, cwd=ROOT)
        if role == "web":
            wait_for_port(self.port)

    def stop(self, role: str) -> None:
        process = self.processes.pop(role)
        process.send_signal(signal.SIGTERM)
        process.wait(15)

    def cpu(self) -> dict[str, float]:
        """CPU seconds by part."""
        found = {role: cpu_seconds(process.pid) for role, process in self.processes.items()}
        found["postgres"] = postgres_cpu(self.postgres)
        return found

    def memory_mb(self) -> float:
        """Resident memory of RefRef's processes, less what they share with others (PSS)."""
        return sum(pss_mb(process.pid) for process in self.processes.values())


@contextlib.contextmanager
def rig(*, customers: int = 0, terms: Terms | None = None, participants: int = 1) -> Iterator[Rig]:
    """A fresh merchant with one program and its participants; `customers` already known, referred by them in turn."""
    with tempfile.TemporaryDirectory(prefix="refref-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres")
        with postgres:
            (folder / "postgres" / "cluster" / "local.conf").write_text("track_commit_timestamp = on\n")
        with postgres:
            upgrade(postgres.dsn)
            made = Rig(folder, postgres, postgres.dsn, port=free_port())
            plain = Terms(duration=Duration("forever"), attribution_window_days=3650)
            asyncio.run(_set_up(made, terms or plain, participants))
            if customers:
                asyncio.run(add_customers(made, customers, participants))
            try:
                yield made
            finally:
                for role in list(made.processes):
                    made.stop(role)


async def _set_up(made: Rig, terms: Terms, participants: int) -> None:
    database = await Database.open(made.dsn)
    made.organization_id = new_id("organization")
    async with database.reference() as tx:
        await tx.execute("insert into organization values ($1, 'Bench')", made.organization_id)
    async with database.tenant(made.organization_id) as tx:
        vault = Vault([MASTER_KEY])
        given = NewConnection(name="Bench", mode="test", webhook_secret=SECRET)
        connection = await create_connection(tx, vault, made.organization_id, given, actor="system", now=EPOCH)
        made.connection_id = connection.connection_id
        program, _ = await create_program(
            tx, made.organization_id, connection_id=made.connection_id, name="Bench", terms=terms,
            effective_at=EPOCH, actor="system", now=EPOCH,
        )  # fmt: skip
        for number in range(participants):
            await create_participant(
                tx, made.organization_id, program_id=program.program_id, kind="affiliate", name="Bench",
                email=f"partner{number}@example.com", refcode=f"bench{number}", actor="system", now=EPOCH,
            )  # fmt: skip
    await database.close()


async def add_customers(made: Rig, count: int, participants: int) -> None:
    """Book `count` referred customers with their subscriptions, as a batch of facts through settle itself."""
    from refref.core.facts import Carrier, CarrierKind, CustomerState, Fact, Kind, SubscriptionState
    from refref.db.pool import lock_books
    from refref.flows.settle import Incoming, settle

    database = await Database.open(made.dsn)
    for start in range(0, count, 2_000):
        facts: list[Fact] = []
        for number in range(start, min(count, start + 2_000)):
            customer, subscription = f"cus_bench{number:08d}", f"sub_bench{number:08d}"
            carrier = Carrier(CarrierKind.CUSTOMER_METADATA, f"bench{number % participants}", 1_600_000_000)
            state = CustomerState(f"buyer{number}@customers.example", None, None, "usd", 1_600_000_000)
            facts.append(Fact(customer, Kind.CUSTOMER, 0, 1_600_000_000, 0, state, (), (carrier,)))
            plan = SubscriptionState("active", "usd", ("prod_bench",), ("price_bench",), 1)
            facts.append(Fact(subscription, Kind.SUBSCRIPTION, 0, 1_600_000_000, 0, plan, (customer,)))
        async with database.tenant(made.organization_id) as tx:
            await lock_books(tx, made.connection_id)
            await settle(tx, made.organization_id, made.connection_id, [Incoming(facts, None)], 1_600_000_000)
    async with database.plain() as connection:
        await connection.execute("select 1")
    await database.close()
    query(made.dsn, "vacuum analyze")


# Load ----------------------------------------------------------------------------------------------------------------


def requests_of(made: Rig, count: int, *, customers: int, offset: int = 0) -> list[bytes]:
    """Signed deliveries of `invoice.paid` (6.8 KB, one line), each a whole HTTP request; ids differ."""
    template = (Path(__file__).parent / "invoice_paid.json").read_text()
    now = int(time.time())
    path = f"/stripe/webhooks/{made.connection_id}"
    built = []
    for number in range(offset, offset + count):
        text = template.replace("@NUMBER@", f"{number:08d}").replace("@CUSTOMER@", f"{number % customers:08d}")
        body = text.replace('"@NOW@"', str(now)).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=utf-8\r\n"
            f"Stripe-Signature: {sign(body, SECRET, now)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        built.append(head.encode() + body)
    return built


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of the load generator saw; latencies in milliseconds."""

    seconds: float
    accepted: int
    refused: int
    p50_ms: float
    p99_ms: float


def send_all(port: int, requests: list[bytes], connections: int) -> Load:
    """Closed loop: each connection sends its next request when the last is answered."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    poll = select.epoll()
    by_fd = {}
    for one in sockets:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        by_fd[one.fileno()] = one
        poll.register(one.fileno(), select.EPOLLIN)
    waiting = iter(requests)
    sent_at: dict[int, float] = {}
    parts: dict[int, bytes] = {}
    latencies: list[float] = []
    refused = open_count = 0
    clock = time.perf_counter
    started = clock()
    for fd, one in by_fd.items():
        request = next(waiting, None)
        if request is not None:
            sent_at[fd] = clock()
            one.sendall(request)
            open_count += 1
    while open_count:
        for fd, _ in poll.poll():
            one = by_fd[fd]
            answer = one.recv(4096)
            if answer[-4:] != b"\r\n\r\n" or fd in parts:
                answer = parts.pop(fd, b"") + answer
                if not is_whole(answer):
                    parts[fd] = answer
                    continue
            now = clock()
            latencies.append(now - sent_at[fd])
            if answer[9:12] != b"200":
                refused += 1
            request = next(waiting, None)
            if request is None:
                open_count -= 1
                continue
            sent_at[fd] = now
            if one.send(request) != len(request):
                raise RuntimeError("the socket's buffer is smaller than a request")
    seconds = clock() - started
    for one in sockets:
        one.close()
    return _load(seconds, latencies, refused)


def send_paced(port: int, requests: list[bytes], per_second: int, connections: int = 16) -> Load:
    """Open loop: requests leave at their instants, whatever the answers do; latency counts from that instant."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for one in sockets:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    idle = deque(sockets)  # first in, first out: the server closes connections that stay silent
    poll = select.epoll()
    by_fd = {one.fileno(): one for one in sockets}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    due_at: dict[int, float] = {}
    parts: dict[int, bytes] = {}
    latencies: list[float] = []
    refused = next_number = 0
    started = time.perf_counter()
    while len(latencies) < len(requests):
        now = time.perf_counter() - started
        while idle and next_number < len(requests) and next_number / per_second <= now:
            one = idle.popleft()
            due_at[one.fileno()] = next_number / per_second
            one.sendall(requests[next_number])
            next_number += 1
        wait = max(0.0, next_number / per_second - (time.perf_counter() - started)) if idle else 0.05
        for fd, _ in poll.poll(min(wait, 0.05) or 0.0002):
            answer = parts.pop(fd, b"") + by_fd[fd].recv(4096)
            if not is_whole(answer):
                parts[fd] = answer
                continue
            latencies.append(time.perf_counter() - started - due_at[fd])
            refused += answer[9:12] != b"200"
            idle.append(by_fd[fd])
    seconds = time.perf_counter() - started
    for one in sockets:
        one.close()
    return _load(seconds, latencies, refused)


def is_whole(answer: bytes) -> bool:
    """Whether an HTTP answer has arrived with its body."""
    if answer.endswith(b"\r\n\r\n") and answer[9:12] == b"200":
        return True
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return len(body) >= int(length.partition(b":")[2])


def _load(seconds: float, latencies: list[float], refused: int) -> Load:
    latencies.sort()
    return Load(
        seconds,
        len(latencies) - refused,
        refused,
        round(latencies[len(latencies) // 2] * 1000, 2),
        round(latencies[int(len(latencies) * 0.99)] * 1000, 2),
    )


# The limit -----------------------------------------------------------------------------------------------------------


def postgres_commits_per_second(made: Rig, clients: int, seconds: int = 4) -> int:
    """PostgreSQL's own single-row durable commits with a body of the same stored size, by pgbench over the socket."""
    script = made.folder / "commit.sql"
    script.write_text("insert into limit_probe (body) values (decode(repeat('ab', 400), 'hex'));\n")
    query(
        made.dsn,
        "create table if not exists limit_probe (id bigint generated always as identity primary key, body bytea)",
    )
    pgbench = _program("pgbench")
    host = made.dsn.partition("host=")[2]
    command = [pgbench, "-n", "-f", str(script), "-c", str(clients), "-j", "2", "-T", str(seconds), "-M", "prepared",
               "-h", host, "-U", "refref", "refref"]  # fmt: skip
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    line = next(line for line in result.stdout.splitlines() if line.startswith("tps ="))
    return round(float(line.split()[2]))


def _program(name: str) -> str:
    from refref.db.embedded_files import installed_programs

    return str(installed_programs() / "bin" / name)


# Readings ------------------------------------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def postgres_cpu(postgres: EmbeddedPostgres) -> float:
    """CPU of the postmaster and its children, those that have ended included."""
    postmaster = postgres_pid(postgres)
    fields = Path(f"/proc/{postmaster}/stat").read_text().rpartition(")")[2].split()
    total = sum(int(value) for value in fields[11:15]) / TICKS
    for pid in _children(postmaster):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += cpu_seconds(pid)
    return total


def postgres_pid(postgres: EmbeddedPostgres) -> int:
    return int((postgres._cluster / "postmaster.pid").read_text().splitlines()[0])


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


def pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for_port(port: int, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port}")


def machine() -> dict[str, object]:
    """What this was measured on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    return {"cores": os.cpu_count(), "cpu": model, "python": platform.python_version()}


def report(name: str, results: list[dict[str, object]], **more: object) -> None:
    """Print the benchmark's one JSON object."""
    print(json.dumps({"benchmark": name, "machine": machine(), "results": results, **more}))


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()
