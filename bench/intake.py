"""Intake: webhooks acknowledged durably per second, beside PostgreSQL's own single-row durable commits, interleaved."""

from __future__ import annotations

import argparse
import time

from rig import postgres_commits_per_second, report, requests_of, rig, send_all

COUNTS = {1: 4_000, 16: 30_000, 32: 30_000, 128: 30_000}


def main() -> None:
    """Measure at each number of connections; the limit is measured just before, with as many clients (at most 32)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="*", default=list(COUNTS))
    options = parser.parse_args()
    results: list[dict[str, object]] = []
    with rig() as made:
        made.start("web")
        offset = 0
        send_all(made.port, requests_of(made, 500, customers=10_000, offset=90_000_000), 8)
        for connections in options.connections:
            count = COUNTS.get(connections, 30_000)
            requests = requests_of(made, count, customers=10_000, offset=offset)
            offset += count
            limit = postgres_commits_per_second(made, min(connections, 32))
            before, own = made.cpu(), time.process_time()
            load = send_all(made.port, requests, connections)
            after, own = made.cpu(), time.process_time() - own
            rate = load.accepted / load.seconds
            results.append(
                {
                    "connections": connections,
                    "events_per_s": round(rate),
                    "p50_ms": load.p50_ms,
                    "p99_ms": load.p99_ms,
                    "refused": load.refused,
                    "limit_per_s": limit,
                    "ratio": round(rate / limit, 2),
                    "cpu_us_per_event": {part: round((after[part] - before[part]) * 1e6 / count) for part in after}
                    | {"load_generator": round(own * 1e6 / count)},
                }
            )
    report(
        "intake", results, limit="single-row durable commits of PostgreSQL 18 (pgbench, as many clients, at most 32)"
    )


if __name__ == "__main__":
    main()
