"""Fixtures of every test: one throw-away PostgreSQL per run, and a fresh, migrated database per test that asks for one.

Owns the life of the test server. Nothing is started before a test asks for a database, so the pure tests stay fast.
Tests of async code call `asyncio.run` themselves; no plugin is needed.
"""

import importlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from judges.hooks import (  # noqa: F401 - for pytest
    pytest_sessionfinish,
    pytest_sessionstart,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from refref.db.embedded import EmbeddedPostgres

TEMPLATE = f"refref_template_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"  # processes may share one server
_numbers = itertools.count(1)

# How long an example takes says more about the machine than about the code.
settings.register_profile("any machine", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """Give the superuser DSN of the run's PostgreSQL; TEST_DATABASE_URL names another one to use instead."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with (
        tempfile.TemporaryDirectory(prefix="refref-test-", dir=_fast_folder(), ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder) / "postgres", durable=False) as server,
    ):
        yield server.dsn


@pytest.fixture(scope="session")
def migrated_template(server_dsn: str) -> str:
    """Give the name of a database on the test server that has every migration and no row of ours."""
    try:
        migrate = importlib.import_module("refref.db.migrate")
    except ModuleNotFoundError as missing:
        if missing.name != "refref.db.migrate":
            raise
        pytest.skip("there is no migration yet (refref.db.migrate)")
    _execute(server_dsn, f"DROP DATABASE IF EXISTS {TEMPLATE} (FORCE)", f"CREATE DATABASE {TEMPLATE}")
    migrate.upgrade(_with_database(server_dsn, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database(server_dsn: str, migrated_template: str) -> Iterator[str]:
    """Give the DSN of a fresh migrated database that only this test sees."""
    yield from _fresh_database(server_dsn, migrated_template)


@pytest.fixture(scope="module")
def module_database(server_dsn: str, migrated_template: str) -> Iterator[str]:
    """Give the DSN of a fresh migrated database that the tests of one module share, for tests that only read."""
    yield from _fresh_database(server_dsn, migrated_template)


@pytest.fixture
def make_database(server_dsn: str, migrated_template: str) -> Iterator[Callable[[], str]]:
    """Give a function that makes one more fresh migrated database, for tests that compare several."""
    made: list[Iterator[str]] = []

    def make() -> str:
        made.append(_fresh_database(server_dsn, migrated_template))
        return next(made[-1])

    yield make
    for database in made:
        next(database, None)


@pytest.fixture
def empty_database(server_dsn: str) -> Iterator[str]:
    """Give the DSN of a fresh database without any table, for tests of the migrations themselves."""
    yield from _fresh_database(server_dsn, "template0")


def _fast_folder() -> Path | None:
    """Return a folder in memory, if it has room: each test makes and removes hundreds of files. None: the usual one."""
    memory = Path("/dev/shm")
    try:
        room = shutil.disk_usage(memory).free
    except OSError:
        return None
    return memory if room > 2_000_000_000 and os.access(memory, os.W_OK) else None


def _fresh_database(server_dsn: str, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    # Copying files beats writing the copy through the log: nothing here must survive a crash.
    _execute(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield _with_database(server_dsn, name)
    finally:
        _execute(server_dsn, f"DROP DATABASE {name} (FORCE)")


def _with_database(dsn: str, database: str) -> str:
    before, _, after = dsn.partition("?")
    return f"{before.rpartition('/')[0]}/{database}" + (f"?{after}" if after else "")


def _execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
