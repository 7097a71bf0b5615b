"""Rules of the pages and of the repository as a whole: what is documented is true, and nothing private slips in."""

import re
import subprocess
from pathlib import Path

import pytest

from refref.settings import SETTINGS, settings_page

ROOT = Path(__file__).parents[2]
TEXT_FILES = {".py", ".md", ".toml", ".lock", ".in", ".txt", ".sh", ".yml", ".yaml", ".json", ".cfg", ".ini", ""}

# Put together here so that this file does not hold the words itself.
PACKAGE_REGISTRIES = [
    *(
        "pypi" + ".org",
        "python" + "hosted.org",
        "registry.npm" + "js.org",
        "npm" + "js.com",
        "registry.yarn" + "pkg.com",
    ),
    *("crates" + ".io", "proxy.golang" + ".org", "deb.debian" + ".org"),
]
PLACES_OUTSIDE = [".." + "/shared", "/work" + "/main", "/work" + "/shared"]


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: git ls-files does not work here")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_the_page_of_settings_is_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings_page(), (
        "run: .venv/bin/python -m refref.settings > docs/settings.md"
    )


def test_every_variable_that_the_code_reads_is_documented() -> None:
    documented = {row.name for row in SETTINGS}
    read = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"""["'](REFREF_[A-Z_]+|DATABASE_URL)["']""", path.read_text())
    }
    assert read <= documented, read - documented


@pytest.mark.parametrize("words", [PACKAGE_REGISTRIES, PLACES_OUTSIDE], ids=["registries", "places"])
def test_no_file_depends_on_a_place_outside(tracked: list[Path], words: list[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in tracked
        if path.suffix in TEXT_FILES
        for text in [path.read_bytes()]
        for word in words
        if word.encode() in text
    ]
    assert not found, found


def test_links_between_pages_lead_somewhere(tracked: list[Path]) -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in tracked
        if page.suffix == ".md"
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in link and not link.startswith(("mailto:", "#")) and not (page.parent / link).exists()
    ]
    assert not broken, broken


def test_every_lock_pins_with_hashes() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        requirements = [block for block in re.split(r"\n(?=[A-Za-z])", lock.read_text()) if "==" in block]
        assert requirements
        assert [block.splitlines()[0] for block in requirements if "--hash=sha256:" not in block] == []


def test_every_command_of_run_is_in_its_help() -> None:
    script = (ROOT / "run").read_text()
    branches = re.findall(r"^  ([a-z]+)\)", script, re.MULTILINE)
    shown = subprocess.run([ROOT / "run", "help"], check=True, capture_output=True, text=True).stdout
    assert [name for name in branches if f"./run {name}" not in shown and name not in {"setup", "help"}] == []
