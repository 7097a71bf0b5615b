"""`python -m refref.worker.backtest_part`: one process of a backtest. Its orders come on standard input, a line each;
on standard output it tells how far it is. Reads the history from a snapshot that others share; its results are files.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path

import msgspec

from refref.db.pool import Database
from refref.flows.backtest_history import (
    Gathering,
    Job,
    Part,
    complete_partition,
    program_under_draft,
    tell_history,
)

_GC_THRESHOLDS = (50_000, 20, 50)  # what a page makes dies by reference count


class Order(msgspec.Struct, frozen=True):
    """The first line: which part of whose history, seen in which snapshot, with files in which folder."""

    dsn: str
    snapshot: str
    job: Job
    part: Part
    partitions: int
    folder: str


def tell(word: str, number: int) -> None:
    """Tell the process that gave the order."""
    print(word, number, flush=True)


def advance(conversions: int) -> None:
    """Tell that so many conversions more were gone through."""
    tell("through", conversions)


async def work(order: Order) -> None:
    """Do the first step of the part, then complete the partitions that are asked for, until the input ends."""
    folder = Path(order.folder)
    job = order.job
    database = await Database.open(order.dsn, max_size=1)
    try:
        async with database.snapshot(job.organization_id, order.snapshot) as tx:
            program = await program_under_draft(tx, job)
            gathering = Gathering(program, folder, order.part.number, order.partitions)
            await tell_history(tx, job, program, order.part, folder, gathering.take, advance)
    finally:
        await database.close()
    store_summary(folder, "part", order.part.number, msgspec.msgpack.encode(gathering.flush()))
    del gathering
    tell("gathered", order.part.number)
    for line in sys.stdin:
        number = int(line)
        summary = complete_partition(program, folder, number, advance)
        store_summary(folder, "partition", number, msgspec.msgpack.encode(summary))
        tell("completed", number)


def store_summary(folder: Path, kind: str, number: int, body: bytes) -> None:
    """Leave a summary for the process that adds them up."""
    (folder / f"summary-{kind}-{number}").write_bytes(body)


def main() -> None:
    """Take the order and work."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    asyncio.run(work(msgspec.json.decode(sys.stdin.readline(), type=Order)))


if __name__ == "__main__":
    main()
