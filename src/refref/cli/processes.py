"""refref up, serve, worker, sandbox, migrate, openapi."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from refref.cli.running import AsJson, fail, show

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("up", context_settings=_PASS_ON)(up)
    app.command("serve")(serve)
    app.command("worker")(worker)
    app.command("sandbox", context_settings=_PASS_ON)(sandbox)
    app.command("migrate")(migrate)
    app.command("openapi")(openapi)


def up(context: typer.Context) -> None:
    """Run everything in the foreground, with a PostgreSQL of RefRef's own unless DATABASE_URL is set."""
    os.execv(sys.executable, [sys.executable, "-m", "refref.up", *context.args])  # noqa: S606 - our own module


def serve(as_json: AsJson = False) -> None:
    """Run the web process; with --json one line tells the address when it is ready."""
    from refref.web.__main__ import main

    raise typer.Exit(main(as_json=as_json))


def worker(as_json: AsJson = False) -> None:
    """Run the worker process; with --json one line tells when it is ready."""
    from refref.worker.__main__ import main

    raise typer.Exit(main(as_json=as_json))


def sandbox(context: typer.Context) -> None:
    """Run a Stripe of its own for rehearsals and tests; takes --port, --data, --live-traffic (see --help)."""
    os.execv(sys.executable, [sys.executable, "-m", "refref.sandbox", *context.args])  # noqa: S606 - our own module


def migrate(as_json: AsJson = False) -> None:
    """Bring the database to the newest schema."""
    from refref.db.migrate import HEAD, upgrade
    from refref.settings import SettingsError, load_settings

    try:
        dsn = load_settings().require_database_url()
    except SettingsError as error:
        fail(str(error), code=2)
    upgrade(dsn)
    show({"version": HEAD}, f"The database is at version {HEAD}.", as_json=as_json)


def openapi(
    output: Annotated[str, typer.Option("--output", "-o", help="File to write; - is standard output.")] = "-",
    as_json: Annotated[bool, typer.Option("--json", help="The document is JSON anyway.")] = True,
) -> None:
    """Print the OpenAPI 3.1 document of the API."""
    import json
    from pathlib import Path

    from refref.web.api import document

    text = json.dumps(document(), indent=2, sort_keys=True) + "\n"
    if output == "-":
        print(text, end="")
    else:
        Path(output).write_text(text)
