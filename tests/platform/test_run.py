"""`./run`: what it starts, and what it says when it cannot. The environment is a stand-in; nothing is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIDE_BY_SIDE = "-n auto --maxprocesses 4 --dist loadfile"  # all tests; a choice of them runs in one process


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the repository whose environment is ready and whose Python only says how it was called."""
    folder = tmp_path / "checkout with a space"
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(ROOT / "run", folder / "run")
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    for kind in ("runtime", "dev"):
        shutil.copy(folder / "requirements" / f"{kind}.lock", folder / ".venv" / f"refref-{kind}.lock")
    for name in ("chromium", "stripe-cli"):
        (folder / ".venv" / f"refref-{name}-tried").touch()
    for name in ("python", "ruff", "mypy", "lint-imports", "pytest"):
        program = binaries / name
        program.write_text(f'#!/bin/sh\necho "{name} $*"\n[ "$FAILS" != {name} ]\n')
        program.chmod(0o755)
    return folder


def run(checkout: Path, *words: str, fails: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "run", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "FAILS": fails},
    )


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (("demo", "--port", "9000"), "python -m refref.up --demo --port 9000"),
        (("up", "--data", "/some where"), "python -m refref.up --data /some where"),
        (("serve",), "python -m refref.web"),
        (("worker",), "python -m refref.worker"),
        (("refref", "doctor", "--json"), "python -m refref doctor --json"),
        (("test",), f"python -m pytest {SIDE_BY_SIDE}"),
        (("test", "tests/core", "-k", "money"), "python -m pytest tests/core -k money"),
    ],
)
def test_each_command_becomes_its_program_without_a_word(checkout: Path, words: tuple[str, ...], called: str) -> None:
    done = run(checkout, *words)
    assert (done.stdout, done.stderr, done.returncode) == (called + "\n", "", 0)


def test_check_runs_everything_and_ends_with_the_tests(checkout: Path) -> None:
    done = run(checkout, "check")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "ruff check",
        "ruff format --check",
        "mypy --strict",
        "lint-imports ",
        f"pytest {SIDE_BY_SIDE}",
    ]


@pytest.mark.parametrize("step", ["ruff", "mypy", "lint-imports", "pytest"])
def test_check_fails_when_one_step_fails_and_still_runs_the_others(checkout: Path, step: str) -> None:
    done = run(checkout, "check", fails=step)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 5
    assert f"failed: {step}" in done.stderr


def test_without_a_command_it_helps(checkout: Path) -> None:
    done = run(checkout)
    assert done.returncode == 0
    assert "./run demo" in done.stdout


def test_an_unknown_command_is_named(checkout: Path) -> None:
    done = run(checkout, "demmo")
    assert done.returncode == 1
    assert "There is no command 'demmo'." in done.stderr


def test_an_unknown_measurement_is_refused(checkout: Path) -> None:
    assert "Which measurement?" in run(checkout, "bench", "nothing").stderr


def test_a_changed_lock_makes_it_prepare_again(checkout: Path) -> None:
    lock = checkout / "requirements" / "runtime.lock"
    lock.write_text(lock.read_text() + "something==1\n")
    shutil.copy(checkout / "requirements" / "uv.lock", checkout / ".venv" / "refref-uv.lock")
    shutil.copy(checkout / ".venv" / "bin" / "ruff", checkout / ".venv" / "bin" / "uv")
    assert "Installing the packages of requirements/runtime.lock" in run(checkout, "up").stderr


def test_without_a_python_it_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "flock"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    done = subprocess.run(
        [tools / "bash", checkout / "run", "up"], check=False, capture_output=True, text=True, env={"PATH": str(tools)}
    )
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
