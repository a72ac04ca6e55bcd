"""What each kind of key and each role may do: the table of the public contract. Pure."""

from enum import StrEnum
from typing import Final

KINDS: Final = ("write", "server", "api")
ROLES: Final = ("admin", "manager", "csm", "viewer")


class Right(StrEnum):
    """What a route asks of a key."""

    TRACK = "track"  # tracking routes
    EVENTS = "events"  # POST /v1/events
    IMPORT = "import"  # POST /v1/imports/…
    READ = "read"  # every question
    WORK = "work"  # a CSM's own work: overrides, follow-ups, notes
    MANAGE = "manage"  # settings, policies, models, surveys
    ADMIN = "admin"  # keys, erasure


_ROLES_OF: Final[dict[Right, frozenset[str]]] = {
    Right.READ: frozenset(ROLES),
    Right.WORK: frozenset(("admin", "manager", "csm")),
    Right.MANAGE: frozenset(("admin", "manager")),
    Right.ADMIN: frozenset(("admin",)),
    Right.IMPORT: frozenset(("admin",)),
}
_KINDS_OF: Final[dict[Right, frozenset[str]]] = {
    Right.TRACK: frozenset(("write", "server")),
    Right.EVENTS: frozenset(("server",)),
    Right.IMPORT: frozenset(("server",)),
}


def may(kind: str, role: str | None, right: Right) -> bool:
    """Whether a key of this kind (and role, for kind api) has a right: the table of API.md."""
    if kind == "api":
        return role in _ROLES_OF.get(right, ())
    return kind in _KINDS_OF.get(right, ())
