"""No cell of a sheet is a formula to any spreadsheet, and each can be read back as it was."""

import csv
import io

import pytest
from pydantic import BaseModel

from services.scoring.accounts.sheet import BOM, Sheet


class Item(BaseModel):
    """A row of text, a list of text, a number, an amount."""

    name: str
    features: list[str]
    change: float
    acv: str


def cells(*items: Item) -> list[list[str]]:
    """The rows below the header, read as a spreadsheet reads them."""
    sheet = Sheet(Item)
    text = sheet.header() + sheet.lines(one.model_dump() for one in items)
    assert text.startswith(BOM)
    return list(csv.reader(io.StringIO(text.removeprefix(BOM), newline="")))[1:]


@pytest.mark.parametrize("sign", [*"=+-@\t\r\n\0", *"＝＋－＠"])
@pytest.mark.parametrize("rest", ["1+1", 'cmd|"/c calc"!A1', "HYPERLINK(x;y)\r\nB,C", ""])
def test_a_cell_that_would_be_a_formula_is_text(sign: str, rest: str) -> None:
    [row] = cells(Item(name=sign + rest, features=[sign + rest], change=-1.5, acv="-5"))
    assert row == [f"'{sign}{rest}", f"'{sign}{rest}", "-1.5", "-5"]


@pytest.mark.parametrize(
    "text", ["plain", "a=b", "日本電気 NEC", 'say "hi", twice', "line\r\nline", "\u202eevil", " =1"]
)
def test_any_other_text_is_itself(text: str) -> None:
    [row, second] = cells(*[Item(name=text, features=["x"], change=1, acv="5")] * 2)
    assert row == second == [text, "x", "1.0", "5"]
