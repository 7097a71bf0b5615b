"""How RefRef's processes run: uvloop where it exists, and a garbage collector that keeps out of the way."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine

# What a batch makes dies by reference count; looking for cycles after every 700 objects only costs time.
_GC_THRESHOLDS = (50_000, 20, 50)


def run_process(work: Coroutine[object, object, None]) -> None:
    """Run a process's main coroutine to its end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    if sys.platform == "win32":
        asyncio.run(work)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
