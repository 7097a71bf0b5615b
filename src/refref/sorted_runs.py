"""Sorting more than memory holds: by (instant, key), in memory up to a limit, then in runs on disk that are merged.

Knows nothing of what it sorts; an item is bytes.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

Item = tuple[int, str, bytes]  # instant, key, body

_HEAD = struct.Struct("<qHI")
_BUFFER = 1 << 18


class SortedRuns:
    """Takes items in any order and gives them in order. Runs are files `<name>.<n>` in `folder`."""

    def __init__(self, folder: Path, name: str, limit_bytes: int) -> None:
        self._folder = folder
        self._name = name
        self._limit = limit_bytes
        self._items: list[Item] = []
        self._bytes = 0
        self._runs: list[Path] = []

    def add(self, instant: int, key: str, body: bytes) -> None:
        """Take an item; writes a run when memory is full."""
        self._items.append((instant, key, body))
        self._bytes += len(body) + 200  # what the objects themselves take
        if self._bytes >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory as a run."""
        if not self._items:
            return
        self._items.sort()
        path = self._folder / f"{self._name}.{len(self._runs)}"
        with path.open("wb", buffering=_BUFFER) as file:
            for instant, key, body in self._items:
                name = key.encode()
                file.write(_HEAD.pack(instant, len(name), len(body)))
                file.write(name)
                file.write(body)
        self._runs.append(path)
        self._items.clear()
        self._bytes = 0

    def in_order(self) -> Iterator[Item]:
        """Every item in order."""
        self._items.sort()
        if not self._runs:
            return iter(self._items)
        return heapq.merge(iter(self._items), *(_read(path) for path in self._runs))


def merged(paths: Iterable[Path]) -> Iterator[Item]:
    """The items of runs that others wrote, in order."""
    return heapq.merge(*(_read(path) for path in paths))


def _read(path: Path) -> Iterator[Item]:
    with path.open("rb", buffering=_BUFFER) as file:
        while head := file.read(_HEAD.size):
            yield _item(head, file)


def _item(head: bytes, file: BinaryIO) -> Item:
    instant, key_length, body_length = _HEAD.unpack(head)
    return instant, file.read(key_length).decode(), file.read(body_length)
