"""A story played in a process of its own, for those who must not wait for it: JSON in, JSON out, within limits.

Reads one request from standard input and writes one answer to standard output; nothing else.
"""

from __future__ import annotations

import sys

import msgspec

from refref.core.placed_file import DocumentRefused
from refref.simulator.apart import OUT_OF_MEMORY, Answered, Asked, FaultShown
from refref.simulator.mode import Mode
from refref.simulator.reading import read_story
from refref.simulator.running import play_story

CPU_SECONDS = 15
MEMORY_BYTES = 2 * 1024**3


def answered(asked: Asked) -> Answered:
    """Play the story, or say what is wrong with it."""
    mode = Mode(asked.api_version, asked.is_shuffled)
    try:
        told = read_story(asked.text)
        if asked.terms is None and told.story.program_id:
            return Answered("program", program_id=told.story.program_id)
        return Answered("played", play_story(told, terms=asked.terms, terms_from=asked.terms_from, mode=mode))
    except DocumentRefused as refused:
        faults = tuple(FaultShown(one.line, one.field, one.sentence) for one in refused.faults)
        return Answered("faulty", faults=faults)


def limit_resources() -> None:
    """Keep what a story may use of the machine within bounds, where the system can."""
    try:
        import resource
    except ImportError:  # not on Windows; whoever started this has a limit of time
        return
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    limit_resources()
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    try:
        answer = msgspec.json.encode(answered(request))
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    sys.stdout.buffer.write(answer)
