"""Judges every exchange and every event of every sandbox that runs in the test process, and counts them.

`judges/hooks.py` hangs it into pytest: a fault names the test it came from and fails the run. A request that the
sandbox refused is not judged (tests send wrong ones on purpose), the error body is.
"""

import os
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from judges.exceptions import excused
from judges.judged import Judged
from judges.requests import SPECIFICATION_DAY, request_faults
from refref.sandbox.store import API_VERSION
from refref.sandbox.versions import render
from refref.sandbox.witness import Exchange
from sandbox.judge import EVENT_TYPES, error_faults, faults


@dataclass(slots=True)
class Recorder:
    """What was judged so far. Equal things are judged once: a story is told in many modes on the same objects."""

    judged: Judged = field(default_factory=Judged)
    _seen: set[int] = field(default_factory=set)

    def exchange(self, seen: Exchange) -> None:
        """Judge a request and its answer."""
        if seen.status >= 400:
            self.judged.errors += 1
            self._note(error_faults(seen.body), "error")
            if seen.status != 402:
                return
        self.judged.requests += 1
        names = sorted({re.sub(r"\[\d*\]", "[]", pair.partition("=")[0]) for pair in seen.query.split("&")})
        self.judged.shapes.add(f"{seen.method} {re.sub(r'_?[A-Za-z0-9]{8,}', '*', seen.path)} {names}")
        if self._is_new((seen.method, seen.path, seen.query, seen.version)):
            self._note(request_faults(seen.method, seen.path, seen.query, seen.version), "request", seen.version)
        if seen.status == 200:
            self._object(seen.body, seen.version)

    def event(self, event: dict[str, Any]) -> None:
        """Judge an event and the object in it."""
        seen = self.judged.events
        seen[event["type"]] = seen.get(event["type"], 0) + 1
        if self._is_new(event):
            if event["type"] not in EVENT_TYPES:
                self._note([f"{event['type']}: not an event of Stripe's"], "event")
            self._note(faults(render(event, API_VERSION)), event["type"])

    def _object(self, body: dict[str, Any], version: str) -> None:
        self.judged.objects += len(body["data"]) if body.get("object") in ("list", "search_result") else 1
        if version[:10] < SPECIFICATION_DAY:
            self.judged.older += 1  # shapes that the specification no longer has: test_recorded_shapes.py judges them
        elif self._is_new(body):
            events = [
                each for each in body.get("data") or () if isinstance(each, dict) and each.get("object") == "event"
            ]
            rendered_earlier = any(each["api_version"][:10] < SPECIFICATION_DAY for each in events)
            if not rendered_earlier:
                self._note(faults(body), "answer")

    def _is_new(self, thing: object) -> bool:
        mark = hash(msgspec.json.encode(thing))
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True

    def _note(self, sentences: list[str], where: str, version: str = API_VERSION) -> None:
        for sentence in sentences:
            if not excused(sentence, version):
                test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
                self.judged.found.setdefault(f"{where}: {re.sub(r'_[A-Za-z0-9]{8,}', '_*', sentence)}", test)
