"""Reading a file of terms, and telling each of its faults with file, line and field."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import typer

from refref.cli.running import fail

T = TypeVar("T")


def read_file(path: Path, read: Callable[[str], T]) -> T:
    """What `read` makes of a file's text; ends with 1 and one line for each fault when it is no good."""
    from refref.core.placed_file import DocumentRefused

    try:
        return read(path.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{path}: {error.strerror or error}.")
    except UnicodeDecodeError:
        fail(f"{path}: this is not UTF-8.")
    except DocumentRefused as refused:
        for fault in refused.faults:
            where = f"{fault.field}: " if fault.field else ""
            print(f"{path}:{fault.line}: {where}{fault.sentence}", file=sys.stderr)
        raise typer.Exit(1) from refused
