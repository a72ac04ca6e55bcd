"""Sheets at the door: CSV and XLSX files as rows of text, columns mapped to fields, cells read as values."""

from shared.sheets.cells import BadCell, amount, day, flag, ident, instant, text_cell, whole
from shared.sheets.plan import Plan, Seat, parse_plan
from shared.sheets.read import Limits, NotASheet, Row, Sheet, open_sheet
from shared.sheets.report import Report, told_by

__all__ = [
    "BadCell",
    "Limits",
    "NotASheet",
    "Plan",
    "Report",
    "Row",
    "Seat",
    "Sheet",
    "amount",
    "day",
    "flag",
    "ident",
    "instant",
    "open_sheet",
    "parse_plan",
    "text_cell",
    "told_by",
    "whole",
]
