"""A file's rows: CSV in the encodings that Excel writes, or the first sheet of an XLSX; under limits, one by one."""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final, NamedTuple, cast

from shared.refusals import BadRequest, TooLarge
from shared.sheets.book import open_book

_BLOCK: Final = 1 << 20
_DELIMITERS: Final = ",;\t"
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"
_ZIP: Final = b"PK\x03\x04"


class NotASheet(BadRequest):
    """The body is neither CSV nor XLSX."""


class Row(NamedTuple):
    """One row that holds anything: the line it begins on (line 1 is the header) and its cells, stripped. `fault`: why
    it could not be read."""

    line: int
    cells: list[str]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may hold: rows, columns, and bytes when unpacked."""

    rows: int = 200_000
    columns: int = 200
    unpacked: int = 200_000_000


@dataclass(slots=True)
class Sheet:
    """The header's names and the rows below. `rows` is read once; it raises TooLarge and NotASheet on its way."""

    header: list[str]
    rows: Iterator[Row]
    warnings: list[str] = field(default_factory=list)


def open_sheet(file: IO[bytes], limits: Limits | None = None) -> Sheet:
    """The sheet in a seekable file, told by its first bytes. Raises NotASheet, TooLarge."""
    bounds = limits or Limits()
    start = file.read(8)
    file.seek(0)
    warnings: list[str] = []
    if start.startswith(_OLD_EXCEL):
        raise NotASheet("An old or locked Excel file; save it as .xlsx without a password, or as CSV.")
    rows = _book_rows(file, bounds, warnings) if start.startswith(_ZIP) else _text_rows(file, warnings)
    header = next(rows, None)
    if header is None or header.fault or not any(header.cells):
        raise NotASheet("The file has no header line.")
    if len(header.cells) > bounds.columns:
        raise TooLarge(f"A sheet may have {bounds.columns} columns.")
    return Sheet(header.cells, _bounded(rows, len(header.cells), bounds.rows), warnings)


def _bounded(rows: Iterator[Row], width: int, most: int) -> Iterator[Row]:
    for count, row in enumerate(rows):
        if count >= most:
            raise TooLarge(f"A sheet may have {most} rows.")
        cells = row.cells
        if row.fault is None and any(cells[width:]):
            yield Row(row.line, cells, "the row has more cells than the header")
        else:
            yield row._replace(cells=(cells + [""] * (width - len(cells)))[:width])


def _book_rows(file: IO[bytes], limits: Limits, warnings: list[str]) -> Iterator[Row]:
    try:
        for line, cells in open_book(file, limits.columns, limits.unpacked, warnings):
            if any(cells):
                yield Row(line, cells)
    except (BadRequest, TooLarge):
        raise
    except Exception as problem:  # openpyxl fails in many ways on what is not quite a workbook
        raise NotASheet("The workbook cannot be read.") from problem


def _text_rows(file: IO[bytes], warnings: list[str]) -> Iterator[Row]:
    encoding = _encoding(file)
    if encoding == "cp932":
        warnings.append("the file is not UTF-8 and was read as Shift_JIS (CP932)")
    text = io.TextIOWrapper(cast("IO[bytes]", _Kept(file)), encoding, newline="")
    first = text.readline(_BLOCK)
    text.seek(0)
    reader = csv.reader(text, delimiter=_delimiter(first))
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as problem:
            yield Row(line, [], f"the row cannot be read: {problem}")
            continue
        if any(cells):
            yield Row(line, cells)


class _Kept(io.BufferedIOBase):
    """Lends a file to a text reader, which would close it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        return self._file.read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._file.read(size)


def _encoding(file: IO[bytes]) -> str:
    """UTF-16 by its mark, else UTF-8 where all of it is that, else what Japanese Excel writes."""
    start = file.read(2)
    file.seek(0)
    marked = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    for candidate in ("utf-16",) if marked else ("utf-8-sig", "cp932"):
        if _decodes(file, candidate):
            return candidate
    raise NotASheet("The text is neither UTF-8 nor Shift_JIS.")


def _decodes(file: IO[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := file.read(_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    finally:
        file.seek(0)
    return True


def _delimiter(header: str) -> str:
    """The sign that parts the header most often outside quotes; a comma where none does."""
    bare = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=lambda sign: (bare.count(sign), sign == ","))
