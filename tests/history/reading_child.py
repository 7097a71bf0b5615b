"""A process that works on one reading until it is killed: DSN, organization and reading come as arguments."""

from __future__ import annotations

import asyncio
import sys
import time

from refref.db.pool import Database
from refref.settings import MasterKey
from refref.vault import Vault
from refref.worker.history import work_on
from refref.worker.pace import Pace


async def main(dsn: str, organization_id: str, run_id: str) -> None:
    database = await Database.open(dsn, max_size=2)
    vault = Vault([MasterKey("k1", b"k" * 32)])
    now = int(time.time())
    await work_on(database, vault, organization_id, run_id, lambda: now, Pace(20), turn_s=600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
