"""What is JSON that Genki takes, and where one item ends and the next begins."""

import json

import pytest

from services.ingest.domain.split import NOT_JSON, TOO_DEEP, Items, elements, members, split

NOT_JSON_BODIES = [
    b"", b"  ", b"NaN", b"[NaN]", b"[Infinity]", b"[-Infinity]", b"{", b"[1,]", b'{"a":1,}', b"{'a':1}", b'{"a":1} x',
    b"\xff", b'["\xff"]', b'["\xed\xa0\x80"]', b'\xef\xbb\xbf{"a":1}', b'["a\x01"]', b"[01]", b'["\\x"]', b"[nul]",
    '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-16-le"), '{"a":1}'.encode("utf-32"),
]  # fmt: skip


@pytest.mark.parametrize("body", NOT_JSON_BODIES)
def test_what_is_not_json_refuses_the_request(body: bytes) -> None:
    assert split(body) == NOT_JSON


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("levels", [101, 300, 3_000, 200_000])
def test_nesting_above_100_refuses_the_request(levels: int) -> None:
    assert split(nested(levels)) == TOO_DEEP


def test_nesting_of_100_is_taken() -> None:
    assert split(nested(100)) == Items([nested(99)], single=False)
    assert split(b'{"a":' + nested(99) + b"}") == Items([b'{"a":' + nested(99) + b"}"], single=True)
    assert split(b'{"a":' + nested(100) + b"}") == TOO_DEEP


def test_brackets_side_by_side_or_in_text_are_no_depth() -> None:
    wide = json.dumps({"a": [[]] * 500, "b": '[{"\\' * 500}).encode()
    assert split(wide) == Items([wide], single=True)


def test_each_item_is_the_bytes_that_were_received() -> None:
    assert split(b' [ {"a" : 1},3 , "x\\u0000"] ') == Items([b'{"a" : 1}', b"3", b'"x\\u0000"'], single=False)
    assert split(b' {"a" : 1} ') == Items([b'{"a" : 1}'], single=True)
    assert split(b"[]") == Items([], single=False)


def test_a_lone_surrogate_is_the_fault_of_its_item_alone() -> None:
    assert split(b'[{"a":"\\ud800"} , {"b":[1, 2]}]') == Items([b'{"a":"\\ud800"}', b'{"b":[1, 2]}'], single=False)
    assert split(b'{"a":"\\udfff"}') == Items([b'{"a":"\\udfff"}'], single=True)


def test_numbers_out_of_range_are_json() -> None:
    many = b"1" * 5_000
    assert split(b"[1e999," + many + b',"\\ud800"]') == Items([b"1e999", many, b'"\\ud800"'], single=False)


def test_the_slow_splitter_finds_elements_and_members() -> None:
    assert elements(' [ 1 , {"a":[2]} ,"x" ] ') == ["1", '{"a":[2]}', '"x"']
    assert elements("[]") == []
    assert members(' { "a" : [1, 2] , "b":{} , "a":null } ') == {"a": "null", "b": "{}"}
    assert members("{}") == {}
