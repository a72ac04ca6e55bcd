"""A real SMTP server for tests: it keeps what it takes, and refuses what it is told to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Mailbox:
    """Every mail taken, as bytes and by recipient. `rcpt` and `data` are the answers to what begins with a key."""

    mails: list[tuple[str, bytes]] = field(default_factory=list)
    rcpt: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    sender: str | None = None  # the answer to MAIL FROM, if not yes
    on_mail: Callable[[], None] = lambda: None  # called when a mail is taken, before the server says so
    hangs_up: bool = False  # after it has taken a mail, before it says so
    gate: asyncio.Event | None = None  # the server says nothing to a recipient before it is set
    delay: float = 0.0  # seconds before it does
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    port: int = 0

    def letters(self, to: str | None = None) -> list[EmailMessage]:
        """The mails as they are read, all or those to one address."""
        made = [message_from_bytes(body, policy=default) for rcpt, body in self.mails if to in (None, rcpt)]
        return [one for one in made if isinstance(one, EmailMessage)]

    def smtp(self, **more: Any) -> dict[str, Any]:
        """The settings that lead here."""
        return {"host": "127.0.0.1", "port": self.port, "from": "Genki CS <cs@vendor.example>", **more}

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        """aiosmtpd's hook."""
        if self.sender is not None:
            return self.sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        """aiosmtpd's hook."""
        await asyncio.sleep(self.delay)
        if self.gate is not None:
            await self.gate.wait()
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """aiosmtpd's hook."""
        [to] = envelope.rcpt_tos
        if to in self.data:
            return self.data[to]
        assert isinstance(envelope.content, bytes)
        self.mails.append((to, envelope.content))
        self.on_mail()
        if self.hangs_up:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, auth_data: Any) -> AuthResult:
        """aiosmtpd's hook: `genki` with `s3cret` may come in."""
        assert isinstance(auth_data, LoginPassword)
        self.logins.append((auth_data.login, auth_data.password))
        return AuthResult(success=auth_data == LoginPassword(b"genki", b"s3cret"), handled=False)


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None = None, *, greedy: bool = False) -> AsyncIterator[Mailbox]:
    """A server on a free port of this machine. With `tls` it offers STARTTLS and asks for a user; a `greedy` one
    takes passwords in the clear."""
    box, loop = Mailbox(), asyncio.get_running_loop()
    asked = {"tls_context": tls, "auth_required": True, "authenticator": box.authenticate} if tls else {}
    if greedy:
        asked = {"auth_require_tls": False, "authenticator": box.authenticate}
    server = await loop.create_server(
        lambda: SMTP(box, enable_SMTPUTF8=True, hostname="mail.test", loop=loop, **asked), "127.0.0.1", 0
    )
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
