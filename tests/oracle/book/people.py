"""Persons, where they belong and what they use: usage without account, late memberships, moves, ids that are one."""

from tests.oracle.book.pen import Pen

EVENTS = ("report_viewed", "report_printed", "shared", "exported", "commented", "login", "search")
SIZES = ([0] * 3) + ([1] * 4) + ([2] * 4) + ([4] * 4) + ([7] * 2) + [12, 14, 24, 26]


def people(pen: Pen, born: dict[str, int], weight: float) -> dict[str, list[str]]:
    """Writes every account's people and their usage. Returns account → persons."""
    found: dict[str, list[str]] = {}
    names = list(born)
    for name, oldest in born.items():
        size = 2 if name.startswith("bare") else pen.random.choice(SIZES)
        found[name] = [f"u-{name}-{n}" for n in range(size)]
        quiet = pen.random.choice([0, 0, 0, 5, 12, 20, 40, 70, 130, 400])  # the account says nothing since
        for person in found[name]:
            _person(pen, person, name, oldest, names)
            _usage(pen, person, name, max(oldest, quiet), quiet, weight)
    return found


def _person(pen: Pen, person: str, account: str, oldest: int, names: list[str]) -> None:
    if account.startswith("bare"):
        return
    told: dict[str, object] = {"person_id": person, "account_id": account}
    kind = pen.random.random()
    if kind < 0.12:
        told["uses_product"] = pen.chance(0.8)
    joined = pen.back(oldest - 1) if kind > 0.6 else max(oldest - 1, 0)  # many are told of after they were seen
    pen.write("person", **told, at=pen.at(joined), email=f"{person}@example.com")
    if pen.chance(0.08) and joined > 2:
        left = pen.back(joined - 1)
        pen.write("person", person_id=person, account_id=account, at=pen.at(left), deactivated=True)
        if pen.chance(0.5):
            elsewhere = pen.random.choice([one for one in names if not one.startswith("bare")])
            pen.write("person", person_id=person, account_id=elsewhere, at=pen.at(left), uses_product=True)
        elif pen.chance(0.4) and left > 0:
            pen.write("person", person_id=person, account_id=account, at=pen.at(left - 1), deactivated=False)
    if pen.chance(0.03):
        pen.write("person", person_id=person, at=pen.at(pen.back(50)), title="Head")  # of the person, in no account


def _usage(pen: Pen, person: str, account: str, oldest: int, quiet: int, weight: float) -> None:
    if pen.chance(0.1):
        return
    alone = not account.startswith("bare") and pen.chance(0.7)
    anonymous = alone and pen.chance(0.06)
    times = max(1, round(pen.random.choice([1, 2, 3, 5, 9]) * weight))
    for _ in range(times):
        back = min(quiet + int(pen.random.expovariate(1 / 45)), oldest) if pen.chance(0.7) else pen.back(oldest, quiet)
        told: dict[str, object] = {"person_id": f"anon-{person}" if anonymous and pen.chance(0.5) else person}
        told |= {} if alone else {"account_id": account}
        if pen.chance(0.3):
            told["count"] = pen.random.randint(1, 9)
        pen.write("usage", **told, at=pen.at(back), event=pen.random.choice(EVENTS))
    if anonymous and pen.chance(0.8):
        pen.write("alias", person_id=person, previous_id=f"anon-{person}", at=pen.at(pen.back(quiet)))


def strays(pen: Pen, names: list[str]) -> None:
    """Usage that belongs nowhere, a person of two accounts, and an alias of an alias."""
    pen.write("usage", person_id="stray", at=pen.at(4), event="login", count=3)
    for person in ("both-1", "both-2"):
        for name in pen.random.sample(names[:40], 2):
            pen.write("usage", person_id=person, account_id=name, at=pen.at(pen.back(40)), event="shared")
    home = names[3]
    pen.write("person", person_id="chain-c", account_id=home, at=pen.at(200))
    for person in ("chain-a", "chain-b", "chain-c"):
        pen.write("usage", person_id=person, at=pen.at(pen.back(60)), event="exported")
    pen.write("alias", person_id="chain-b", previous_id="chain-a", at=pen.at(30))
    pen.write("alias", person_id="chain-c", previous_id="chain-b", at=pen.at(20))


def loved(pen: Pen, names: list[str]) -> None:
    """Accounts that praise the product and have stopped to use it: the one case in which a cap bites."""
    for number, name in enumerate(names):
        told = {"features": [], "seats": None, "renewal_on": pen.day(-200), "csm_id": "csm-1", "acv": "7000"}
        pen.write("account", account_id=name, at=pen.at(300), **told, currency=pen.currency)
        for back in range(58 + number * 2, 100):
            pen.write("usage", person_id=f"u-{name}", account_id=name, at=pen.at(back), event="login")
        pen.write("contact", account_id=name, at=pen.at(1), channel="meeting", outcome="reached")
        told = {"person_id": f"u-{name}", "survey_id": "spring", "response_id": f"r-{name}"}
        pen.write("response", account_id=name, at=pen.at(3), score=10, **told)
