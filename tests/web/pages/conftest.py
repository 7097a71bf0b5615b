"""A running web process on sample data, and a real browser that looks at it."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import structlog
from playwright.sync_api import Browser, BrowserContext, Page

from looks import follow, opened_browser
from refref.db.pool import Database
from refref.settings import load_settings
from refref.vault import Vault
from refref.web.app import create_app
from serving import quiet_server
from web.pages.sample import EMAIL, PASSWORD, Sample, make_connection, make_owner, make_sample


@dataclass(frozen=True, slots=True)
class Site:
    """A web process in a thread of its own. `run` runs a coroutine function on its database, there."""

    url: str
    database: Database
    loop: asyncio.AbstractEventLoop

    def run(self, work: Callable[[Database], Awaitable[object]]) -> object:
        """The result of `work` on the site's database."""

        async def call() -> object:
            return await work(self.database)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(timeout=120)


@dataclass(frozen=True, slots=True)
class SampleSite:
    site: Site
    sample: Sample

    @property
    def url(self) -> str:
        return self.site.url


@contextmanager
def serve(
    dsn: str, folder: Path, prepare: Callable[[Database, Vault], Awaitable[object]]
) -> Iterator[tuple[Site, object]]:
    """Serve the database `dsn`, after `prepare`, on a free port."""
    settings = load_settings({"REFREF_DATA_DIR": str(folder), "DATABASE_URL": dsn})
    ready: list[tuple[Site, object]] = []
    started, stop = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    async def main() -> None:
        database = await Database.open(dsn)
        try:
            prepared = await prepare(database, Vault(settings.master_keys))
            async with quiet_server(create_app(settings, database)) as url:
                ready.append((Site(url, database, asyncio.get_running_loop()), prepared))
                started.set()
                await asyncio.to_thread(stop.wait)
        finally:
            await database.close()

    def thread() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
            started.set()

    logging_before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    worker = threading.Thread(target=thread, name="refref-web")
    worker.start()
    try:
        assert started.wait(timeout=120)
        if failures:
            raise failures[0]
        yield ready[0]
    finally:
        stop.set()
        worker.join()
        structlog.configure(**logging_before)


@pytest.fixture(scope="module")
def sample_site(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleSite]:
    """Give a site with everything in it."""
    with serve(module_database, tmp_path_factory.mktemp("data"), make_sample) as (site, sample):
        assert isinstance(sample, Sample)
        yield SampleSite(site, sample)


@pytest.fixture
def new_site(database: str, tmp_path: Path) -> Iterator[Site]:
    """Give a site that nobody has set up."""

    async def nothing(_database: Database, _vault: Vault) -> None:
        return None

    with serve(database, tmp_path, nothing) as (site, _):
        yield site


@pytest.fixture
def empty_site(database: str, tmp_path: Path) -> Iterator[Site]:
    """Give a site with an owner and a connection, where nothing has happened yet."""

    async def owner_and_connection(database: Database, vault: Vault) -> None:
        now = datetime.now(UTC)
        await make_connection(database, vault, await make_owner(database, now), now)

    with serve(database, tmp_path, owner_and_connection) as (site, _):
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a real browser; skips where there is none."""
    with opened_browser() as opened:
        yield opened


def sign_in(context: BrowserContext, url: str, email: str = EMAIL) -> Page:
    """A page of the context, signed in and on the overview (or the set-up page)."""
    page = context.new_page()
    page.goto(f"{url}/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("button", name="Sign in"))
    assert "/sign-in" not in page.url
    return page


@contextmanager
def client_of(url: str, email: str | None) -> Iterator[httpx.Client]:
    """A client without a browser, signed in when an e-mail is given."""
    with httpx.Client(base_url=url, timeout=60) as client:
        if email is not None:
            answer = client.post("/sign-in", data={"email": email, "password": PASSWORD, "next": "/"})
            assert answer.status_code == 303
        yield client
