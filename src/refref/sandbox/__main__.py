"""`python -m refref.sandbox`: the sandbox as a process of its own, on the loopback interface only."""

import argparse
import asyncio
import gc
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from refref.sandbox.connections import Connections
from refref.sandbox.control import Control, control_routes
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.errors import StripeError
from refref.sandbox.gate import AfterHistory
from refref.sandbox.pages import Pages
from refref.sandbox.safe_pages import is_local
from refref.sandbox.sample import History
from refref.sandbox.sample_cast import PROMOTERS, Promoter, promoters_of
from refref.sandbox.sample_plan import CUSTOMERS
from refref.sandbox.sample_traffic import Traffic
from refref.sandbox.state import Sandbox
from refref.sandbox.store import API_VERSION
from refref.sandbox.timeline import instant, months_after
from refref.sandbox.wire import create_app

HISTORY_MONTHS = 14
# The history is written a slice at a time, so that pages get their turns and deliveries keep up with it.
SLICE_SECONDS = 0.02
KEEPING_UP_SECONDS = 0.02
WAIT_FOR_LISTENER_SECONDS = 2.0
BUSY_SECONDS = 3600  # after so long of live traffic, things happen ten times more rarely


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
    flags.add_argument("--customers", type=int, default=CUSTOMERS, help=f"how many buy in the history ({CUSTOMERS})")
    flags.add_argument(
        "--clock-start", help="ISO instant; start of the history, or where the clock stands without --seed"
    )
    flags.add_argument(
        "--api-version", default=API_VERSION, help="the account's version: of events, and of calls that name none"
    )
    flags.add_argument("--live-traffic", action="store_true", help="a sale, a sign-up or the like every few seconds")
    flags.add_argument(
        "--refcodes", default="", help="comma-separated codes for the sample sales, instead of the sample promoters'"
    )
    flags.add_argument("--promotion-codes", default="", help="comma-separated promotion codes of their owners")
    return flags


def split_codes(text: str) -> list[str]:
    """Comma-separated codes."""
    return [code.strip() for code in text.split(",") if code.strip()]


def address_of(args: argparse.Namespace) -> str:
    """Where it listens."""
    host = f"[{args.host}]" if ":" in args.host else args.host
    return f"http://{host}:{args.port}"


def open_sandbox(args: argparse.Namespace, promoters: Sequence[Promoter]) -> tuple[Sandbox, History | None]:
    """The kept sandbox, or a new one, and the history that it has or shall have."""
    now = int(time.time())
    default = months_after(now, -HISTORY_MONTHS) if args.seed is not None else now
    start = instant(args.clock_start) if args.clock_start else default
    sandbox = Sandbox(
        clock_start=start,
        seed=args.seed or 0,
        path=args.data / "sandbox.db" if args.data else None,
        public_url=address_of(args),
        api_version=args.api_version,
    )
    history = History.kept(sandbox, promoters)
    if history is None and args.seed is not None and not sandbox.live("product"):
        history = History.begun(sandbox, args.seed, start, now, promoters, args.customers)
    sandbox.flush()
    return sandbox, history


async def write_history(control: Control) -> None:
    """Write the history, or the rest of it, beside everything else."""
    if not control.arrival.written.is_set():
        # The set-up of a demo is about to register: let it, before the processor is busy.
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_FOR_LISTENER_SECONDS):
                await control.arrival.awaited.wait()
    pause_at = time.monotonic() + SLICE_SECONDS
    for _ in control.arrival.write():
        if time.monotonic() >= pause_at:
            await asyncio.sleep(0)
            if not control.arrival.is_urgent:
                with suppress(TimeoutError):
                    await control.deliveries.drained(KEEPING_UP_SECONDS)
            pause_at = time.monotonic() + SLICE_SECONDS


def live_tick(traffic: Traffic) -> int:
    """One tick of live traffic; returns the seconds until the next. A refused sale is a customer who went away."""
    try:
        return traffic.tick()
    except StripeError:
        return 5


async def keep_time(control: Control, follow: bool) -> None:
    """Write the history; then move the clock with real time if `follow`, sell if traffic is live, and write to disk."""
    await write_history(control)
    traffic = Traffic(control.sandbox, control.promoters, control.sandbox.now)
    began = time.monotonic()
    next_sale = 0.0
    last = int(time.time())
    while True:
        now = int(time.time())
        # A clock that somebody moved ahead goes on from there at the same pace.
        target, last = max(now, control.sandbox.now + now - last), now
        if follow or control.live:
            control.sandbox.advance(target)
        if control.live and time.monotonic() >= next_sale:
            traffic.promoters = control.promoters
            pause = live_tick(traffic)
            next_sale = time.monotonic() + (pause if time.monotonic() < began + BUSY_SECONDS else 10 * pause)
        control.sandbox.flush()
        await asyncio.sleep(1)


def build(args: argparse.Namespace) -> ASGIApp:
    """The application with its background work."""
    refcodes = split_codes(args.refcodes)
    promoters = promoters_of(refcodes, split_codes(args.promotion_codes)) if refcodes else PROMOTERS
    sandbox, history = open_sandbox(args, promoters)
    connections = Connections()
    deliveries = Deliveries(sandbox, connections.post)
    control = Control(sandbox, deliveries, promoters=promoters, history=history, live=args.live_traffic)

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

    extra = [*control_routes(control, is_local), *Pages(control).routes()]
    return AfterHistory(create_app(sandbox, keys=args.key, extra=extra, lifespan=lifespan), control.arrival)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    args = parser().parse_args(arguments)
    gc.set_threshold(100_000, 20, 50)  # a history is a million objects that stay: looking at them all is dear
    # uvicorn shuts down in order and then raises the signal again: that is the normal end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app = build(args)
    keys = "the keys that it was given" if args.key else "any test key"
    said = f"A Stripe of its own on {address_of(args)}: its page and its API, for {keys}. Ctrl-C ends it."
    print(said, file=sys.stderr, flush=True)
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning", timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main()
