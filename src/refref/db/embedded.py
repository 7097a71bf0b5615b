"""A PostgreSQL of our own: starts, watches and stops one server on one data folder, reachable by a private socket only.

Owns the server process and its settings; the files are `embedded_files`' part. Knows no table.
Standard library only, and cheap to import. Never uses a PostgreSQL found on PATH.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from refref.db.embedded_files import (
    DATABASE,
    SUPERUSER,
    Account,
    EmbeddedPostgresError,
    account_for,
    create_cluster,
    give_to,
    installed_programs,
    opened_folder,
    programs_for,
)

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "query", "running_dsn"]

SOCKET_PATH_MAX_BYTES = 107
_SOCKET_NAME = ".s.PGSQL.5432"
_START_TIMEOUT_SECONDS = 60.0
_STOP_TIMEOUT_SECONDS = 10.0
_LOG_MAX_BYTES = 10_000_000

# For one machine that also runs RefRef itself. An operator adds to it in `cluster/local.conf`.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "io_method": "sync",  # the data is in the page cache; saves three processes
    # One machine, no replica: copies are made by pg_dump.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "wal_buffers": "8MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # Queue tables are small and change all the time: look often, and clean after few changes.
    "autovacuum_naptime": "15s",
    "autovacuum_max_workers": "2",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_delay": "1ms",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # the DETAIL of an error would quote e-mail addresses
    "log_line_prefix": "%m [%p] ",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "256MB",
    "autovacuum_naptime": "60s",
}


def query(dsn: str, sql: str) -> str:
    """Run one statement with the installed psql and return its unaligned output; raises EmbeddedPostgresError."""
    command = [str(installed_programs() / "bin" / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-c", sql]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    result = subprocess.run(  # noqa: S603 - our own program
        command, check=False, capture_output=True, text=True, env=environment
    )
    if result.returncode != 0:
        raise EmbeddedPostgresError(result.stderr.strip())
    return result.stdout.strip()


def running_dsn(data_dir: Path) -> str | None:
    """Return the DSN of the server that runs on `data_dir` now, started by any process; None when none runs."""
    try:
        lock = os.open(data_dir / "postgres.lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        lines = _pid_file_lines(data_dir / "cluster")
        return _dsn(Path(lines[4])) if len(lines) > 4 else None
    finally:
        os.close(lock)
    return None


class EmbeddedPostgres:
    """One PostgreSQL server on `data_dir`, which it creates when missing.

    `durable=False` is for tests: a power cut may lose everything. Call `start` from a thread that lives as long as the
    server is wanted: when that thread ends, also by kill -9, the kernel ends the server. Raises EmbeddedPostgresError
    with a sentence that names the remedy.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._data_dir = data_dir.absolute()
        self._cluster = self._data_dir / "cluster"
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._locks: list[int] = []
        self._socket_dir: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def dsn(self) -> str:
        """Return the address of the started server."""
        if self._socket_dir is None:
            raise EmbeddedPostgresError("The embedded PostgreSQL is not running: call start() first.")
        return _dsn(self._socket_dir)

    @property
    def pid(self) -> int | None:
        """Return the server's process id, None when it does not run (any more)."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> str:
        """Start the server, wait until it answers, and return its DSN."""
        account = self._own_data_dir()
        try:
            self._lock()
            fresh = not self._cluster.exists()
            if fresh:
                create_cluster(self._cluster, account)
            elif account is not None and self._cluster.stat().st_uid != account.uid:
                give_to(self._cluster, account)
            self._forget_dead_server()
            self._write_settings()
            self._socket_dir = _private_socket_dir(self._data_dir, account)
            self._forget_dead_socket()  # the locks say that no server of this folder lives
            log_start = self._launch(account)
            self._wait_until_ready(log_start)
        except BaseException:
            self.stop()
            raise
        if fresh and self._durable:
            threading.Thread(target=_flush_to_disk, args=(self._cluster,), daemon=True).start()
        return self.dsn

    def stop(self, timeout_seconds: float = _STOP_TIMEOUT_SECONDS) -> None:
        """Stop the server and wait for its end; open transactions roll back. After the time-out it stops at once."""
        process, self._process = self._process, None
        if process is not None:
            for number, seconds in ((signal.SIGINT, timeout_seconds), (signal.SIGQUIT, 3.0)):
                process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                    break
            else:
                process.kill()
                process.wait()
        if self._socket_dir is not None:
            self._forget_dead_socket()
            with contextlib.suppress(OSError):
                self._socket_dir.rmdir()
            self._socket_dir = None
        while self._locks:
            os.close(self._locks.pop())

    def _forget_dead_socket(self) -> None:
        """Remove the socket and its lock file, whose process id may be another program's by now."""
        assert self._socket_dir is not None
        for leftover in (_SOCKET_NAME, _SOCKET_NAME + ".lock"):
            (self._socket_dir / leftover).unlink(missing_ok=True)

    def _own_data_dir(self) -> Account | None:
        if not self._data_dir.exists():
            account = account_for(self._data_dir)
            self._data_dir.mkdir(mode=0o700, parents=True)
        else:
            account = account_for(self._data_dir)
            owner = self._data_dir.stat().st_uid
            if account is None and owner != os.geteuid():
                raise EmbeddedPostgresError(
                    f"{self._data_dir} belongs to user {owner}. "
                    "Start RefRef as that user, or choose another folder with --data."
                )
        self._data_dir.chmod(0o700)
        if account is not None:
            os.chown(self._data_dir, account.uid, account.gid)
        return account

    def _lock(self) -> None:
        """Take both locks: `supervisor.lock` is ours alone, `postgres.lock` is inherited by the server.

        So a folder counts as in use as long as any of its server processes lives, whatever happened to its supervisor,
        and a left-over postmaster.pid never does.
        """
        supervisor = self._open_lock("supervisor.lock")
        if not _try_lock(supervisor):
            raise EmbeddedPostgresError(
                f"RefRef is already running on {self._data_dir} (process {_first_line(supervisor)}). "
                "Stop it first, or choose another folder with --data."
            )
        os.ftruncate(supervisor, 0)
        os.pwrite(supervisor, f"{os.getpid()}\n".encode(), 0)
        server = self._open_lock("postgres.lock")
        # A server whose supervisor was killed is about to end: wait for it.
        if not _wait_for(lambda: _try_lock(server), _STOP_TIMEOUT_SECONDS):
            pid = next(iter(_pid_file_lines(self._cluster)), "unknown")
            raise EmbeddedPostgresError(
                f"A PostgreSQL (process {pid}) still runs on {self._data_dir}, but the RefRef that started it is gone. "
                f"End it with: kill -INT {pid}"
            )

    def _open_lock(self, name: str) -> int:
        descriptor = os.open(self._data_dir / name, os.O_RDWR | os.O_CREAT, 0o600)
        self._locks.append(descriptor)
        return descriptor

    def _forget_dead_server(self) -> None:
        lines = _pid_file_lines(self._cluster)
        if not lines:
            return
        try:
            foreign = os.path.samefile(f"/proc/{int(lines[0])}/cwd", self._cluster)
        except (OSError, ValueError):
            foreign = False
        if foreign:
            raise EmbeddedPostgresError(
                f"A PostgreSQL that RefRef did not start (process {lines[0]}) runs on {self._cluster}. Stop it first."
            )
        (self._cluster / "postmaster.pid").unlink()

    def _write_settings(self) -> None:
        settings = SETTINGS | (_DURABLE if self._durable else _THROWAWAY)
        lines = ["# Written by RefRef at each start. Put your own settings into local.conf next to this file."]
        lines += [f"{name} = '{value}'" for name, value in settings.items()]
        # Overwriting keeps the owner of the files.
        if (self._cluster / "local.conf").exists():
            lines.append("include 'local.conf'")
        _write_file(self._cluster / "postgresql.conf", "\n".join([*lines, ""]))
        _write_file(self._cluster / "pg_hba.conf", "local all all trust\n")  # only the owner enters the socket's folder

    def _launch(self, account: Account | None) -> int:
        log_path = self._data_dir / "postgres.log"
        if log_path.exists() and log_path.stat().st_size > _LOG_MAX_BYTES:
            log_path.replace(log_path.with_suffix(".log.1"))
        server = programs_for(account) / "bin" / "postgres"
        die_with_parent = _death_signal_setter(signal.SIGINT)
        with log_path.open("ab") as log, opened_folder(self._cluster, account) as (path, descriptors):
            os.chmod(log_path, 0o600)
            log_start = log.tell()  # before the server writes: it shares the position
            self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                [str(server), "-D", path, "-k", str(self._socket_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                pass_fds=(self._locks[-1], *descriptors),
                start_new_session=True,  # Ctrl-C is for the supervisor, which then stops us in order
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
                preexec_fn=die_with_parent,  # calls only prctl, after the change of user, which would reset it
            )
            return log_start

    def _wait_until_ready(self, log_start: int) -> None:
        process = self._process
        assert process is not None
        wanted = str(process.pid)

        def settled() -> bool:
            lines = _pid_file_lines(self._cluster)
            ready = len(lines) > 7 and lines[0] == wanted and lines[7].strip() == "ready"
            return ready or process.poll() is not None

        in_time = _wait_for(settled, _START_TIMEOUT_SECONDS)
        if in_time and process.poll() is None:
            return
        with (self._data_dir / "postgres.log").open("rb") as log:
            log.seek(log_start)
            said = log.read(4000).decode(errors="replace").strip()
        raise EmbeddedPostgresError(
            f"PostgreSQL did not start on {self._data_dir}. Its log ({self._data_dir / 'postgres.log'}) says:\n{said}"
        )


def _dsn(socket_dir: Path) -> str:
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={socket_dir}"


def _pid_file_lines(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text().split("\n")
    except FileNotFoundError:
        return []


def _write_file(path: Path, text: str) -> None:
    if path.read_text() != text:
        path.write_text(text)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _first_line(descriptor: int) -> str:
    return os.pread(descriptor, 40, 0).decode(errors="replace").strip() or "unknown"


def _wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def _private_socket_dir(data_dir: Path, account: Account | None) -> Path:
    """Make the 0700 folder for the socket: short (a socket's path has at most 107 bytes), the same at each start."""
    uid = os.geteuid() if account is None else account.uid
    identity = data_dir.stat()
    name = f"refref-{uid}-{identity.st_dev:x}-{identity.st_ino:x}"
    root = Path("/tmp") if os.access("/tmp", os.W_OK) else Path(tempfile.gettempdir())  # noqa: S108 - checked below
    folder = root / name
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
            folder = Path(tempfile.mkdtemp(prefix=name + "-", dir=root))  # somebody else took the name
    if len(os.fsencode(folder / _SOCKET_NAME)) > SOCKET_PATH_MAX_BYTES:
        raise EmbeddedPostgresError(f"The path {folder} is too long for a socket. Set TMPDIR to a shorter folder.")
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def _death_signal_setter(number: int) -> Callable[[], None] | None:
    """Return what a new child calls to be sent `number` when its parent dies, even by kill -9 (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()
    set_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)

    def set_it() -> None:
        prctl(set_death_signal, number, 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return set_it


def _flush_to_disk(cluster: Path) -> None:
    """Write the copied files of a new cluster to disk, as initdb would have done; runs beside the start."""
    with contextlib.suppress(OSError):
        descriptor = os.open(cluster, os.O_RDONLY)
        try:
            syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
            syncfs(descriptor) if syncfs is not None else os.sync()
        finally:
            os.close(descriptor)
