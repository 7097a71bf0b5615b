"""A file of bonds: what it may say, and every fault with its line and column."""

import pytest

from refref.core.bonds_file import Bond, read_bonds
from refref.core.refusals import Refused

GOOD = [
    ("customer,code\ncus_1,ana\n", [Bond("cus_1", "ana", None, 2)]),
    ("\ufeffCustomer, Code ,clicked_at\r\ncus_1,ana,\r\n", [Bond("cus_1", "ana", None, 2)]),
    (
        'customer,code,clicked_at\n"a@example.com",ana,2026-01-31\n\ncus_2,bea,2026-01-31T01:00:00+01:00\n',
        [Bond("a@example.com", "ana", 1_769_817_600, 2), Bond("cus_2", "bea", 1_769_817_600, 4)],
    ),
    ("customer;code;clicked_at\r\ncus_1;ana;2026-01-31\r\n", [Bond("cus_1", "ana", 1_769_817_600, 2)]),
    ("customer\tcode\rcus_1\tana\r\r", [Bond("cus_1", "ana", None, 2)]),
    ("customer,code\n,\n cus_1 , ana \n", [Bond("cus_1", "ana", None, 3)]),
]
BAD = [
    (b"", "names no customer"),
    (b"customer,code\n", "names no customer"),
    (b"\xff\xfe", "not in UTF-8"),
    (b"email,code\na@example.com,ana\n", "Line 1, customer: the first line must be the heading"),
    (b"customer,code\nsample,ana\n", "Line 2, customer: “sample” is neither"),
    (b"customer,code\ncus_1,\n", "Line 2, code: give a refcode"),
    (b"customer,code\ncus_1,ana\ncus_1,bea\n", "Line 3, customer: line 2 names the same customer"),
    (b"customer,code,clicked_at\ncus_1,ana,soon\n", "Line 2, clicked_at: “soon” is no instant"),
    (b"customer,code\ncus_1,ana,2026-01-31\n", "Line 2, code: there are 3 cells"),
    (b"customer,code\na\x00@example.com,ana\n", "Line 2, customer:"),
    (b"customer,code\ncus_1,an\x00a\n", "Line 2, code: give a refcode"),
    (b"customer,code\nA@example.com,ana\na@EXAMPLE.com,bea\n", "Line 3, customer: line 2 names the same customer"),
    (b'customer,code\ncus_1,"' + b"a" * 200_000, "a cell is far too long"),
    (b'customer,code\n"cus_1,ana\ncus_2,bea\n', "Line 3, code: there are 1 cells"),
    (b"customer,code\n" + b"x,\n" * 4, "There are 3 more faults."),
    (b"customer,code\n" + b"cus_1,ana\n" * 5_000, "a file has at most 5000 lines"),
]


@pytest.mark.parametrize(("text", "bonds"), GOOD)
def test_a_file_is_read(text: str, bonds: list[Bond]) -> None:
    assert list(read_bonds(text.encode())) == bonds


@pytest.mark.parametrize(("content", "sentence"), BAD)
def test_a_file_is_refused_naming_line_and_column(content: bytes, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        read_bonds(content)
    assert refused.value.code == "invalid_bonds"
    assert sentence in refused.value.sentence
