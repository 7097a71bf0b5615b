"""Run once after installing: prepares the database template that a first start copies instead of building it.

Owns nothing at run time: without a template everything works, only the first start takes two seconds longer.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from refref.db.embedded import EmbeddedPostgres
from refref.db.embedded_files import keep_as_template, prepare_empty_template, schema_digest
from refref.db.migrate import upgrade


def prepare() -> Path:
    """Make the empty and the migrated template of this installation, unless they are there; return the latter."""
    empty = prepare_empty_template()
    target = empty.parent / schema_digest()
    if (target / "PG_VERSION").exists():
        return target
    for outdated in empty.parent.iterdir():
        if outdated != empty:
            shutil.rmtree(outdated)
    with tempfile.TemporaryDirectory(prefix="refref-template-", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder) / "postgres"
        with EmbeddedPostgres(data_dir, durable=False) as server:
            upgrade(server.dsn)
        keep_as_template(data_dir / "cluster", target)
    return target


if __name__ == "__main__":
    prepare()
    sys.exit(0)
