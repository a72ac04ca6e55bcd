"""What a fact says once the person it names is erased. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from shared import facts

PREFIX: Final = "erased:"
NOTHING: Final = b"{}"  # what is left of a line that is no fact: still a line, so that numbers stay
OWN_WORDS: Final = ("name", "email", "title")  # fields of a person that say who it is


def person_hash(tenant: int, person_id: str) -> bytes:
    """What an erased person is known again by: SHA-256 of tenant and id. SQL computes the same where it must."""
    return hashlib.sha256(f"genki erased|{tenant}|{person_id}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Erased:
    """Everybody who was erased: (tenant, hash) → the name that stands for them. `version` grows with each one."""

    version: int = 0
    names: Mapping[tuple[int, bytes], str] = field(default_factory=dict[tuple[int, bytes], str])
    tenants: frozenset[int] = frozenset()

    def alias(self, tenant: int, person_id: str | None) -> str | None:
        """What stands for this person; None for one who was not erased."""
        if person_id is None or tenant not in self.tenants:
            return None
        return self.names.get((tenant, person_hash(tenant, person_id)))

    def fact(self, fact: facts.AnyFact) -> facts.AnyFact:
        """The fact without whom it may not name; the very same object where nobody is concerned."""
        if fact.tenant not in self.tenants:
            return fact
        if isinstance(fact, facts.Contact):
            return self._contact(fact)
        changes = self._persons(fact)
        if "person_id" in changes and isinstance(fact, facts.Person):
            changes |= dict.fromkeys(OWN_WORDS)
        if "person_id" in changes and isinstance(fact, facts.SurveyResponse):
            changes["comment"] = None
        return replace(fact, **changes) if changes else fact

    def _persons(self, fact: facts.AnyFact) -> dict[str, Any]:
        named = {name: getattr(fact, name, None) for name in ("person_id", "previous_id")}
        found = {name: self.alias(fact.tenant, person) for name, person in named.items()}
        return {name: alias for name, alias in found.items() if alias is not None}

    def _contact(self, fact: facts.Contact) -> facts.Contact:
        named = [self.alias(fact.tenant, person) or person for person in fact.person_ids]
        if named == fact.person_ids:
            return fact
        return replace(fact, person_ids=named, note=None, voices=[wordless(voice) for voice in fact.voices])


def wordless(voice: Mapping[str, Any]) -> dict[str, Any]:
    """A voice of a contact that is still counted and says nothing any more."""
    return {name: value for name, value in voice.items() if name == "kind"}


def mentions(body: bytes, ids: list[bytes]) -> bool:
    """Whether NDJSON may name one of these ids, given as UTF-8: escapes may hide any name."""
    return b"\\u" in body or any(one in body for one in ids)


def scrubbed(body: bytes, ids: list[bytes], erased: Erased) -> bytes:
    """NDJSON without whom it may not name; a line that is no fact and names one of these ids says nothing any more."""
    return b"\n".join(_scrubbed(line, ids, erased) for line in body.split(b"\n"))


def _scrubbed(line: bytes, ids: list[bytes], erased: Erased) -> bytes:
    try:
        fact = facts.decode(line)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return NOTHING if any(one in line for one in ids) else line
    told = erased.fact(fact)
    return line if told is fact else facts.encode(told)
