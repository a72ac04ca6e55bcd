"""Made-up facts: product events of a skewed world, as clients send them and as they lie on the log."""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from shared import facts

ACCOUNTS = 10_000
PEOPLE = 20  # per account, the first few far busier than the rest
EVENTS = tuple(f"{thing}_{done}" for thing in ("report", "invoice", "project", "comment", "dashboard", "export")
               for done in ("opened", "created", "edited", "shared", "deleted"))  # fmt: skip
# About 440 bytes with ids of usual length: what a product's own library sends of one click.
_SENT = (
    '{"type":"usage","id":"%s-%012d","at":"%s","person_id":"user-%s-%012d","account_id":"acct-%06d","event":"%s",'
    '"properties":{"path":"/projects/%d/reports","referrer":"https://app.example.com/home","title":"Quarterly report",'
    '"browser":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","plan":"business","screen":"1920x1080",'
    '"session":"9f1c6a%010d"}}'
)
DAY_US = 86_400_000_000


def bodies(seed: int, count: int, *, known: bool = False) -> Iterator[bytes]:
    """Bodies for POST /v1/events: arrays of `count` facts (the fact itself when 1), every id distinct and every person;
    `known`: the few people of each account come again and again, the busy ones more often."""
    dice = random.Random(seed)
    number = 0
    while True:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        items = []
        for _ in range(count):
            number += 1
            account = _skewed(dice, ACCOUNTS)
            who = f"{account:06d}", _skewed(dice, PEOPLE) if known else number
            values = (f"{seed:x}", number, at, *who, account, dice.choice(EVENTS), number, number)
            items.append(_SENT % values)
        yield (items[0] if count == 1 else f"[{','.join(items)}]").encode()


def usage(
    tenant: int, seed: int, count: int, accounts: int = ACCOUNTS, *, days: int = 2, even: bool = False
) -> Iterator[facts.Usage]:
    """Facts as ingest puts them on the log: few busy accounts (`even`: all alike) and people, the last `days` days."""
    dice, now = random.Random(seed), time.time_ns() // 1000
    for number in range(count):
        account = number % accounts if even else _skewed(dice, accounts)
        yield facts.Usage(
            tenant=tenant,
            id=f"{seed:x}-{number:012d}",
            received=now,
            hash=dice.getrandbits(63),
            at=now - int(dice.random() * days * DAY_US),
            person_id=f"user-{account:06d}-{_skewed(dice, PEOPLE):02d}",
            event=dice.choice(EVENTS),
            account_id=account_id(account),
        )


def book(tenant: int, accounts: int, received: int) -> Iterator[facts.AnyFact]:
    """What a CRM says of every account: name, owner, value, seats, a contract, and for most a contact."""
    dice = random.Random(7)
    for number in range(accounts):
        common = {"tenant": tenant, "received": received, "account_id": account_id(number)}
        since = received - int(dice.random() * 900 + 60) * DAY_US
        acv = str(dice.randint(1, 400) * 10_000)
        yield facts.Account(
            id=f"a{number}", at=since, name=f"Customer {number}", status="active", seats=dice.randint(3, 200),
            csm_id=f"csm-{number % 25}", acv=acv, currency="JPY", features=["report", "invoice"], **common,
        )  # fmt: skip
        if dice.random() < 0.8:
            yield facts.Contact(
                id=f"c{number}", at=received - int(dice.random() * 90) * DAY_US - 60_000_000, channel="phone",
                outcome="reached", csm_id=f"csm-{number % 25}", **common,
            )  # fmt: skip
    for number in range(25):
        yield facts.Csm(
            tenant=tenant, id=f"m{number}", received=received, csm_id=f"csm-{number}", at=received - 900 * DAY_US,
            name=f"Manager {number}", team=f"team-{number % 4}",
        )  # fmt: skip


def account_id(number: int) -> str:
    """The id of the n-th account."""
    return f"acct-{number:06d}"


def _skewed(dice: random.Random, size: int) -> int:
    """0 … size-1; the first percent takes a fifth of all draws."""
    return int(size * dice.random() ** 3)
