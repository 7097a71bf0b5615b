"""A refusal: something asked for cannot be done. Has a stable code and a sentence; HTTP statuses belong to the edge."""

from __future__ import annotations


class Refused(Exception):
    """Raised by rules and flows; `code` is stable (docs/errors.md), `sentence` says what is wrong and the remedy.

    `field` names the input that is at fault, as the caller wrote it (`terms.hold_days`), where there is one.
    """

    def __init__(self, code: str, sentence: str, field: str | None = None) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.field = field
