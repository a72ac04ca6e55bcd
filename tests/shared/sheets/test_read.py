"""Files as rows: what is taken, what is refused, and where each row says it began."""

import io
import zipfile
from typing import Any

import openpyxl
import pytest

from shared.refusals import TooLarge
from shared.sheets import Limits, NotASheet, Sheet, open_sheet


def opened(body: bytes | str, limits: Limits | None = None) -> Sheet:
    return open_sheet(io.BytesIO(body.encode() if isinstance(body, str) else body), limits)


def book(*rows: list[Any]) -> bytes:
    made = openpyxl.Workbook()
    for row in rows:
        made.worksheets[0].append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def swollen(body: bytes, name: str, content: bytes) -> bytes:
    """The workbook with one member more."""
    file = io.BytesIO(body)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("text", "header", "rows"),
    [
        ("a,b\n1,2\n", ["a", "b"], [(2, ["1", "2"])]),
        ("a,b\r\n\r\n1\r\n", ["a", "b"], [(3, ["1", ""])]),
        ('a;b\n"x;y";"two\nlines"\nz;\n', ["a", "b"], [(2, ["x;y", "two\nlines"]), (4, ["z", ""])]),
        ('"a,b"\t c \n 1 \t2\t\n', ["a,b", "c"], [(2, ["1", "2"])]),
        ("only\n1\n", ["only"], [(2, ["1"])]),
        ("\ufeffa\n1", ["a"], [(2, ["1"])]),
        ('a,b\n1,he said ""no""\n', ["a", "b"], [(2, ["1", 'he said ""no""'])]),
    ],
)
def test_rows_say_the_line_they_begin_on(text: str, header: list[str], rows: list[tuple[int, list[str]]]):
    sheet = opened(text)
    assert (sheet.header, [(row.line, row.cells) for row in sheet.rows]) == (header, rows)


def test_a_row_that_cannot_be_read_is_told_and_the_next_one_is_read():
    sheet = opened("a,b\n" + "x" * 200_000 + ",1\n1,2\n1,2,3\n1,2,\n")
    assert [(row.line, row.fault is None) for row in sheet.rows] == [(2, False), (3, True), (4, False), (5, True)]


def test_a_workbook_reads_like_the_same_csv():
    sheet = opened(book(["a", "b"], [], [1, 2.5], [None, None], [True, "x", "too far"]))
    assert sheet.header == ["a", "b"]
    assert [(row.line, row.cells, row.fault is None) for row in sheet.rows] == [
        (3, ["1", "2.5"], True),
        (5, ["true", "x", "too far"], False),
    ]


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        (b"a\n1\n2\n3\n", Limits(rows=2)),
        (b"a,b,c\n", Limits(columns=2)),
        (book(["a"], [1], [2], [3]), Limits(rows=2)),
        (book(["a", "b", "c"]), Limits(columns=2)),
        (swollen(book(["a"]), "xl/bomb.xml", b"\0" * 3_000_000), Limits(unpacked=1_000_000)),
    ],
)
def test_more_than_the_limits_is_refused(body: bytes, limits: Limits):
    with pytest.raises(TooLarge):
        list(opened(body, limits).rows)


def test_a_packed_bomb_is_refused_before_it_is_unpacked():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(300):
            archive.writestr(f"xl/worksheets/sheet{number}.xml", b"0" * 1_000_000)
    assert len(file.getvalue()) < 1_000_000
    with pytest.raises(TooLarge):
        opened(file.getvalue())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"PK\x03\x04rubbish",
        swollen(book(["a"]), "x", b"1")[:-200],
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"\xff\xfea",
        b"at,\x81\n",
    ],
)
def test_what_is_no_sheet_is_refused(body: bytes):
    with pytest.raises(NotASheet):
        opened(body)
