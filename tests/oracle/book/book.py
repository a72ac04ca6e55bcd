"""The chapters together."""

from dataclasses import dataclass
from datetime import datetime

from tests.oracle.book import money, people, talk
from tests.oracle.book.pen import Fact, Pen


@dataclass(frozen=True)
class Book:
    """One tenant's facts, each once, and the instant they end at."""

    facts: tuple[Fact, ...]
    zone: str
    currency: str
    base: datetime

    def arrival(self, seed: int) -> list[Fact]:
        """Every fact, every seventh twice, in an order that has nothing to do with time."""
        from random import Random

        random = Random(seed)
        told = [*self.facts, *(fact for fact in self.facts if random.random() < 0.15)]
        random.shuffle(told)
        return told


def write_book(
    base: datetime,
    zone: str,
    currency: str,
    accounts: int = 396,
    seed: int = 1,
    weight: float = 1,
    invited: bool = False,
) -> Book:
    """Four more accounts are written beside so many. `weight` scales the usage; `invited`: with invitations and changed
    answers, which have no public door of their own for days gone by, and with facts that lie minutes ahead."""
    pen = Pen(seed, zone, currency, base)
    names = [f"a{n:03}" if n % 40 else f"bare{n:03}" for n in range(1, accounts + 1)]
    csms = [f"csm-{n}" for n in range(12)]
    money.csms(pen, csms)
    born = money.accounts(pen, names, csms)
    money.contracts(pen, born)
    persons = people.people(pen, born, weight)
    people.strays(pen, names)
    people.loved(pen, [f"loved-{n}" for n in range(4)])
    talk.contacts(pen, born, csms)
    talk.edges(pen, names[20:60])
    talk.move_call(pen, names)
    talk.answers(pen, persons, invited)
    money.merges(pen, names)
    money.ties(pen, [name for name in names[60:90] if not name.startswith("bare")])
    if invited:
        talk.ahead(pen, persons, csms)
    return Book(tuple(pen.facts), zone, currency, base)
