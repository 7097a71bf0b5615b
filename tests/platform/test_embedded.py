"""The embedded PostgreSQL: starts where it must, keeps what it promised, and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psycopg
import pytest

from refref.db import embedded, embedded_files
from refref.db.embedded import EmbeddedPostgres, EmbeddedPostgresError, query, running_dsn

RUN_UNTIL_KILLED = """
import pathlib, sys, time
from refref.db.embedded import EmbeddedPostgres
server = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(3600)
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and whose parent has not yet looked at it does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def start_in_child(data_dir: Path) -> tuple[subprocess.Popen[str], int]:
    child = subprocess.Popen([sys.executable, "-c", RUN_UNTIL_KILLED, str(data_dir)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, int(child.stdout.readline())


def test_its_address_works_in_every_driver(server_dsn: str) -> None:
    with psycopg.connect(server_dsn) as connection:
        assert connection.execute("select 'psycopg'").fetchone() == ("psycopg",)

    async def through_asyncpg() -> str:
        connection = await asyncpg.connect(server_dsn)
        try:
            return str(await connection.fetchval("select 'asyncpg'"))
        finally:
            await connection.close()

    assert asyncio.run(through_asyncpg()) == "asyncpg"
    assert query(server_dsn, "select 'psql'") == "psql"


def test_it_is_durable_private_and_utf8(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        dsn = server.dsn
        settings = {name: query(dsn, f"show {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")}
        assert settings == {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
        assert query(dsn, "show listen_addresses") == ""
        assert query(dsn, "show server_version").startswith("18.")
        assert query(dsn, "show server_encoding") == "UTF8"
        assert query(dsn, "select current_user, current_database()") == "refref|refref"
        socket_dir = Path(query(dsn, "show unix_socket_directories"))
        assert socket_dir.stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "postgres").stat().st_mode & 0o777 == 0o700
    assert not socket_dir.exists()


def test_data_survives_a_restart_and_the_address_stays(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        first = server.dsn
        query(first, "create table kept (line text)")
        query(first, "insert into kept values ('here')")
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        assert server.dsn == first
        assert query(server.dsn, "select line from kept") == "here"


def test_killing_its_parent_leaves_no_server_and_the_next_start_works(tmp_path: Path) -> None:
    child, pid = start_in_child(tmp_path / "postgres")
    assert alive(pid)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with EmbeddedPostgres(tmp_path / "postgres") as server:  # waits for the end of the orphan by itself
        wait_for(lambda: not alive(pid))
        assert query(server.dsn, "select 1") == "1"


def test_a_second_start_on_the_same_folder_is_refused_at_once(tmp_path: Path) -> None:
    child, _ = start_in_child(tmp_path / "postgres")
    try:
        asked_at = time.monotonic()
        with pytest.raises(EmbeddedPostgresError, match=f"already running on .*process {child.pid}.*--data"):
            EmbeddedPostgres(tmp_path / "postgres").start()
        assert time.monotonic() - asked_at < embedded._STOP_TIMEOUT_SECONDS, "it waits only for a server without RefRef"
        dsn = running_dsn(tmp_path / "postgres")
        assert dsn is not None
        assert query(dsn, "select 1") == "1"
    finally:
        child.terminate()
        child.communicate()
    with EmbeddedPostgres(tmp_path / "postgres"):
        pass  # its end removes what the killed one left in /tmp


def test_files_left_by_a_crash_do_not_stop_it(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with EmbeddedPostgres(folder) as server:
        socket_dir = Path(query(server.dsn, "show unix_socket_directories"))
        owner = socket_dir.stat().st_uid
    # A process id that is in use by something else, as after the restart of a container.
    (folder / "cluster" / "postmaster.pid").write_text(f"{os.getppid()}\n{folder}\n0\n5432\n{socket_dir}\n\n")
    (folder / "cluster.new").mkdir()
    assert running_dsn(folder) is None
    socket_dir.mkdir(mode=0o700)
    lock = socket_dir / ".s.PGSQL.5432.lock"
    with subprocess.Popen(["sleep", "3600"], user=owner) as something_else:
        lock.write_text(f"{something_else.pid}\n{folder}\n0\n5432\n{socket_dir}\n")
        for path in (socket_dir, lock):
            os.chown(path, owner, -1)
        try:
            with EmbeddedPostgres(folder) as server:
                assert query(server.dsn, "select 1") == "1"
        finally:
            something_else.kill()


def test_a_socket_folder_taken_by_somebody_else_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with EmbeddedPostgres(folder) as server:
        socket_dir = Path(query(server.dsn, "show unix_socket_directories"))
    socket_dir.mkdir(mode=0o700)
    socket_dir.chmod(0o777)
    try:
        with EmbeddedPostgres(folder) as server:
            assert query(server.dsn, "show unix_socket_directories") != str(socket_dir)
    finally:
        socket_dir.rmdir()


def test_a_very_long_data_path_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / ("path" * 30)
    with EmbeddedPostgres(folder, durable=False) as server:
        assert query(server.dsn, "select 1") == "1"


def test_without_a_template_it_runs_initdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere"))
    assert embedded_files.usable_template() is None
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as server:
        assert query(server.dsn, "select datname from pg_database order by 1") == "refref\ntemplate0\ntemplate1"


def test_operators_add_settings_in_local_conf_and_errors_are_quoted(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with EmbeddedPostgres(folder, durable=False):
        pass
    local = folder / "cluster" / "local.conf"
    local.write_text("work_mem = '17MB'\n")
    local.chmod(0o644)
    with EmbeddedPostgres(folder, durable=False) as server:
        assert query(server.dsn, "show work_mem") == "17MB"
    local.write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        EmbeddedPostgres(folder, durable=False).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops its rights")
class TestAsRoot:
    """What is special when RefRef is started by root."""

    def test_the_server_runs_as_an_ordinary_user_below_a_private_home(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        with EmbeddedPostgres(home / "data" / "postgres") as server:
            assert server.pid is not None
            assert os.stat(f"/proc/{server.pid}").st_uid not in (0,)
            assert "CapEff:\t0000000000000000" in Path(f"/proc/{server.pid}/status").read_text()
            assert query(server.dsn, "select 1") == "1"

    def test_the_owner_of_the_folder_is_kept(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        data.mkdir()
        os.chown(data, 4242, 4242)
        with EmbeddedPostgres(data / "postgres") as server:
            assert os.stat(f"/proc/{server.pid}").st_uid == 4242

    def test_programs_below_a_private_home_are_published_for_the_server(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        private = tmp_path / "private"
        private.mkdir(mode=0o700)
        package = embedded_files.installed_programs().parent
        for part in (package, package.with_name(package.name + ".libs")):
            (private / part.name).symlink_to(part)
        cache = Path(f"/tmp/refref-test-programs-{os.getpid()}")
        monkeypatch.setattr(embedded_files, "installed_programs", lambda: private / package.name / "pginstall")
        monkeypatch.setattr(embedded_files, "usable_template", lambda: None)  # initdb must work as well
        monkeypatch.setattr(embedded_files, "_CACHE_DIRS", (cache,))
        try:
            with EmbeddedPostgres(tmp_path / "postgres") as server:
                assert os.readlink(f"/proc/{server.pid}/exe").startswith(str(cache))
                assert query(server.dsn, "create extension pg_trgm; select similarity('a', 'a')") == "1"
        finally:
            subprocess.run(["rm", "-rf", str(cache)], check=True)


def test_settings_of_the_server_are_known_to_it(server_dsn: str) -> None:
    names = ", ".join(f"'{name}'" for name in embedded.SETTINGS)
    known = query(server_dsn, f"select count(*) from pg_settings where lower(name) in ({names})")
    assert int(known) == len(embedded.SETTINGS)
