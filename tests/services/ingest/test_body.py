"""Bodies as they come off the wire: plain, packed, bombs, cut short."""

import gzip
import zlib

import pytest

from services.ingest.body import Unpacker
from shared.errors import BadRequest, TooLarge

PLAIN = b'{"type":"usage"}' * 100
PACKED = gzip.compress(PLAIN, mtime=0)  # its bytes name tests


def unpacked(body: bytes, *, limit: int = 10_000, step: int = 7) -> bytes:
    unpacker = Unpacker(limit)
    for start in range(0, len(body), step):
        unpacker.feed(body[start : start + step])
    return unpacker.finish()


@pytest.mark.parametrize("step", [1, 2, 7, 100_000])
def test_plain_and_packed_bodies_give_the_same_bytes(step: int) -> None:
    assert unpacked(PLAIN, step=step) == PLAIN
    assert unpacked(gzip.compress(PLAIN), step=step) == PLAIN
    assert unpacked(gzip.compress(PLAIN[:5]) + gzip.compress(PLAIN[5:]) + b"\0" * 9, step=step) == PLAIN


@pytest.mark.parametrize("body", [b"", b"\x1f", b"{", b"[]"])
def test_a_body_too_short_to_tell_is_plain(body: bytes) -> None:
    assert unpacked(body) == body


def test_the_limit_counts_what_is_unpacked() -> None:
    assert len(unpacked(gzip.compress(b"x" * 10_000))) == 10_000
    for body in (b"x" * 10_001, gzip.compress(b"x" * 10_001), gzip.compress(b"x") * 500 + gzip.compress(b"x" * 9_501)):
        with pytest.raises(TooLarge):
            unpacked(body, step=100_000)


def test_a_bomb_never_unfolds_beyond_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    unpacker = Unpacker(1_000)
    with pytest.raises(TooLarge):
        unpacker.feed(bomb)
    assert len(unpacker._plain) <= 1_001


@pytest.mark.parametrize(
    "body",
    [
        PACKED[:-5],
        PACKED[:12],
        PACKED + PACKED[:-1],
        PACKED + b"rubbish",
        b"\x1f\x8b" + b"\xff" * 50,
        PACKED[:-8] + b"\0" * 8,
        gzip.compress(b"", mtime=0) * 1_001,
    ],
)
def test_a_gzip_that_is_cut_short_or_broken_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        unpacked(body, step=100_000)
    assert refused.value.code == "bad_gzip"


def test_deflate_without_gzip_is_not_guessed_at() -> None:
    assert unpacked(zlib.compress(PLAIN)) == zlib.compress(PLAIN)
