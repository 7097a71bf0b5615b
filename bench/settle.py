"""Settle: from acceptance to booked in the ledger, by the real web and worker processes."""

from __future__ import annotations

import argparse
import os
import time

import psycopg
from backtest_data import TEN
from rig import Rig, query, report, requests_of, rig, send_all, send_paced

LATENCY = """
select percentile_disc(array[0.5, 0.99]) within group (
  order by extract(epoch from pg_xact_commit_timestamp(r.xmin) - pg_xact_commit_timestamp(e.xmin)) * 1000)
from stripe_event e join reward r on r.payment_key = e.object_id
where e.event_seq > %d
"""


def wait_until_settled(made: Rig) -> None:
    """Ask over one connection: a new one for each question would cost PostgreSQL more than many an event."""
    with psycopg.connect(made.dsn, autocommit=True) as connection:
        while (row := connection.execute("select exists (select from inbox)").fetchone()) and row[0]:
            time.sleep(0.02)


def closed_loop(made: Rig, count: int, customers: int, offset: int) -> dict[str, object]:
    """As fast as it goes: 16 connections send, and the clock stops when the last event is booked."""
    requests = requests_of(made, count, customers=customers, offset=offset)
    before, started = made.cpu(), time.perf_counter()
    load = send_all(made.port, requests, 16)
    wait_until_settled(made)
    seconds = time.perf_counter() - started
    after = made.cpu()
    rewards = int(query(made.dsn, "select count(*) from reward"))
    return {
        "mode": "closed",
        "customers": customers,
        "connections": 16,
        "events": load.accepted,
        "accepted_per_s": round(load.accepted / load.seconds),
        "events_per_s": round(load.accepted / seconds),
        "refused": load.refused,
        "rewards": rewards,
        "cpu_us_per_event": {part: round((after[part] - before[part]) * 1e6 / count) for part in after},
        "cpu_us_per_event_all": round(sum(after.values()) * 1e6 / count - sum(before.values()) * 1e6 / count),
        "memory_mb": round(made.memory_mb()),
    }


def open_loop(made: Rig, per_second: int, seconds: int, customers: int, offset: int) -> dict[str, object]:
    """At a steady rate: how long from the commit of the event to the commit of its reward."""
    after_seq = int(query(made.dsn, "select coalesce(max(event_seq), 0) from stripe_event"))
    load = send_paced(
        made.port, requests_of(made, per_second * seconds, customers=customers, offset=offset), per_second
    )
    wait_until_settled(made)
    p50, p99 = query(made.dsn, LATENCY % after_seq).strip("{}").split(",")
    return {
        "mode": "open",
        "rate_per_s": per_second,
        "events": load.accepted,
        "acknowledged_p50_ms": load.p50_ms,
        "acknowledged_p99_ms": load.p99_ms,
        "booked_p50_ms": round(float(p50), 2),
        "booked_p99_ms": round(float(p99), 2),
    }


def main() -> None:
    """Measure the closed loop for each number of customers, and the open loop at 200 and 1,000 a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, nargs="*", default=[10_000])
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--rules", type=int, choices=(1, 10), default=1, help="10: conditions, tiers and caps, too")
    parser.add_argument("--no-open", action="store_true", help="leave the open loop out")
    options = parser.parse_args()
    results: list[dict[str, object]] = []
    for number, customers in enumerate(options.customers):
        terms, participants = (TEN, 1_000) if options.rules == 10 else (None, 1)
        with rig(customers=customers, terms=terms, participants=participants) as made:
            made.start("web")
            made.start("worker")
            send_all(made.port, requests_of(made, 1_000, customers=customers, offset=90_000_000), 8)
            wait_until_settled(made)
            query(made.dsn, "analyze")  # PostgreSQL does it by itself within a minute of an installation's first events
            results.append(closed_loop(made, options.events, customers, 0))
            if number == 0 and not options.no_open:
                results.append(open_loop(made, 200, 8, customers, 50_000_000))
                results.append(open_loop(made, 1_000, 8, customers, 60_000_000))
    report("settle", results, rules=options.rules, load_average=os.getloadavg()[0])


if __name__ == "__main__":
    main()
