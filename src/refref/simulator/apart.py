"""Playing a story apart: in a process of its own with limits of time and memory, so that no story holds up a server."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

import msgspec

from refref.core.terms import Terms
from refref.simulator.mode import API_VERSIONS
from refref.simulator.result import Played

WITHIN_SECONDS = 12
AT_ONCE = 2
OUT_OF_MEMORY = 3  # how the process ends then
MAX_CHARACTERS = 100_000
_ROOT = Path(__file__).parents[2]  # where the package is, for a process without our settings
_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class Asked(msgspec.Struct, frozen=True):
    """A story's text, and the terms to play it under where they are not its own."""

    text: str
    terms: Terms | None = None
    terms_from: str = "the story"
    api_version: str = API_VERSIONS[-1]
    is_shuffled: bool = False


class FaultShown(msgspec.Struct, frozen=True):
    """A fault with its line in the file, from 1; "" where it is of no field."""

    line: int
    field: str
    sentence: str


class Answered(msgspec.Struct, frozen=True):
    """What was played, the faults of the file, or the program whose terms the story asks for."""

    code: Literal["played", "faulty", "program"]
    played: Played | None = None
    faults: tuple[FaultShown, ...] = ()
    program_id: str = ""


async def play_apart(asked: Asked, within_seconds: int = WITHIN_SECONDS) -> Answered:
    """Play a story in a process of its own; one that is too large or takes too long is a fault of the story."""
    if len(asked.text) > MAX_CHARACTERS:
        return _refused(f"A story has at most {MAX_CHARACTERS} characters here; the command line takes longer ones.")
    async with _gate():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "refref.simulator",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(_ROOT), "PATH": os.defpath, "PYTHONUTF8": "1"},  # none of our secrets
        )
        try:
            async with asyncio.timeout(within_seconds):
                told, complaint = await process.communicate(msgspec.json.encode(asked))
        except TimeoutError:
            return _refused(f"The story took longer than {within_seconds} seconds: tell a shorter one.")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode == OUT_OF_MEMORY or (process.returncode or 0) < 0:  # below 0: ended by a limit
        return _refused("The story needed more time or memory than there is for one: tell a shorter one.")
    if process.returncode != 0:
        raise RuntimeError(f"the simulator failed: {complaint.decode(errors='replace')[-2000:]}")
    return msgspec.json.decode(told, type=Answered)


def _gate() -> asyncio.Semaphore:
    """So many stories at once on one event loop; the others wait."""
    return _gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))


def _refused(sentence: str) -> Answered:
    return Answered("faulty", faults=(FaultShown(1, "", sentence),))
