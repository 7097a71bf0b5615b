"""Whoever wants to see every exchange and every event of the sandboxes in this process: the judges of the tests.

Empty in the product. A witness only looks; it must not change what it is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer; `query` is the query string or the form body, `body` the answer as JSON."""

    method: str
    path: str
    query: str
    version: str
    status: int
    body: dict[str, Any]


exchanges: list[Callable[[Exchange], None]] = []
events: list[Callable[[dict[str, Any]], None]] = []
