"""Through which server a tenant's mails leave and under which name; passwords come from a file, never from settings."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import time
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import structlog

from services.nps.domain.sending import Hours
from services.nps.people import People
from shared.errors import Conflict
from shared.tenancy import Principal
from shared.tenant_settings import TenantSettings

_log = structlog.get_logger("genki.nps.mail")


class NoMailServer(Conflict):
    """The tenant's settings name no mail server (`smtp`)."""


class NoPassword(Conflict):
    """The mail server asks for a user, and the process that sends was given no password for it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A tenant's mail server, its own address and its name in each language."""

    tenant_id: str
    host: str
    port: int
    tls: str
    user: str | None
    address: str  # as the settings have it, with or without a display name
    brand: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        return {**asdict(self), "brand": dict(self.brand)}


class Secrets:
    """Passwords of mail servers, in a TOML file with one table for each tenant id: `host`, `user`, `password`. One is
    used only for the very host and user it was written for: settings cannot carry it to another server."""

    def __init__(self, path: str | None) -> None:
        """`path`: None when no server asks for any. The file is read anew each time, so passwords can change."""
        self._path = path

    def password(self, sender: Sender) -> str | None:
        """The password of the sender's user, or None."""
        found = self._read().get(sender.tenant_id)
        if not isinstance(found, dict) or (found.get("host"), found.get("user")) != (sender.host, sender.user):
            return None
        password = found.get("password")
        return password if isinstance(password, str) else None

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            return tomllib.loads(Path(self._path).read_text("utf-8"))
        except (OSError, ValueError) as problem:
            _log.error("smtp_secrets_unreadable", problem=type(problem).__name__)
            return {}


class Senders:
    """Asks scoring for a tenant's settings and makes a sender of them."""

    def __init__(self, people: People, secrets: Secrets) -> None:
        self._people, self._secrets = people, secrets

    async def of(self, asker: Principal, authorization: str, *, needed: bool) -> Sender | None:
        """The asker's sender; None where the settings name no server. Raises NoMailServer when one is `needed`,
        NoPassword, Unavailable."""
        made = sender_of(asker.tenant_id, await self._people.settings(authorization))
        if made is None and needed:
            raise NoMailServer
        if made is not None and made.user is not None and self._secrets.password(made) is None:
            raise NoPassword
        return made


def sender_of(tenant_id: str, settings: TenantSettings) -> Sender | None:
    """The sender that settings describe. Without a brand its name is the one beside its address, else the domain."""
    smtp = settings.smtp
    if smtp is None:
        return None
    name, address = parseaddr(smtp.sender)
    plain = name or address.rpartition("@")[2]
    brand = settings.brand.name.model_dump() if settings.brand else {"ja": plain, "en": plain}
    return Sender(tenant_id, smtp.host, smtp.port, smtp.tls, smtp.user, smtp.sender, brand)


def hours_of(survey: Mapping[str, Any]) -> Hours | None:
    """The hours at which a survey's mails may leave; None = any."""
    told = survey["send_hours"]
    if told is None:
        return None
    return Hours(time.fromisoformat(told["from"]), time.fromisoformat(told["to"]), told["weekdays_only"])
