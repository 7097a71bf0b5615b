"""`python -m refref.sandbox`: the sandbox as a process of its own, on the loopback interface only."""

import argparse
import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from refref.sandbox.connections import Connections
from refref.sandbox.control import Control, control_routes
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.errors import StripeError
from refref.sandbox.pages import Pages, local
from refref.sandbox.sample import seed, tick
from refref.sandbox.state import Sandbox
from refref.sandbox.store import API_VERSION
from refref.sandbox.timeline import instant, months_after
from refref.sandbox.wire import create_app

HISTORY_MONTHS = 6


def parser() -> argparse.ArgumentParser:
    """The flags of the process."""
    flags = argparse.ArgumentParser(prog="python -m refref.sandbox", description="A stateful Stripe sandbox.")
    flags.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1", "localhost", "::1"])
    flags.add_argument("--port", type=int, default=8420)
    flags.add_argument("--data", type=Path, help="directory that keeps everything; in memory without it")
    flags.add_argument(
        "--key", action="append", default=[], help="accepted API key, repeatable; any test key without it"
    )
    flags.add_argument("--seed", type=int, help="write the sample history of this seed into an empty sandbox")
    flags.add_argument(
        "--clock-start", help="ISO instant; start of the history, or where the clock stands without --seed"
    )
    flags.add_argument(
        "--api-version", default=API_VERSION, help="the account's version: of events, and of calls that name none"
    )
    flags.add_argument("--live-traffic", action="store_true", help="a sale every few seconds to a minute")
    flags.add_argument(
        "--refcodes", default="", help="comma-separated codes for the sample customers' client_reference_id"
    )
    flags.add_argument("--promotion-codes", default="", help="comma-separated promotion codes to create and use")
    return flags


def split_codes(text: str) -> list[str]:
    """Comma-separated codes."""
    return [code.strip() for code in text.split(",") if code.strip()]


def open_sandbox(args: argparse.Namespace) -> Sandbox:
    """The kept sandbox, or a new one with its history."""
    now = int(time.time())
    default = months_after(now, -HISTORY_MONTHS) if args.seed is not None else now
    start = instant(args.clock_start) if args.clock_start else default
    host = f"[{args.host}]" if ":" in args.host else args.host
    sandbox = Sandbox(
        clock_start=start,
        seed=args.seed or 0,
        path=args.data / "sandbox.db" if args.data else None,
        public_url=f"http://{host}:{args.port}",
        api_version=args.api_version,
    )
    if args.seed is not None and not sandbox.live("product"):
        seed(sandbox, args.seed, start, now, split_codes(args.refcodes), split_codes(args.promotion_codes))
    sandbox.flush()
    return sandbox


def live_sale(control: Control, rng: random.Random, now: int) -> int:
    """One tick of live traffic; returns the seconds until the next. A refused sale is a customer who went away."""
    try:
        return tick(control.sandbox, rng, now=now, refcodes=control.refcodes, promotion_codes=control.promotion_codes)
    except StripeError:
        return 5


async def keep_time(control: Control, follow: bool) -> None:
    """Move the clock with real time when `follow`, sell when traffic is live, and write to disk."""
    rng = random.Random(control.sandbox.now)  # noqa: S311 - sample traffic, no secret
    next_sale = 0.0
    last = int(time.time())
    while True:
        now = int(time.time())
        # A clock that somebody moved ahead goes on from there at the same pace.
        target, last = max(now, control.sandbox.now + now - last), now
        if control.live and time.monotonic() >= next_sale:
            next_sale = time.monotonic() + live_sale(control, rng, target)
        elif follow or control.live:
            control.sandbox.advance(target)
        control.sandbox.flush()
        await asyncio.sleep(1)


def build(args: argparse.Namespace) -> Starlette:
    """The application with its background work."""
    sandbox = open_sandbox(args)
    connections = Connections()
    deliveries = Deliveries(sandbox, connections.post)
    control = Control(
        sandbox,
        deliveries,
        refcodes=split_codes(args.refcodes),
        promotion_codes=split_codes(args.promotion_codes),
        live=args.live_traffic,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(deliveries.run()),
            asyncio.create_task(keep_time(control, follow=args.seed is not None)),
        ]
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        connections.close()
        sandbox.close()

    extra = [*control_routes(control, local), *Pages(control).routes()]
    return create_app(sandbox, keys=args.key, extra=extra, lifespan=lifespan)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    args = parser().parse_args(arguments)
    # uvicorn shuts down in order and then raises the signal again: that is the normal end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(build(args), host=args.host, port=args.port, log_level="warning", timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main()
