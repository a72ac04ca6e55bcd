"""What a load client says: seeded facts of one tenant, what each must become, and what is wrong on purpose. Pure.

Every fact happened two hours ago or earlier, so that no clock that jumps by an hour puts one into the future.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from services.scoring.ledger.attempts import Meant, digest
from shared import facts

DUPLICATES: Final = 0.05
CONFLICTS: Final = 0.2  # of the duplicates: the same id with another body
HELD_BACK: Final = 0.02
REFUSED: Final = 0.02
TRACKED: Final = 0.2
REMEMBERED: Final = 2_000  # items that a duplicate is taken from
ACCOUNTS: Final = 40
PERSONS: Final = 200
EVENTS: Final = ("open", "search", "export", "share", "report")
_KINDS: Final = (("usage", 84), ("contact", 5), ("person", 4), ("account", 4), ("csm", 1), ("contract", 2))
_CALLS: Final = (("track", 80), ("page", 8), ("identify", 6), ("group", 4), ("alias", 2))


class Item(NamedTuple):
    """One item of a request to `door` ("events" or "batch"): its body, and the facts it is meant to become."""

    door: str
    body: dict[str, Any]
    meant: tuple[Meant, ...]


@dataclass
class Course:
    """An endless run of items: the same for the same name and seed, but for the day it is run on."""

    name: str
    seed: int
    now: datetime
    _number: int = 0
    _said: deque[Item] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _held: list[tuple[int, Item]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(f"{self.name} {self.seed}")
        self._epoch = self.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)

    def next(self) -> Item:
        """The next item that is sent."""
        if self._held and self._held[0][0] <= self._number:
            return self._held.pop(0)[1]
        if self._said and self._dice.random() < DUPLICATES:
            again = self._said[self._dice.randrange(len(self._said))]
            return _altered(again) if self._dice.random() < CONFLICTS else again
        item = self._fresh()
        if self._dice.random() < HELD_BACK:
            self._held.append((self._number + self._dice.randrange(20, 400), item))
            self._held.sort(key=lambda held: held[0])
            return self.next()
        return item

    def _fresh(self) -> Item:
        self._number += 1
        door, makers = ("batch", _CALLS) if self._dice.random() < TRACKED else ("events", _KINDS)
        kind = self._dice.choices([one for one, _ in makers], [weight for _, weight in makers])[0]
        at = self._epoch - timedelta(milliseconds=self._dice.randrange(7_200_000, 60 * 86_400_000))
        says = _Says(f"{self.name}-{kind[0]}{self._number}", at, self._dice)
        body, meant = _MAKERS[kind](says)
        item = Item(door, body, tuple((facts.type_of(one), one.id, digest(one)) for one in meant))
        if self._dice.random() < REFUSED:
            return _spoilt(item, self._dice)
        self._said.append(item)
        return item


class _Says(NamedTuple):
    id: str
    when: datetime
    dice: random.Random

    @property
    def at(self) -> str:
        return self.when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def envelope(self) -> dict[str, Any]:
        micros = (self.when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return {"tenant": 0, "received": 0, "id": self.id, "at": micros}

    def account(self) -> str:
        return f"account-{self.dice.randrange(ACCOUNTS)}"

    def person(self) -> str:
        return f"person-{self.dice.randrange(PERSONS)}"


_Made = tuple[dict[str, Any], Sequence[facts.AnyFact]]


def _usage(says: _Says) -> _Made:
    told: dict[str, Any] = {"person_id": says.person(), "event": says.dice.choice(EVENTS)}
    if says.dice.random() < 0.6:
        told["account_id"] = says.account()
    if says.dice.random() < 0.2:
        told["count"] = says.dice.randrange(2, 9)
    body: dict[str, Any] = {"type": "usage", "id": says.id, "at": says.at, **told, "properties": {"from": "load"}}
    return body, [facts.Usage(**says.envelope, **told)]


def _contact(says: _Says) -> _Made:
    told: dict[str, Any] = {
        "channel": says.dice.choice(["phone", "video", "email"]),
        "outcome": says.dice.choice(["reached", "note"]),
    }
    body: dict[str, Any] = {"type": "contact", "id": says.id, "at": says.at, "account_id": says.account(), **told}
    if says.dice.random() < 0.8:
        return body, [facts.Contact(**says.envelope, account_id=body["account_id"], **told)]
    body["account_ids"] = [says.account() for _ in range(3)]
    each = dict.fromkeys([body["account_id"], *body["account_ids"]])
    envelope = says.envelope
    return body, [
        facts.Contact(**{**envelope, "id": f"{says.id}#{one}"}, sent_id=says.id, account_id=one, **told) for one in each
    ]


def _person(says: _Says) -> _Made:
    told: dict[str, Any] = {"person_id": says.person(), "account_id": says.account(), "title": "engineer"}
    return {"type": "person", "id": says.id, "at": says.at, **told}, [facts.Person(**says.envelope, **told)]


def _account(says: _Says) -> _Made:
    told: dict[str, Any] = {"account_id": says.account(), "acv": str(says.dice.randrange(1, 999) * 1000), "seats": 20}
    body: dict[str, Any] = {"type": "account", "id": says.id, "at": says.at, **told, "currency": "JPY"}
    return body, [facts.Account(**says.envelope, **told, currency="JPY")]


def _csm(says: _Says) -> _Made:
    told: dict[str, Any] = {"csm_id": f"csm-{says.dice.randrange(5)}", "name": "Sato"}
    return {"type": "csm", "id": says.id, "at": says.at, **told}, [facts.Csm(**says.envelope, **told)]


def _contract(says: _Says) -> _Made:
    told: dict[str, Any] = {"effective_on": says.when.date().isoformat(), "change": "renewal", "acv_after": "500000"}
    body: dict[str, Any] = {"type": "contract", "id": says.id, "account_id": says.account(), **told}
    envelope = {name: value for name, value in says.envelope.items() if name != "at"}
    return body, [
        facts.Contract(**envelope, **told, account_id=body["account_id"], contract_id="default", currency="JPY")
    ]


def _tracked(kind: str) -> Callable[[_Says], _Made]:
    def make(says: _Says) -> _Made:
        person, event = says.person(), says.dice.choice(EVENTS)
        body: dict[str, Any] = {"type": kind, "messageId": says.id, "timestamp": says.at, "userId": person}
        body |= {"event": event} if kind == "track" else {"name": event}
        account = says.account() if says.dice.random() < 0.5 else None
        if account:
            body["context"] = {"groupId": account}
        return body, [facts.Usage(**says.envelope, person_id=person, event=event, account_id=account)]

    return make


def _identify(says: _Says) -> _Made:
    person = says.person()
    body: dict[str, Any] = {
        "type": "identify",
        "messageId": says.id,
        "timestamp": says.at,
        "userId": person,
        "traits": {"name": "Aiko"},
    }
    return body, [facts.Person(**says.envelope, person_id=person, name="Aiko")]


def _group(says: _Says) -> _Made:
    person, account = says.person(), says.account()
    body: dict[str, Any] = {
        "type": "group",
        "messageId": says.id,
        "timestamp": says.at,
        "userId": person,
        "groupId": account,
    }
    body["traits"] = {"plan": "gold"}
    return body, [
        facts.Account(**says.envelope, account_id=account, plan="gold"),
        facts.Person(**says.envelope, person_id=person, account_id=account),
    ]


def _alias(says: _Says) -> _Made:
    person, before = f"pair-{says.dice.randrange(50)}", f"anonymous-{says.dice.randrange(10**6)}"
    body: dict[str, Any] = {
        "type": "alias",
        "messageId": says.id,
        "timestamp": says.at,
        "userId": person,
        "previousId": before,
    }
    return body, [facts.Alias(**says.envelope, person_id=person, previous_id=before)]


_MAKERS: Final[dict[str, Callable[[_Says], _Made]]] = {
    "usage": _usage, "contact": _contact, "person": _person, "account": _account, "csm": _csm, "contract": _contract,
    "track": _tracked("track"), "page": _tracked("page"), "identify": _identify, "group": _group, "alias": _alias,
}  # fmt: skip


def _altered(item: Item) -> Item:
    """The same id with another body: whichever is applied first stays."""
    kind = item.body["type"]
    if kind in ("usage", "track"):
        fact_id = item.meant[0][1]
        body: dict[str, Any] = {**item.body, "event": "altered"}
        return Item(item.door, body, ((item.meant[0][0], fact_id, _altered_digest(body)),))
    return item


def _altered_digest(body: dict[str, Any]) -> int:
    at = datetime.fromisoformat(body.get("at") or body["timestamp"])
    micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    account = body.get("account_id") or body.get("context", {}).get("groupId")
    person = body.get("person_id") or body["userId"]
    more = {"count": body["count"]} if "count" in body else {}
    fact_id = body.get("id") or body["messageId"]
    return digest(
        facts.Usage(
            tenant=0, received=0, id=fact_id, at=micros, person_id=person, event="altered", account_id=account, **more
        )
    )


def _spoilt(item: Item, dice: random.Random) -> Item:
    """What must be refused, with ids that could be applied by mistake."""
    events: tuple[dict[str, Any], ...] = (
        {"at": "2199-01-01T00:00:00Z", "effective_on": "never"},
        {"at": "yesterday", "effective_on": "2026-02-30"},
        {"surprise": 1},
    )
    calls: tuple[dict[str, Any], ...] = ({"timestamp": "yesterday"}, {"type": "pirouette"})
    wrong = dice.choice(events if item.door == "events" else calls)
    kept = {name: value for name, value in wrong.items() if name in item.body or name == "surprise"}
    return item._replace(body={**item.body, **kept})
