"""The first sheet of an XLSX workbook as rows of text: its size checked before anything is unpacked."""

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import IO, Any, Final

from openpyxl import load_workbook
from openpyxl.styles.numbers import is_datetime

from shared.refusals import TooLarge

_MEMBERS: Final = 2_000
_LAST_ROW: Final = 1_048_576
_PLAIN: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_book(file: IO[bytes], columns: int, unpacked: int, warnings: list[str]) -> Iterator[tuple[int, list[str]]]:
    """(row number, cells as text) of every row, empty ones too. Days stay days: a cell shown without a time of day is
    `YYYY-MM-DD`. Raises TooLarge; ValueError and others for what is no workbook."""
    _check_size(file, unpacked)
    book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    try:
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
        if len(sheets) > 1:
            warnings.append(f"the workbook has {len(sheets)} sheets; only the first was read: {sheets[0].title}")
        sheet = sheets[0]
        sheet.reset_dimensions()
        # One column more than the header has, so that a row that is too long is told and not cut.
        width = _header_width(sheet, columns + 1) + 1
        for number, row in enumerate(sheet.iter_rows(max_row=_LAST_ROW, max_col=width), start=1):
            yield number, _trimmed([_text(cell) for cell in row])
    finally:
        book.close()


def _check_size(file: IO[bytes], unpacked: int) -> None:
    """What the archive says of itself is what can come out: zipfile gives no member more bytes than it declares."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    if len(members) > _MEMBERS or sum(member.file_size for member in members) > unpacked:
        raise TooLarge(f"The workbook is larger than {unpacked} bytes when unpacked.")
    if any(member.compress_type not in _PLAIN or member.flag_bits & 1 for member in members):
        raise ValueError("packed or locked in a way that no workbook is")
    file.seek(0)


def _header_width(sheet: Any, most: int) -> int:
    """Cells of the first row that holds any, among the first hundred rows; at most `most`."""
    rows = (_trimmed([_text(cell) for cell in row]) for row in sheet.iter_rows(max_row=100, max_col=most))
    return next((len(cells) for cells in rows if cells), 0)


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        alone = value.time() == time(0) and is_datetime(cell.number_format) == "date"
        return value.date().isoformat() if alone else value.isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)
