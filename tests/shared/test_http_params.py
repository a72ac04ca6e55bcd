"""Parameters: what a question may carry, and how what it may not is refused."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from shared.errors import Invalid
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_as_of, parse_limit, parse_sort
from shared.http.answers import instant

TOKYO = ZoneInfo("Asia/Tokyo")
NOW = datetime(2017, 7, 1, 3, 0, tzinfo=UTC)  # noon in Tokyo


def code(caught: pytest.ExceptionInfo[Invalid]) -> tuple[str, str]:
    (error,) = caught.value.errors
    return error.pointer, error.code


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (None, NOW),
        ("", NOW),
        ("2017-07-01", NOW),
        ("2017-06-30", datetime(2017, 6, 30, 14, 59, 59, 999999, tzinfo=UTC)),
        ("1900-01-01", datetime(1900, 1, 1, 14, 59, 59, 999999, tzinfo=UTC)),
        ("2017-07-01T03:00:00Z", NOW),
        ("2017-07-01T12:00:00+09:00", NOW),
        ("2017-07-01T12:00:00 09:00", NOW),
        ("2017-06-30T21:00:00.123456789-06:00", datetime(2017, 7, 1, 3, 0, 0, 123456, tzinfo=UTC)),
        ("2017-07-01t02:59:59.5z", datetime(2017, 7, 1, 2, 59, 59, 500000, tzinfo=UTC)),
    ],
)
def test_as_of_means_an_instant(text: str | None, meant: datetime) -> None:
    now = NOW.replace(microsecond=999999)
    assert parse_as_of(text, now, TOKYO) == (now if meant is NOW and (not text or "T" not in text) else meant)


def test_a_day_ends_in_the_tenants_zone_also_where_clocks_change() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")  # half an hour back on 2017-04-02
    assert parse_as_of("2017-04-02", NOW, lord_howe) == datetime(2017, 4, 2, 13, 29, 59, 999999, tzinfo=UTC)


def test_today_is_the_tenants_today() -> None:
    late = datetime(2017, 6, 30, 20, 0, tzinfo=UTC)  # already 1 July in Tokyo
    assert parse_as_of("2017-07-01", late, TOKYO) == late
    assert parse_as_of("2017-06-30", late, TOKYO) == datetime(2017, 6, 30, 14, 59, 59, 999999, tzinfo=UTC)
    with pytest.raises(Invalid):
        parse_as_of("2017-07-01", late, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2017-07-02", "in_future"),
        ("2017-07-01T03:00:00.000001Z", "in_future"),
        ("9999-12-31", "out_of_range"),
        ("1899-12-31", "out_of_range"),
        ("0001-01-01T00:00:00Z", "out_of_range"),
        ("0001-01-01T00:00:00+09:00", "not_a_time"),
        ("2017-02-29", "not_a_day"),
        ("2017-07-01T03:00:00", "not_a_time"),
        ("2017-07-01T03:00Z", "not_a_time"),
        ("2017-07-01T24:00:00Z", "not_a_time"),
        ("2017-07-01T03:00:60Z", "not_a_time"),
        ("2017-07-01T03:00:00+24:00", "not_a_time"),
        ("20170701", "not_a_time"),
        ("1498878000", "not_a_time"),
        ("now", "not_a_time"),
        ("２０１７-07-01", "not_a_time"),
        ("2017-07-01\n", "not_a_time"),
    ],
)
def test_what_is_no_past_time_is_refused(text: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_as_of(text, NOW, TOKYO)
    assert code(caught) == ("/query/as_of", why)


@pytest.mark.parametrize(("text", "limit"), [(None, 50), ("", 50), ("1", 1), ("500", 500)])
def test_a_page_holds_up_to_500(text: str | None, limit: int) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize("text", ["0", "501", "-1", "1.5", "ten", "9" * 40, "١"])
def test_other_page_sizes_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_limit(text)
    assert code(caught) == ("/query/limit", "out_of_range")


def test_a_minus_sorts_descending() -> None:
    assert parse_sort("acv", {"acv", "name"}, "name") == ("acv", False)
    assert parse_sort("-acv", {"acv", "name"}, "name") == ("acv", True)
    assert parse_sort(None, {"acv", "name"}, "-name") == ("name", True)
    with pytest.raises(Invalid):
        parse_sort("--acv", {"acv"}, "acv")
    with pytest.raises(Invalid):
        parse_sort("password", {"acv"}, "acv")


def test_a_cursor_gives_back_its_values() -> None:
    stamp = fingerprint("-acv", "high", None)
    text = encode_cursor([5_000_000, None, "新星", 0.5], stamp)
    assert decode_cursor(text, stamp, int, int, str, float) == [5_000_000, None, "新星", 0.5]
    assert decode_cursor(None, stamp, int) is None
    assert decode_cursor("", stamp, int) is None


def test_a_cursor_of_another_order_or_filter_is_refused() -> None:
    text = encode_cursor(["a"], fingerprint("name", "high"))
    with pytest.raises(Invalid) as caught:
        decode_cursor(text, fingerprint("name", "low"), str)
    assert code(caught) == ("/query/cursor", "other_cursor")


def test_a_broken_cursor_is_refused_whatever_is_wrong_with_it() -> None:
    stamp = fingerprint("name")
    good = encode_cursor(["a", 1], stamp)
    wrong = ["x", "=", "é", "null", "AAAA", good[:-2], good + "AAAA", "A" * 5000, encode_cursor(["a"], stamp)]
    wrong += [encode_cursor([1, "a"], stamp), encode_cursor(["a", True], stamp), encode_cursor(["a", 2**63], stamp)]
    wrong += [encode_cursor(["a\0", 1], stamp)]
    for text in wrong:
        with pytest.raises(Invalid) as caught:
            decode_cursor(text, stamp, str, int)
        assert code(caught)[0] == "/query/cursor"


def test_a_total_is_exact_up_to_ten_thousand_matches() -> None:
    assert listing([], 10_000, None) == {"items": [], "total": 10_000, "next_cursor": None}
    assert listing([], 10_001, "c") == {"items": [], "total": None, "next_cursor": "c", "total_over": 10_000}
    assert listing([], 10_001, "c", filtered=False)["total"] == 10_001


def test_json_tells_money_as_text_and_no_number_that_json_has_not() -> None:
    assert Json({"acv": Decimal("1.50"), "rate": float("nan")}).body == b'{"acv":"1.50","rate":null}'


def test_instants_are_told_in_utc() -> None:
    assert instant(NOW.astimezone(TOKYO)) == "2017-07-01T03:00:00Z"
