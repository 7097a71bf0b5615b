"""Files of rates as bytes: what a ZIP may hold, and that no bytes whatever do more than be refused."""

from __future__ import annotations

import io
import random
import zipfile

import pytest

from refref.core.refusals import Refused
from refref.ecb_file import MAX_TEXT_BYTES, text_of


def zipped(*names: str, text: bytes = b"Date,USD\n2026-01-02,1.1\n", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in names:
            archive.writestr(name, text)
    return buffer.getvalue()


def test_a_csv_file_stands_alone_or_in_a_zip() -> None:
    assert text_of(b"a,b\n") == "a,b\n"
    assert text_of(zipped("eurofxref-hist.csv", "readme.txt")) == "Date,USD\n2026-01-02,1.1\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "neither CSV in UTF-8 nor a ZIP"),
        (zipped("readme.txt"), "exactly one CSV file"),
        (zipped("a.csv", "b.csv"), "exactly one CSV file"),
        (zipped("a.csv", method=zipfile.ZIP_LZMA), "stored or deflated"),
        (zipped("a.csv", text=b"0" * (MAX_TEXT_BYTES + 1)), "larger than"),
        (zipped("a.csv")[:40], "cannot be read"),
    ],
    ids=["not text", "no csv", "two csv", "lzma", "bomb", "cut off"],
)
def test_what_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        text_of(content)
    assert (refused.value.code, refused.value.field) == ("invalid_rates", "file")


def test_a_damaged_zip_is_refused_and_nothing_else() -> None:
    whole, chance = zipped("a.csv", text=b"Date,USD\n" * 50), random.Random(1)  # noqa: S311 - a seed for damage, not a secret
    for _ in range(1_500):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
        try:
            text_of(bytes(damaged))
        except Refused as refused:
            assert refused.code == "invalid_rates"  # noqa: PT017 - the damage may also do no harm
