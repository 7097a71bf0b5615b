"""Rules of the source code that a reader relies on. A rule that is not here is a wish."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "refref"

FILE_LINES_MAX = 450  # aim: 400
FUNCTION_LINES_MAX = 60  # aim: 50
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "manager", "managers", "base", "common", "misc"}
NAMES_WITH_A_MEANING = {"core/base.py"}  # the base of a reward: a word of the glossary

# Whatever goes wrong there must not end the process: the request or the job fails, is logged, and the next one runs.
CATCHES_EVERYTHING = {
    "web/group_commit.py",
    "worker/fetcher.py",
    "worker/history.py",
    "worker/loop.py",
    "worker/pump.py",
}

# Who may import what, besides core (see below). The reason to keep it so: one place to look for each outside system.
ONLY_IN = {
    "stripe": {"stripe"},
    "sqlalchemy": {"db"},
    "alembic": {"db"},
    "asyncpg": {"db"},
    "psycopg": {"db"},
    "procrastinate": {"db", "worker"},
    "fastapi": {"web"},
    "jinja2": {"sandbox", "web"},
}
NOT_IN_CORE = {
    *("asyncio", "ctypes", "fcntl", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"),
    *(
        "select",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "urllib",
    ),
    *("alembic", "asyncpg", "fastapi", "httpx", "jinja2", "psycopg", "sqlalchemy", "starlette", "stripe", "structlog"),
    *("typer", "uvicorn", "zstandard"),
}
CLOCKS = {"now", "utcnow", "today"}


@dataclass(frozen=True)
class Source:
    """One file of ours."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def in_package(self) -> str:
        return self.path.relative_to(PACKAGE).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def at(self, node: ast.AST) -> str:
        return f"{self.where}:{getattr(node, 'lineno', 0)}"


def sources(*folders: str) -> list[Source]:
    return [Source(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


PRODUCT = sources("src/refref")
CORE = sources("src/refref/core")
EVERYTHING = sources("src", "tests", "bench", "tools")


def none_of(violations: Iterator[str]) -> None:
    found = list(violations)
    assert not found, "\n" + "\n".join(found)


def imported(source: Source) -> Iterator[tuple[str, ast.AST]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node


def test_files_are_short() -> None:
    none_of(
        f"{source.where}: {lines} lines; split it by what the parts own (aim: 400)"
        for source in EVERYTHING
        if (lines := len(source.text.splitlines())) > FILE_LINES_MAX
    )


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without the long literals in it: an object written out field by field reads like a table."""
    literals = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(function)
        if isinstance(node, ast.Dict | ast.List | ast.Tuple) and (node.end_lineno or 0) - node.lineno >= 10
    ]
    written_out = {line for first, last in literals for line in range(first + 1, last)}
    return (function.end_lineno or function.lineno) - function.lineno + 1 - len(written_out)


def test_functions_are_short() -> None:
    none_of(
        f"{source.at(node)}: {node.name} has {lines} lines (aim: 50)"
        for source in PRODUCT
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := length(node)) > FUNCTION_LINES_MAX
    )


def test_modules_are_named_for_what_they_own() -> None:
    none_of(
        f"{source.where}: the name says nothing about what is inside"
        for source in PRODUCT
        if FORBIDDEN_NAMES & {part.removesuffix(".py") for part in source.path.relative_to(PACKAGE).parts}
        and source.in_package not in NAMES_WITH_A_MEANING
    )


def test_modules_say_what_they_own() -> None:
    none_of(
        f"{source.where}: no docstring" for source in EVERYTHING if source.text and not ast.get_docstring(source.tree)
    )


def test_errors_are_not_swallowed() -> None:
    """Catching everything is for the worker's loop and the web's edge; elsewhere only to clean up and raise on."""

    def catches_everything(node: ast.ExceptHandler) -> bool:
        names = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else {"Exception"}
        raises_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        return bool(names & {"Exception", "BaseException"}) and not raises_on

    none_of(
        f"{source.at(node)}: name the errors that are expected here; anything else is a bug and must be seen"
        for source in PRODUCT
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
        if source.in_package not in CATCHES_EVERYTHING
    )


def test_core_never_divides_and_has_no_fractions() -> None:
    """Money is integers; a division says how it rounds (`core.money`)."""
    none_of(
        f"{source.at(node)}: a float or a bare /"
        for source in CORE
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float | complex))
        or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
        or (isinstance(node, ast.Name) and node.id == "float")
    )


def test_core_touches_nothing_outside() -> None:
    none_of(
        f"{source.at(node)}: imports {name}; core gets what it needs as arguments"
        for source in CORE
        for name, node in imported(source)
        if name.partition(".")[0] in NOT_IN_CORE
    )


def test_core_is_told_the_time() -> None:
    none_of(
        f"{source.at(node)}: reads the clock; take `now` as an argument"
        for source in CORE
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    )


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_each_outside_system_has_one_door(library: str) -> None:
    none_of(
        f"{source.at(node)}: {library} is imported only in {', '.join(sorted(ONLY_IN[library]))}/"
        for source in PRODUCT
        for name, node in imported(source)
        if name.partition(".")[0] == library and source.in_package.partition("/")[0] not in ONLY_IN[library]
    )


EXCEPTION_COMMENT = re.compile(r"#\s*(?P<code>type:\s*ignore\S*|noqa(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?)(?P<rest>.*)")


def without_reason(lines: list[str]) -> Iterator[int]:
    """Give the numbers of the lines whose exception has no reason; a run of the same exception needs only one."""
    explained = ""
    for number, line in enumerate(lines, 1):
        found = EXCEPTION_COMMENT.search(line)
        code = found["code"] if found else ""
        if found and len(found["rest"].lstrip(" -#").split()) >= 2:
            explained = code
        elif code != explained or not code:
            explained = ""
            if found:
                yield number


def test_exceptions_from_the_checks_carry_their_reason() -> None:
    """`# noqa: S608 - the names are our own`: a code, then why."""
    none_of(
        f"{source.where}:{number}: say why after the code: `# noqa: CODE - reason`"
        for source in EVERYTHING
        if source.path != Path(__file__)
        for number in without_reason(source.text.splitlines())
    )


def test_work_left_names_an_issue() -> None:
    words = re.compile(r"\b(" + "TO" + "DO|FIX" + "ME|X" + r"XX)\b(?!\(#\d+\))")
    none_of(
        f"{source.where}:{number}: open an issue and name it, or do it now"
        for source in EVERYTHING
        for number, line in enumerate(source.text.splitlines(), 1)
        if words.search(line)
    )
