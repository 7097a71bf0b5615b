"""Every reason for earning nothing is documented with the sentence that people read, and no other is."""

from __future__ import annotations

import re
from pathlib import Path

from refref.core.decisions import REASONS
from refref.core.facts import PRECEDENCE
from refref.core.unbound import UNBOUND_REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "how-it-counts.md").read_text(encoding="utf-8")


def test_reasons_are_documented() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.+?) \|$", PAGE.partition("## 6.")[2], flags=re.MULTILINE))
    assert rows == REASONS | UNBOUND_REASONS


def test_the_precedence_of_carriers_is_documented() -> None:
    rows = re.findall(r"^\| \d+ \| `([a-z_.]+)` \|", PAGE, flags=re.MULTILINE)
    assert rows == [kind.value for kind in PRECEDENCE]
