"""Accounts and what they pay: attributes that change, states, contracts that grow, end, return and are corrected."""

from tests.oracle.book.pen import SPAN, Pen

FEATURES = ("report", "share", "export", "comment")


def accounts(pen: Pen, names: list[str], csms: list[str]) -> dict[str, int]:
    """Writes each account's first fact and its later ones. Returns how many days ago each was born."""
    born: dict[str, int] = {}
    for name in names:
        born[name] = pen.back(SPAN, 20)
        if name.startswith("bare"):  # known by what happens to it alone
            continue
        pen.write("account", account_id=name, at=pen.at(born[name]), **_first(pen, name, csms, born[name]))
        for _ in range(pen.random.choice([0, 0, 1, 1, 2, 3])):
            _later(pen, name, csms, pen.back(born[name] - 1))
    return born


def _first(pen: Pen, name: str, csms: list[str], born: int) -> dict[str, object]:
    told: dict[str, object] = {"name": name.upper(), "csm_id": pen.random.choice([*csms, None])}
    if pen.chance(0.6):
        told |= pen.price("acv", 60)
    elif pen.chance(0.5):
        told |= pen.price("potential_acv", 20)
    if pen.chance(0.4):
        told["customer_since"] = pen.day(born + pen.random.choice([-300, -100, -4, 0, 0, 31, 90, 400]))
    if pen.chance(0.7):
        told["seats"] = pen.random.choice([0, 3, 5, 10, 25])
    if pen.chance(0.3):
        told["renewal_on"] = pen.day(pen.back(200, -250))
    if pen.chance(0.3):
        told["features"] = pen.random.sample([*FEATURES, "billing"], pen.random.randint(0, 4))
    if pen.chance(0.3):
        told["traits"] = {"payment_overdue_days": pen.random.choice([0, 10, 45.5, 80]), "note": "x"}
    if pen.chance(0.25):
        told["status"] = "onboarding"
    return told


def _later(pen: Pen, name: str, csms: list[str], back: int) -> None:
    money = pen.price("acv", 60)
    changes: list[dict[str, object]] = [
        {"csm_id": pen.random.choice(csms)},
        {"csm_id": None, "seats": 8},
        {"status": "active"},
        {"status": "churned"},
        {"status": pen.random.choice(["churned", "active", "onboarding"]), "plan": "team"},
        {"potential_acv": None},
        pen.price("potential_acv", 30),
        {**money, "seats": None},
        {"acv": None},
        {"features": pen.random.choice([[], None, list(FEATURES)])},
        {"customer_since": None},
        {"traits": {"payment_overdue_days": pen.random.choice([None, 5, 31])}},
        {"traits": None},
        {"renewal_on": pen.day(pen.back(10, -200))},
    ]
    at = pen.at(back)
    pen.write("account", account_id=name, at=at, **pen.random.choice(changes))
    if pen.chance(0.15):  # another word at the very same instant: the greater id decides
        pen.write("account", account_id=name, at=at, **pen.random.choice(changes))


def contracts(pen: Pen, born: dict[str, int]) -> None:
    """Two of three accounts have one or two contracts, each with a life of its own."""
    for name, oldest in born.items():
        if pen.chance(0.35):
            continue
        for number in range(2 if pen.chance(0.25) else 1):
            _life(pen, name, f"{name}-c{number}" if number or pen.chance(0.3) else None, oldest)


def _life(pen: Pen, name: str, contract: str | None, oldest: int) -> None:
    fixed = {"account_id": name} | ({"contract_id": contract} if contract else {})
    back, change = pen.back(oldest + 30, -40), "new"
    while back > -220:
        money = {"acv_after": "0", "currency": pen.currency} if change == "churn" else pen.price("acv_after", 60)
        more = {"term_end": pen.day(back - pen.random.choice([30, 90, 180, 365]))} if pen.chance(0.5) else {}
        fact = pen.write("contract", **fixed, effective_on=pen.day(back), change=change, **money, **more)
        if pen.chance(0.08):
            _correct(pen, fact, back)
        if pen.chance(0.35 if change != "churn" else 0.5):
            return
        back -= pen.random.choice([0, 15, 40, 90, 150])
        change = "reactivation" if change == "churn" else _next(pen)


def _next(pen: Pen) -> str:
    return pen.random.choices(["expansion", "contraction", "renewal", "churn"], [3, 2, 2, 3])[0]


def _correct(pen: Pen, fact: dict[str, object], back: int) -> None:
    """What was written was wrong: another fact replaces it, at times two do, at times the replacement is replaced."""
    told = {name: value for name, value in fact.items() if name not in ("id", "type", "recorded_at")}
    moved = {"effective_on": pen.day(back - pen.random.randint(0, 20))}
    first = pen.write("contract", **{**told, **moved, "replaces": fact["id"], "recorded_at": pen.at(pen.back(60))})
    if pen.chance(0.4):
        pen.write("contract", **{**told, "replaces": fact["id"], "recorded_at": pen.at(pen.back(60))})
    if pen.chance(0.4):
        pen.write("contract", **{**told, "replaces": first["id"]})


def merges(pen: Pen, names: list[str]) -> None:
    """Some accounts turn out to be another one; some of these turn out not to be after all."""
    plain = [name for name in names if not name.startswith("bare")]
    taken = pen.random.sample(plain, max(4, len(plain) // 25) * 2)
    for source, target in zip(taken[::2], taken[1::2], strict=True):
        back = pen.back(300, 3)
        pen.write("account", account_id=source, at=pen.at(back), merged_into=target)
        if pen.chance(0.35):
            pen.write("account", account_id=source, at=pen.at(pen.back(back - 1)), merged_into=None)
    pen.write("account", account_id=taken[1], at=pen.at(5), merged_into=taken[3])  # one joins through another


def csms(pen: Pen, names: list[str]) -> None:
    """Everybody has a team, some another one later; the last of the list is known by name only."""
    teams = ["strategic", "onboarding", "adoption", "enablement"]
    for name in names[:-1]:
        pen.write("csm", csm_id=name, at=pen.at(pen.back(SPAN, 400)), name=name.title(), team=pen.random.choice(teams))
        for _ in range(pen.random.choice([0, 0, 1, 2])):
            pen.write("csm", csm_id=name, at=pen.at(pen.back(390)), team=pen.random.choice(teams))
    pen.write("csm", csm_id=names[-1], at=pen.at(500), name="Nobody's Team")


def ties(pen: Pen, names: list[str]) -> None:
    """A word at the very instant at which a contract turns: the contract wins. Two contracts that turn on one day."""
    for number, name in enumerate(names):
        back = pen.back(120)
        turns, word = (("new", "churn"), "active") if number % 2 else (("new",), "churned")
        for change in turns:
            day = pen.day(back + (30 if change != turns[-1] else 0))
            money = {"acv_after": "0" if change == "churn" else "9000", "currency": pen.currency}
            pen.write("contract", account_id=name, contract_id="tie", effective_on=day, change=change, **money)
        pen.write("account", account_id=name, at=pen.midnight(back), status=word)
        if number % 3 == 0:
            told = {"change": "new", "acv_after": "4000", "currency": pen.currency}
            pen.write("contract", account_id=name, contract_id="other", effective_on=pen.day(back), **told)
