"""Train the zstd dictionary of stored bodies on the sandbox's own events, in every API version.

    .venv/bin/python tools/train_dictionary.py src/refref/db/dictionaries/stripe_events_N.zdict

A released dictionary is never changed: add the next number and list it in refref.db.bodies.
"""

from __future__ import annotations

import sys
from pathlib import Path

import zstandard

from refref.sandbox import Sandbox
from refref.sandbox.deliveries import render_event_bytes

VERSIONS = (
    "2020-08-27",
    "2024-06-20",
    "2025-02-24.acacia",
    "2025-03-31.basil",
    "2025-10-29.clover",
    "2026-03-25.dahlia",
    "2026-10-28.endive",
)
SIZE = 48 * 1024
NEWEST_WEIGHT = 6


def samples() -> list[bytes]:
    """Events of plain sample sales, the newest version most often."""
    bodies = []
    for seed in range(12):
        sandbox = Sandbox(clock_start="2026-01-01T00:00:00Z", seed=seed)
        product = sandbox.create_product("Sample plan")["id"]
        monthly = sandbox.create_price(product, "usd", 2_900, interval="month")["id"]
        once = sandbox.create_price(product, "eur", 19_900)["id"]
        for number in range(6):
            email = f"customer{number}@customers.example"
            sold = sandbox.sell(price=monthly, email=email, client_reference_id="partner", metadata={"plan": "sample"})
            invoiced = {"enabled": number % 2 == 0}
            sandbox.sell(price=once, email=email, customer_creation="always", invoice_creation=invoiced)
            if number % 3 == 0:
                sandbox.refund(sold["id"], amount=900)
            if number % 3 == 1:
                sandbox.close_dispute(sandbox.dispute(sold["id"])["id"], "won")
        sandbox.advance_by(months=2)
        for number, event in enumerate(sandbox.events):
            for version in (VERSIONS[number % len(VERSIONS)], *[VERSIONS[-1]] * (number % NEWEST_WEIGHT == 0)):
                bodies.append(render_event_bytes(event, version))
    return bodies


def main() -> None:
    """Train and write; print the ratio on the samples."""
    bodies = samples()
    trained = zstandard.train_dictionary(SIZE, bodies, level=3)
    Path(sys.argv[1]).write_bytes(trained.as_bytes())
    compressor = zstandard.ZstdCompressor(level=3, dict_data=trained)
    sizes = [len(compressor.compress(body)) for body in bodies]
    print(f"{len(bodies)} events, {sum(map(len, bodies)) // len(bodies)} bytes each, {sum(sizes) // len(sizes)} stored")


if __name__ == "__main__":
    main()
