"""Stands in for the set-up of the demo: says what it was given."""

import argparse
import json
import os
from pathlib import Path

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("--url", "--sandbox-url", "--sandbox-key"):
        parser.add_argument(option, required=True)
    given = parser.parse_args()
    runs = Path(os.environ["REFREF_DATA_DIR"]) / "runs"
    runs.write_text((runs.read_text() if runs.exists() else "") + f"{given.url}\n")
    print(json.dumps({"email": "demo@example.com", "password": "pw", "database": os.environ["DATABASE_URL"]}))
