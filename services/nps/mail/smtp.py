"""The tenant's mail server: a connection, and what it says to each mail as a value."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from email.utils import parseaddr
from typing import Final, Literal, NamedTuple

import aiosmtplib

from services.nps.mail.senders import Sender

TIMEOUT: Final = 20.0  # seconds for a connection and for each answer
DATA_TIMEOUT: Final = 120.0  # seconds for the answer to a mail: servers look at it first
IMPLICIT: Final = 465  # the port of TLS from the start
_GONE: Final = (aiosmtplib.SMTPException, OSError, TimeoutError)


class Fate(NamedTuple):
    """What became of a mail. `left`: the server took it, or nobody can know (`problem`); `bounced`: it will never take
    it; `later`: it did not take it now. `problem` holds the server's code, never its words."""

    kind: Literal["left", "bounced", "later", "not_ours"]
    problem: str | None = None


class NoConnection(Exception):
    """The server could not be reached, or refused to speak with us."""


class Line:
    """An open connection."""

    def __init__(self, client: aiosmtplib.SMTP, sender: Sender) -> None:
        self._client, self._from = client, parseaddr(sender.address)[1]

    async def send(self, email: str, made: bytes, hand: Callable[[], Awaitable[bool]]) -> Fate:
        """Offers a mail; `hand` is called when the server has agreed to its address and just before it leaves: its
        False stops the mail, and after its True whatever happens counts as left, unless the server says no."""
        wide = not (email + self._from).isascii()
        try:
            if wide and not await self._takes_utf8():
                return Fate("bounced", "no_smtputf8")
            await self._client.mail(self._from, options=["SMTPUTF8"] if wide else [], encoding="utf-8")
        except _GONE as problem:
            return await self._reset(Fate("later", f"sender: {_code(problem)}"))  # our fault, not the address's
        try:
            await self._client.rcpt(email, encoding="utf-8")
        except _GONE as problem:
            return await self._reset(_refused(problem))
        if not await hand():
            return await self._reset(Fate("not_ours"))
        return await self._leave(made)

    async def _takes_utf8(self) -> bool:
        if self._client.is_ehlo_or_helo_needed:
            await self._client.ehlo()
        return self._client.supports_extension("smtputf8")

    async def _leave(self, made: bytes) -> Fate:
        try:
            await self._client.data(made, timeout=DATA_TIMEOUT)
        except _GONE as problem:
            if isinstance(problem, aiosmtplib.SMTPResponseException) and 400 <= problem.code < 600:
                return await self._reset(_refused(problem))
            return Fate("left", f"unconfirmed: {_code(problem)}")
        return Fate("left")

    async def _reset(self, fate: Fate) -> Fate:
        try:
            await self._client.rset()
        except _GONE:
            self._client.close()
        return fate

    @property
    def open(self) -> bool:
        """Whether another mail may be offered."""
        return self._client.is_connected


@asynccontextmanager
async def line(sender: Sender, password: str | None) -> AsyncIterator[Line]:
    """A connection to the sender's server, in TLS as the settings say, always in TLS before a password. Raises
    NoConnection."""
    implicit = sender.tls == "tls" or (sender.tls == "auto" and sender.port == IMPLICIT)
    needed = sender.tls == "starttls" or sender.user is not None
    client = aiosmtplib.SMTP(
        hostname=sender.host, port=sender.port, timeout=TIMEOUT, use_tls=implicit,
        start_tls=False if implicit or sender.tls == "none" else True if needed else None,
        username=sender.user, password=password,
    )  # fmt: skip
    try:
        await client.connect()
    except (*_GONE, ValueError) as problem:
        raise NoConnection(_code(problem)) from problem
    try:
        yield Line(client, sender)
        with suppress(*_GONE):
            async with asyncio.timeout(5):
                await client.quit()
    finally:
        client.close()


def _refused(problem: Exception) -> Fate:
    permanent = isinstance(problem, aiosmtplib.SMTPResponseException) and 500 <= problem.code < 600
    return Fate("bounced" if permanent else "later", _code(problem))


def _code(problem: Exception) -> str:
    if isinstance(problem, aiosmtplib.SMTPResponseException):
        return str(problem.code)
    return type(problem).__name__
