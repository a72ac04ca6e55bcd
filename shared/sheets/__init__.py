"""Sheets at the door: CSV and XLSX files as rows of text, columns mapped to fields, cells read as values."""

from shared.sheets.cells import BadCell, ident, instant, text_cell, whole
from shared.sheets.plan import Plan, Seat, parse_plan
from shared.sheets.read import Limits, NotASheet, Row, Sheet, open_sheet

__all__ = [
    "BadCell",
    "Limits",
    "NotASheet",
    "Plan",
    "Row",
    "Seat",
    "Sheet",
    "ident",
    "instant",
    "open_sheet",
    "parse_plan",
    "text_cell",
    "whole",
]
