"""Stories for the tests: a short one that a test changes, and the playing of a text."""

from __future__ import annotations

from refref.simulator.mode import Mode
from refref.simulator.reading import read_story
from refref.simulator.result import Played
from refref.simulator.running import play_story

HEAD = """\
title: A sample
starts: 2026-01-15
terms:
  rules: [{rule_id: commission, rate_bps: 2000}]
  hold_days: 10
participants:
  - {name: Sample Partner, code: partner}
catalogue:
  products:
    - {id: thing, prices: [{id: thing-once, amount: 50.00 USD}]}
    - {id: plan, prices: [{id: plan-monthly, amount: 30.00 USD, every: month}]}
  coupons: [{id: half, off: 50 %}]
  tax_rates: [{id: vat, rate: 20 %}]
customers:
  - {id: buyer, name: Sample Buyer, email: buyer@example.org, referred: {by: partner}}
"""


def play(text: str, mode: Mode | None = None) -> Played:
    """The story of a text, played."""
    return play_story(read_story(text), mode=mode)


def told(tail: str, head: str = HEAD) -> Played:
    """The sample story with these steps and expectations."""
    return play(head + tail)


def differences(played: Played) -> dict[str, tuple[str, ...]]:
    """Each expectation that is not met, with the explanation."""
    return {one.text: one.difference for one in played.checked if not one.is_met}
