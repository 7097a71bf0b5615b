"""Starts PostgreSQL, the migrations and the processes of RefRef in the quickest safe order, and ends them in order.

Owns the order and the reactions to signals and deaths. Imports only the standard library and the embedded PostgreSQL,
because this process lives as long as RefRef does.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from refref.db.embedded import EmbeddedPostgres, EmbeddedPostgresError, query
from refref.db.migrate import HEAD
from refref.up.arrival import ASK_AGAIN_SECONDS, ArrivalLine
from refref.up.network import get_status, is_free, url_of
from refref.up.processes import Child, rotate

READY_TIMEOUT_SECONDS = 60.0
_GRACE_SECONDS = {"web": 1.5, "worker": 1.0, "sandbox": 0.5}


class CannotStart(Exception):
    """RefRef cannot start; the message says why and what to do."""


class Stopped(BaseException):
    """Somebody asked for the end: Ctrl-C, SIGTERM or a closed terminal."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and where. The modules are parameters so that the tests can put small ones in their place."""

    data_dir: Path
    host: str
    port: int
    base_url: str
    demo: bool = False
    as_json: bool = False
    logs_to_stderr: bool = False
    database_url: str | None = None
    web_module: str = "refref.web"
    worker_module: str = "refref.worker"
    sandbox_module: str = "refref.sandbox"
    demo_setup_module: str = "refref.demo_setup"


@dataclass(slots=True)
class Demo:
    """What a demo keeps in `demo.json` of its data folder: its sandbox's address and key, and the set-up's answer."""

    path: Path
    sandbox_port: int
    sandbox_key: str
    seed: int
    addresses: list[str] = field(default_factory=list)
    answer: dict[str, object] = field(default_factory=dict)

    @classmethod
    def load(cls, data_dir: Path, port: int) -> "Demo":
        """Read the demo of this folder, or invent a new one whose sandbox listens next to `port` if it can."""
        path = data_dir / "demo.json"
        if path.exists():
            return cls(path, **json.loads(path.read_text()))
        sandbox_port = next((p for p in range(port + 1, min(port + 50, 65535)) if is_free("127.0.0.1", p)), port + 1)
        return cls(path, sandbox_port, f"sk_test_{os.urandom(16).hex()}", seed=int.from_bytes(os.urandom(3)))

    def save(self) -> None:
        """Write the file, readable by its owner only: it holds the sign-in."""
        kept = {name: getattr(self, name) for name in ("sandbox_port", "sandbox_key", "seed", "addresses", "answer")}
        temporary = self.path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(kept, indent=1))
        temporary.replace(self.path)


class Supervisor:
    """One running RefRef. `run` returns the exit code of the whole."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._logs = plan.data_dir / "logs"
        self._postgres: EmbeddedPostgres | None = None
        self._demo: Demo | None = None
        self._demo_setup: Child | None = None
        self._arrival: ArrivalLine | None = None
        self._children: dict[str, Child] = {}
        self._environment: dict[str, str] = {}
        self._wake_reading, self._wake_writing = os.pipe()

    def run(self) -> int:
        """Start everything, report, watch until asked to stop, stop everything."""
        self._listen_to_signals()
        try:
            self._start()
            self._report()
            self._watch()
        except Stopped:
            return 0
        except (CannotStart, EmbeddedPostgresError) as reason:
            say(str(reason))
            return 1
        finally:
            self._ignore_signals()
            self._stop()

    # Starting

    def _start(self) -> None:
        plan = self._plan
        if not is_free(plan.host, plan.port):
            raise CannotStart(f"Port {plan.port} on {plan.host} is in use. Choose another one: --port {plan.port + 10}")
        try:
            plan.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CannotStart(f"{plan.data_dir} cannot be used ({error}). Choose another folder: --data") from error
        web = self._add("web", plan.web_module)
        web.prepare()  # its imports take longest: they run while PostgreSQL starts
        self._environment = {
            "REFREF_DATA_DIR": str(plan.data_dir),
            "REFREF_HOST": plan.host,
            "REFREF_PORT": str(plan.port),
            "REFREF_BASE_URL": plan.base_url,
        }
        if plan.demo:
            self._prepare_demo()
        self._environment["DATABASE_URL"] = plan.database_url or self._start_postgres()
        self._migrate()
        web.begin(self._environment)
        if self._demo is not None:
            self._start_demo(self._demo)
        self._wait_until_ready(web, plan.host, plan.port, "/healthz", status=200)
        self._add("worker", plan.worker_module).begin(self._environment)  # now: the first page had the processor

    def _add(self, name: str, module: str) -> Child:
        log_path = None if self._plan.logs_to_stderr else self._logs / f"{name}.log"
        self._children[name] = Child(name, module, log_path)
        return self._children[name]

    def _start_postgres(self) -> str:
        self._postgres = EmbeddedPostgres(self._plan.data_dir / "postgres")
        return self._postgres.start()

    def _migrate(self) -> None:
        dsn = self._environment["DATABASE_URL"]
        if self._postgres is not None:
            with contextlib.suppress(EmbeddedPostgresError):  # a new database has no such table
                if query(dsn, "select version_num from alembic_version") == HEAD:
                    return
        code = "import os; from refref.db.migrate import upgrade; upgrade(os.environ['DATABASE_URL'])"
        done = subprocess.run(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", code],
            check=False,
            env=os.environ | self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            log_path = self._logs / "migrate.log"
            log_path.write_text(done.stdout)
            raise CannotStart(f"The database could not be migrated: {_first_error(done.stdout)}\nAll of it: {log_path}")

    # The demo

    def _addresses(self, demo: Demo) -> list[str]:
        return [self._plan.base_url, url_of("127.0.0.1", demo.sandbox_port)]

    def _prepare_demo(self) -> None:
        demo = self._demo = Demo.load(self._plan.data_dir, self._plan.port)
        self._add("sandbox", self._plan.sandbox_module).prepare()
        if demo.addresses != self._addresses(demo):
            log_path = self._logs / "demo_setup.log"
            self._demo_setup = Child("demo set-up", self._plan.demo_setup_module, log_path, answers=True)
            self._demo_setup.prepare()

    def _start_demo(self, demo: Demo) -> None:
        """Start the sandbox; fill a new demo, or tell an old one its new addresses."""
        if not is_free("127.0.0.1", demo.sandbox_port):
            raise CannotStart(
                f"Port {demo.sandbox_port}, where the sandbox of this demo listens, is in use. "
                "Stop what uses it, or make another demo: --data FOLDER --port N"
            )
        demo.save()
        options = {"--host": "127.0.0.1", "--port": demo.sandbox_port, "--data": self._plan.data_dir / "sandbox"}
        options |= {"--key": demo.sandbox_key, "--seed": demo.seed}
        arguments = [str(part) for option in options.items() for part in option]
        sandbox = self._children["sandbox"]
        sandbox.begin(self._environment, [*arguments, "--live-traffic"])
        if self._demo_setup is None:
            return
        self._wait_until_ready(sandbox, "127.0.0.1", demo.sandbox_port, "/", status=None)
        base_url, sandbox_url = self._addresses(demo)
        addresses = ["--url", base_url, "--sandbox-url", sandbox_url, "--sandbox-key", demo.sandbox_key]
        self._demo_setup.begin(self._environment, addresses)
        answer = self._demo_setup.answer()
        if answer is None:
            raise CannotStart(f"The demo could not be set up:\n{self._demo_setup.log_tail()}")
        demo.answer |= json.loads(answer)
        demo.addresses = [base_url, sandbox_url]
        demo.save()

    # Running

    def _wait_until_ready(self, child: Child, host: str, port: int, path: str, *, status: int | None) -> None:
        """Wait until `path` answers, with `status` unless that is None."""
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while (got := get_status(host, port, path)) is None or got != (status or got):
            if child.ended is not None:
                where = f" ({child.log_path})" if child.log_path else ""
                raise CannotStart(f"The {child.name} process ended while starting{where}:\n{child.log_tail()}")
            if time.monotonic() > deadline:
                raise CannotStart(f"The {child.name} process does not answer at {url_of(host, port)}{path}.")
            time.sleep(0.01)

    def _report(self) -> None:
        plan, demo = self._plan, self._demo
        answer: dict[str, object] = {"url": plan.base_url}
        if demo is None:
            answer["data_dir"] = str(plan.data_dir)
        else:
            answer |= demo.answer
            answer |= {"sandbox_url": self._addresses(demo)[1], "sandbox_key": demo.sandbox_key}
        if plan.as_json:
            print(json.dumps(answer), flush=True)
            return
        lines = [f"RefRef is ready: {plan.base_url}"]
        if demo is not None:
            lines += [f"  sign in with     {answer.get('email')}  {answer.get('password')}"]
            lines += [f"  its own Stripe   {answer['sandbox_url']}"]
        lines += [f"  data             {plan.data_dir}", "Stop with Ctrl-C."]
        print("\n".join(lines), flush=True)
        if demo is not None:
            self._arrival = ArrivalLine("127.0.0.1", demo.sandbox_port)

    def _watch(self) -> NoReturn:
        while True:
            now = time.monotonic()
            due = [child.restart_at for child in self._children.values() if child.restart_at is not None]
            if self._arrival is not None:
                self._arrival.show()
                self._arrival = None if self._arrival.is_over else self._arrival
            longest = 60.0 if self._arrival is None else ASK_AGAIN_SECONDS
            self._sleep(max(0.0, min([*due, now + longest]) - now))
            if self._postgres is not None and self._postgres.pid is None:
                self._revive_postgres(self._postgres)
            for child in self._children.values():
                self._attend_to(child)

    def _attend_to(self, child: Child) -> None:
        if child.restart_at is not None:
            if child.restart_at <= time.monotonic():
                child.restart()
        elif (code := child.ended) is not None:
            pause = child.plan_restart()
            where = f" Its log: {child.log_path}" if child.log_path else ""
            say(f"The {child.name} process ended ({_how(code)}); it starts again in {pause:g} s.{where}")
        elif child.log_path is not None:
            rotate(child.log_path)

    def _revive_postgres(self, postgres: EmbeddedPostgres) -> None:
        say("PostgreSQL ended unexpectedly; it starts again.")
        postgres.stop()
        postgres.start()

    def _stop(self) -> None:
        for name in ("web", "worker", "sandbox"):
            if name in self._children:
                self._children[name].stop(_GRACE_SECONDS[name])
        if self._demo_setup is not None:
            self._demo_setup.stop(0.0)
        if self._postgres is not None:
            self._postgres.stop(timeout_seconds=2.0)

    # Signals

    def _listen_to_signals(self) -> None:
        os.set_blocking(self._wake_writing, False)
        signal.set_wakeup_fd(self._wake_writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # wakes _sleep
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, _stop_now)

    def _ignore_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def _sleep(self, seconds: float) -> None:
        if select.select([self._wake_reading], [], [], seconds)[0]:
            os.read(self._wake_reading, 4096)


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(f"refref: {text}", file=sys.stderr, flush=True)


def _stop_now(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _first_error(traceback: str) -> str:
    """Return the line that names the first error of a chain of tracebacks, which is its cause."""
    _, _, after = traceback.partition("Traceback (most recent call last):\n")
    return next((line for line in after.splitlines() if not line.startswith(" ")), traceback[-500:])


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
