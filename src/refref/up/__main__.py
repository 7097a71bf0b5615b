"""`python -m refref.up`: reads the options of `./run up` and `./run demo` and hands over to the supervisor."""

import argparse
import os
import sys
from pathlib import Path

from refref.settings import SettingsError, default_data_root, parse_base_url, parse_database_url, parse_port
from refref.up.supervisor import Plan, Supervisor, say


def plan_from(arguments: list[str]) -> Plan:
    """Combine options and environment; an option wins. Raises SettingsError for a value that cannot be used."""
    parser = argparse.ArgumentParser(prog="./run up", description="Run RefRef with everything it needs.")
    parser.add_argument("--demo", action="store_true", help="a shop with a Stripe of its own, in a folder of its own")
    parser.add_argument("--port", help="port to listen on (8787)")
    parser.add_argument("--data", type=Path, help="folder for database, keys and logs")
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.add_argument("--log", choices=("files", "stderr"), default="files", help="where the processes log (files)")
    given = parser.parse_args(arguments)
    host = os.environ.get("REFREF_HOST") or "127.0.0.1"
    port = parse_port(given.port or os.environ.get("REFREF_PORT") or "8787", "--port" if given.port else "REFREF_PORT")
    kept = os.environ.get("REFREF_DATA_DIR")
    folder = default_data_root() / "demo" if given.demo else Path(kept) if kept else default_data_root() / "refref"
    return Plan(
        data_dir=(given.data or folder).absolute(),
        host=host,
        port=port,
        base_url=parse_base_url(os.environ.get("REFREF_BASE_URL"), host, port),
        demo=given.demo,
        as_json=given.json,
        logs_to_stderr=given.log == "stderr",
        # A demo never touches a real database.
        database_url=None if given.demo else parse_database_url(os.environ.get("DATABASE_URL")),
    )


def main() -> int:
    """Run until asked to stop; returns the exit code."""
    try:
        plan = plan_from(sys.argv[1:])
    except SettingsError as refusal:
        say(str(refusal))
        return 2
    return Supervisor(plan).run()


if __name__ == "__main__":
    sys.exit(main())
