"""Backfill: 100,000 invoices from Stripe's lists to booked rewards, by the real worker process, killed in the middle.

Twice: at the pace of test mode against an account that enforces Stripe's limit, and without any limit.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rig import EPOCH, MASTER_KEY, ROOT, Rig, free_port, pss_mb, query, report, rig, wait_for_port

from refref.db import connections, history
from refref.db.connections import ConnectionSecret
from refref.db.pool import Database
from refref.flows.readings import start_backfill
from refref.ids import new_id
from refref.stripe.listing import READS_PER_SECOND
from refref.vault import Place, Vault
from refref.worker.history import work_on
from refref.worker.pace import Pace

STRIPE_LIMIT = 25  # reads a second in test mode
KILL_AFTER = 0.3  # of the invoices


@contextlib.contextmanager
def account(invoices: int, customers: int, limit: int) -> Iterator[str]:
    """Such an account in a process of its own; gives its address."""
    port = free_port()
    command = [sys.executable, "bench/stripe_lists.py", *map(str, (port, invoices, customers, limit))]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def seen_by(address: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{address}/_seen") as answer:  # noqa: S310 - our own loopback port
        found: dict[str, int] = json.load(answer)
        return found


async def ask(made: Rig, address: str) -> str:
    """Give the connection a key for the account, and ask for its history."""
    database = await Database.open(made.dsn)
    vault, org, con = Vault([MASTER_KEY]), made.organization_id, made.connection_id
    async with database.tenant(org) as tx:
        secret_id = new_id("secret")
        sealed = vault.seal(b"rk_test_bench", Place(org, con, secret_id))
        await connections.insert_secret(
            tx,
            ConnectionSecret(
                org, con, secret_id, "api_key", sealed.key_id, sealed.nonce, sealed.ciphertext, "ench", EPOCH, None
            ),
        )
        await connections.update_api_base(tx, org, con, address)
        await tx.execute("update connection set created_at = now()")  # so that no nightly comparison is due
        run = await start_backfill(tx, org, con, from_at=None, actor="system", now=datetime.now(UTC))
    await database.close()
    return run.run_id


READ = """
select coalesce(sum(p.read_count), 0) from history_part p
join history_run r using (organization_id, run_id) where r.kind = 'backfill'
"""


def read_count(made: Rig) -> int:
    return int(query(made.dsn, READ))


def status(made: Rig) -> str:
    return query(made.dsn, "select status from history_run where kind = 'backfill'")


class Memory:
    """Resident memory of a process over time, in MB."""

    def __init__(self) -> None:
        self.samples: list[tuple[int, int]] = []

    def look(self, pid: int, read: int) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            self.samples.append((read, round(pss_mb(pid))))

    def told(self) -> list[list[int]]:
        """A dozen samples: objects read so far, MB."""
        step = max(1, len(self.samples) // 12)
        return [list(sample) for sample in self.samples[::step]]


def result(made: Rig, objects: int, seconds: float, address: str, memory: Memory, **more: object) -> dict[str, object]:
    started = time.perf_counter()
    while query(made.dsn, "select exists (select from inbox)") == "t":
        time.sleep(0.1)
    settled = seconds + time.perf_counter() - started
    return {
        "objects": objects,
        "read": read_count(made),
        "stored_events": int(query(made.dsn, "select count(*) from stripe_event where source = 'backfill'")),
        "rewards": int(query(made.dsn, "select count(*) from reward")),
        "seconds": round(seconds, 1),
        "objects_per_s": round(objects / seconds),
        "seconds_until_booked": round(settled, 1),
        "stripe_saw": seen_by(address),
        "memory_mb_by_objects_read": memory.told(),
        "memory_mb_most": max(mb for _, mb in memory.samples),
        **more,
    }


def paced(invoices: int, customers: int) -> dict[str, object]:
    """The real worker at the pace of test mode; killed once with kill -9."""
    objects = invoices + customers
    with rig() as made, account(invoices, customers, STRIPE_LIMIT) as address:
        asyncio.run(ask(made, address))
        memory, killed_at, waited = Memory(), 0, 0.0
        made.start("worker")
        started = time.perf_counter()
        while status(made) != "done":
            time.sleep(0.5)
            read = read_count(made)
            memory.look(made.processes["worker"].pid, read)
            if not killed_at and read > customers + invoices * KILL_AFTER:
                worker = made.processes.pop("worker")
                worker.send_signal(signal.SIGKILL)
                worker.wait()
                killed_at, killed = read_count(made), time.perf_counter()
                made.start("worker")
                while read_count(made) == killed_at:
                    time.sleep(0.2)
                waited = time.perf_counter() - killed
        seconds = time.perf_counter() - started
        told = {"mode": "paced", "reads_per_second": READS_PER_SECOND["test"], "stripe_limit": STRIPE_LIMIT}
        kill: dict[str, object] = {"killed_after": killed_at, "seconds_until_taken_over": round(waited, 1)}
        return {**told, **result(made, objects, seconds, address, memory, **kill)}


def unlimited(invoices: int, customers: int) -> dict[str, object]:
    """A process that only reads and stores, as fast as it goes; what is stored is booked afterwards."""
    objects = invoices + customers
    with rig() as made, account(invoices, customers, 0) as address:
        run_id = asyncio.run(ask(made, address))
        command = [sys.executable, str(Path(__file__)), "--read", made.dsn, made.organization_id, run_id]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        memory, started = Memory(), time.perf_counter()
        reader = subprocess.Popen(command, cwd=ROOT, env=environment)
        while reader.poll() is None:
            time.sleep(0.25)
            memory.look(reader.pid, read_count(made))
        seconds = time.perf_counter() - started
        made.start("worker")
        return {"mode": "unlimited", **result(made, objects, seconds, address, memory)}


async def read_all(dsn: str, organization_id: str, run_id: str) -> None:
    """What the process of `unlimited` does."""
    database = await Database.open(dsn, max_size=2)
    vault = Vault([MASTER_KEY])
    await work_on(database, vault, organization_id, run_id, lambda: int(time.time()), Pace(0), turn_s=3600)
    async with database.tenant(organization_id) as tx:
        run = await history.run_by_id(tx, organization_id, run_id)
    await database.close()
    assert run is not None
    assert run.status == "done", run


def main() -> None:
    """Measure both modes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invoices", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--only", choices=["paced", "unlimited"])
    parser.add_argument("--read", nargs=3, metavar=("DSN", "ORGANIZATION", "READING"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        asyncio.run(read_all(*options.read))
        return
    modes = {"unlimited": unlimited, "paced": paced}
    chosen = [options.only] if options.only else list(modes)
    report("backfill", [modes[name](options.invoices, options.customers) for name in chosen])


if __name__ == "__main__":
    main()
