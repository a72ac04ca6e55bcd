"""Cells read as values, as a table."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from shared.clock import to_micros
from shared.sheets import BadCell, amount, day, flag, ident, instant, whole

TOKYO = ZoneInfo("Asia/Tokyo")
LATEST = to_micros(datetime(2026, 7, 1, tzinfo=UTC))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-01", utc(2026, 6, 1, 3)),
        ("2026/6/1", utc(2026, 6, 1, 3)),
        ("２０２６年６月１日", utc(2026, 6, 1, 3)),
        ("2026-06-01 09:30", utc(2026, 6, 1, 0, 30)),
        ("2026-06-01T09:30:15.123456789", utc(2026, 6, 1, 0, 30, 15, 123456)),
        ("2026-06-01T09:30:00Z", utc(2026, 6, 1, 9, 30)),
        ("2026-06-01T09:30:00+0100", utc(2026, 6, 1, 8, 30)),
        ("2026-06-01 09:30 -01:30", utc(2026, 6, 1, 11)),
        ("1900-01-02", utc(1900, 1, 2, 3)),
    ],
)
def test_a_time_is_read_in_the_tenants_zone(text: str, expected: datetime):
    assert instant(text, "at", TOKYO, LATEST) == to_micros(expected)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_at"),
        ("soon", "invalid_at"),
        ("01/06/2026", "invalid_at"),
        ("2026-13-01", "invalid_at"),
        ("2026-06-31", "invalid_at"),
        ("2026-06-01 24:00", "invalid_at"),
        ("2026-06-01Z", "invalid_at"),
        ("2026-06-01T10:00+25:00", "invalid_at"),
        ("1899-12-31", "invalid_at"),
        ("0000-01-01", "invalid_at"),
        ("2026-07-02", "in_future"),
        ("9999-12-31T23:59:59-23:59", "in_future"),
    ],
)
def test_what_is_no_time_is_refused_with_its_code(text: str, code: str):
    with pytest.raises(BadCell) as refused:
        instant(text, "at", TOKYO, LATEST)
    assert refused.value.code == code


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("10", 10), ("9.0", 9), ("９", 9), ("+7", 7), ("7.", 7)])
def test_a_whole_number_is_one_however_it_is_written(text: str, number: int):
    assert whole(text, "score", 0, 10) == number


@pytest.mark.parametrize("text", ["11", "-1", "9.5", "1e1", "ten", "", "九"])
def test_another_is_refused(text: str):
    with pytest.raises(BadCell, match="invalid_score"):
        whole(text, "score", 0, 10)


@pytest.mark.parametrize("text", ["", "NULL", "undefined", "anonymous", "0", "a#b", "x" * 201, "a\0b"])
def test_junk_is_no_id(text: str):
    with pytest.raises(BadCell):
        ident(text, "person_id")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-02-28", "2026-02-28"),
        ("2026/2/8 23:30", "2026-02-08"),
        ("2026-02-28T23:30:00Z", "2026-03-01"),
        ("9999-12-31", "9999-12-31"),
        ("2026-02-30", None),
        ("28.02.2026", None),
        ("", None),
    ],
)
def test_a_day_is_as_written_and_of_an_instant_the_zones(text: str, meant: str | None) -> None:
    if meant is not None:
        assert day(text, "term_end", ZoneInfo("Asia/Tokyo")) == meant
        return
    with pytest.raises(BadCell) as refused:
        day(text, "term_end", ZoneInfo("Asia/Tokyo"))
    assert refused.value.code == "invalid_term_end"


def test_yes_and_no_have_several_words() -> None:
    assert all(flag(text, "active") for text in ("TRUE", "yes", "１", "はい"))
    assert not any(flag(text, "active") for text in ("No", "0", "false", "いいえ"))
    with pytest.raises(BadCell, match="neither true nor false"):
        flag("maybe", "active")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1,234,567.50", "1234567.50"),
        ("１，２００", "1200"),
        ("12", "12"),
        ("1,2", "1,2"),
        ("12,34", "12,34"),
        ("¥5", "¥5"),
    ],
)
def test_commas_that_part_thousands_are_no_digits(text: str, meant: str) -> None:
    assert amount(text) == meant
