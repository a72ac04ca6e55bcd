"""A request's body as bytes: counted while it streams, unpacked under a cap, sniffed for gzip."""

import zlib
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from shared.errors import BadRequest, TooLarge

MAX_BODY: Final = 4 * 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_GZIP_WBITS: Final = 31
_MEMBERS: Final = 1_000  # a body of empty members would cost time and no bytes


class Unpacker:
    """Takes chunks, gives plain bytes: gzip (of several members too) when the first bytes say so, else as they are."""

    def __init__(self, limit: int = MAX_BODY) -> None:
        """`limit`: the most bytes after unpacking."""
        self._limit = limit
        self._head = b""
        self._plain = bytearray()
        self._member: zlib._Decompress | None = None
        self._members = 0
        self._packed: bool | None = None

    def feed(self, chunk: bytes) -> None:
        """Raises TooLarge beyond the limit and BadRequest for what is no gzip after all."""
        if self._packed is None:
            self._head += chunk
            if len(self._head) < len(_GZIP):
                return
            chunk, self._head = self._head, b""
            self._packed = chunk.startswith(_GZIP)
        if self._packed:
            self._unpack(chunk)
        else:
            self._take(chunk)

    def finish(self) -> bytes:
        """The whole body. Raises BadRequest when the last gzip member is cut short."""
        if self._packed is None:
            self._take(self._head)
        if self._member is not None and not self._member.eof:
            raise BadRequest("The gzip body is cut short.", code="bad_gzip")
        return bytes(self._plain)

    def _take(self, piece: bytes) -> None:
        self._plain += piece
        if len(self._plain) > self._limit:
            raise TooLarge(f"A body may have {self._limit} bytes after unpacking.")

    def _unpack(self, chunk: bytes) -> None:
        while chunk:
            if self._member is None or self._member.eof:
                chunk = chunk if self._member is None else chunk.lstrip(b"\0")  # padding between members
                if not chunk:
                    return
                self._next_member()
            chunk = self._decompress(chunk)

    def _next_member(self) -> None:
        self._members += 1
        if self._members > _MEMBERS:
            raise BadRequest("The gzip body has too many members.", code="bad_gzip")
        self._member = zlib.decompressobj(_GZIP_WBITS)

    def _decompress(self, chunk: bytes) -> bytes:
        """Unpacks into the open member and gives back what it left."""
        member = self._member
        assert member is not None
        try:
            self._take(member.decompress(chunk, self._limit + 1 - len(self._plain)))
        except zlib.error:
            raise BadRequest("The body is no gzip.", code="bad_gzip") from None
        return member.unused_data if member.eof else member.unconsumed_tail


async def read_body(scope: Scope, receive: Receive, limit: int = MAX_BODY) -> bytes:
    """The body, unpacked. Raises TooLarge, BadRequest, ClientDisconnect."""
    if _declared(scope) > limit:  # packed bytes do not grow when unpacked into fewer
        raise TooLarge(f"A body may have {limit} bytes.")
    chunk, more = await _part(receive)
    if not more and len(chunk) <= limit and not chunk.startswith(_GZIP):
        return chunk
    unpacker = Unpacker(limit)
    received = 0
    while True:
        received += len(chunk)
        if received > limit:
            raise TooLarge(f"A body may have {limit} bytes.")
        unpacker.feed(chunk)
        if not more:
            return unpacker.finish()
        chunk, more = await _part(receive)


async def _part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 19 else 0
    return 0
