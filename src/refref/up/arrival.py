"""Tells the person at the terminal how far the demo's history has come. Asks the sandbox; decides nothing."""

import json
import sys

from refref.up.network import get_body

ASK_AGAIN_SECONDS = 0.5
UNANSWERED_MAX = 60


class ArrivalLine:
    """One line of the terminal that is written again until the history has arrived; elsewhere two plain lines."""

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port
        self._shown = ""
        self._unanswered = 0
        self.is_over = False

    def show(self) -> None:
        """Ask once and say what is new."""
        body = get_body(*self._place, "/_sandbox/state")
        if body is None:
            self._unanswered += 1
            self.is_over = self._unanswered >= UNANSWERED_MAX
            return
        history = json.loads(body)["history"]
        months = history["of_months"]
        self.is_over = not months
        if months:
            self._say(f"  sample history   {history['arrived_months']} of {months} months have arrived")
        elif self._shown:
            self._say("  sample history   has arrived", last=True)

    def _say(self, text: str, *, last: bool = False) -> None:
        if text == self._shown:
            return
        if sys.stdout.isatty():
            print(f"\r{text.ljust(len(self._shown))}", end="\n" if last else "", flush=True)
        elif last or not self._shown:
            print(text, flush=True)
        self._shown = text
