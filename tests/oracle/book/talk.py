"""What was said: contacts of every channel and outcome, planned, corrected and shared ones; answers to surveys."""

from datetime import date

from tests.oracle.book.pen import Fact, Pen

_EDGES = [
    (1, 29),
    (1, 30),
    (1, 31),
    (2, 27),
    (2, 28),
    (2, 29),
    (3, 1),
    (3, 29),
    (3, 30),
    (3, 31),
    (4, 9),
    (4, 10),
    (4, 11),
]

CHANNELS = ("phone", "video", "meeting", "chat", "email", "event", "tech_touch")
OUTCOMES = (
    "reached",
    "reached",
    "reached",
    "replied",
    "replied",
    "no_answer",
    "bounced",
    "cancelled",
    "note",
    "planned",
)
SURVEYS = ("spring", "autumn", "after-support")


def contacts(pen: Pen, born: dict[str, int], csms: list[str]) -> None:
    """No contact at all for some accounts, many for others; most of them of the last months."""
    for name, oldest in born.items():
        for _ in range(pen.random.choice([0, 1, 2, 3, 4, 6])):
            back = min(int(pen.random.expovariate(1 / 70)), oldest + 5) if pen.chance(0.8) else pen.back(oldest + 5)
            _contact(pen, name, back, csms)
        if pen.chance(0.2):
            _planned(pen, name, csms)
    for _ in range(3):
        some = pen.random.sample(list(born), min(60, len(born) // 3))
        told = {"channel": "tech_touch", "outcome": "reached", "csm_id": csms[0]}
        pen.write("contact", account_id=some[0], account_ids=some, at=pen.at(pen.back(250)), **told)


def edges(pen: Pen, names: list[str]) -> None:
    """Calls on the days on which windows of months begin and end: the ends of January to April and their neighbours."""
    days = [(pen.today - date(pen.today.year, *day)).days for day in _EDGES]
    for back, name in zip(days, names, strict=False):
        pen.write("contact", account_id=name, at=pen.at(back), channel="video", outcome="replied")


def _contact(pen: Pen, name: str, back: int, csms: list[str]) -> None:
    told: Fact = {"account_id": name, "channel": pen.random.choice(CHANNELS), "outcome": pen.random.choice(OUTCOMES)}
    told |= {"csm_id": pen.random.choice(csms)} if pen.chance(0.8) else {}
    told |= {"direction": "inbound"} if pen.chance(0.1) else {}
    told |= {"recorded_at": pen.at(pen.back(max(back - 1, 0)))} if pen.chance(0.1) else {}
    fact = pen.write("contact", **told, at=pen.at(back))
    if pen.chance(0.06):
        _correct(pen, fact, back)


def _planned(pen: Pen, name: str, csms: list[str]) -> None:
    """Some lie ahead, some are overdue, some took place on another day."""
    back = pen.random.choice([-150, -40, -12, -5, -2, -1, 1, 6, 20])
    told: Fact = {"account_id": name, "channel": "meeting", "csm_id": pen.random.choice(csms)}
    plan = pen.write("contact", **told, outcome="planned", at=pen.at(back))
    if pen.chance(0.4):
        pen.write("contact", **told, outcome="reached", at=pen.at(max(back + 3, 0)), replaces=plan["id"])


def _correct(pen: Pen, fact: Fact, back: int) -> None:
    told = {name: fact[name] for name in ("account_id", "channel")}
    first = pen.write("contact", **told, outcome="reached", at=pen.at(back), replaces=fact["id"])
    if pen.chance(0.5):  # two correct the same one: the one recorded last stands
        late = {"recorded_at": pen.at(pen.back(back))}
        pen.write("contact", **told, outcome="no_answer", at=pen.at(back), replaces=fact["id"], **late)
    if pen.chance(0.5):  # the correction was of the wrong day
        pen.write("contact", **told, outcome="replied", at=pen.at(back + 9), replaces=first["id"])


def move_call(pen: Pen, names: list[str]) -> None:
    """A call filed under one account was with another; a shared call is taken back and made again for one."""
    for wrong, right in zip(names[5:9], names[9:13], strict=True):
        fact = pen.write("contact", account_id=wrong, at=pen.at(6), channel="phone", outcome="reached")
        told = {"channel": "phone", "outcome": "reached", "at": fact["at"]}
        pen.write("contact", account_id=right, **told, replaces=fact["id"])
    shared = {"account_id": names[14], "account_ids": names[15:19], "channel": "event", "outcome": "reached"}
    fact = pen.write("contact", **shared, at=pen.at(11))
    pen.write(
        "contact", account_id=names[14], account_ids=names[16:18], channel="event", outcome="no_answer",
        at=fact["at"], replaces=fact["id"],
    )  # fmt: skip


def answers(pen: Pen, people: dict[str, list[str]], invited: bool) -> None:
    """Every fourth person answered once or more; some changed their answer, some only commented."""
    for name, persons in people.items():
        for person in persons:
            if pen.chance(0.25):
                for survey in pen.random.sample(SURVEYS, pen.random.choice([1, 1, 2])):
                    _answer(pen, name, person, survey, invited)
    for n in range(12):
        account = {"account_id": pen.random.choice(list(people))} if n % 3 else {}
        told = {"survey_id": "spring", "score": pen.random.choice([3, 7, 9, 10]), "response_id": f"open-{n}"}
        pen.write("response", **account, **told, at=pen.at(pen.back(80)))


def _answer(pen: Pen, name: str, person: str, survey: str, invited: bool) -> None:
    back = pen.back(300)
    told: Fact = {"account_id": name, "person_id": person, "survey_id": survey}
    if invited:
        sent = pen.write("invitation_sent", **told, at=pen.at(min(back + pen.random.randint(0, 20), 320)))
        told["invitation_id"] = sent["invitation_id"] = f"i-{sent['id']}"
        if pen.chance(0.3):
            if pen.chance(0.5):
                pen.write("invitation_bounced", **told, at=sent["at"])
            return
    score = pen.random.choices(range(11), [1, 1, 1, 1, 1, 2, 3, 5, 6, 6, 5])[0]
    told["response_id"] = f"r-{person}-{survey}"
    given = {"score": score} if pen.chance(0.93) else {"comment": "いいですね"}
    pen.write("response", **told, **given, at=pen.at(back))
    if invited and pen.chance(0.15) and back:  # changed their mind; the import has no word for it
        pen.write("response", **told, score=pen.random.randint(0, 10), at=pen.at(pen.back(back - 1)))


def ahead(pen: Pen, people: dict[str, list[str]], csms: list[str]) -> None:
    """Facts of every kind that lie minutes ahead: they change nothing until their time has come."""
    for name, persons in list(people.items())[::2]:
        soon, person = pen.soon(), (persons or [f"u-{name}-soon"])[0]
        told: list[Fact] = [
            {"type": "contact", "channel": pen.random.choice(CHANNELS), "outcome": pen.random.choice(OUTCOMES[:6])},
            {"type": "account", "status": pen.random.choice(["churned", "onboarding", "active"])},
            {"type": "account", "csm_id": pen.random.choice([*csms, None]), **pen.price("acv", 80)},
            {"type": "account", "customer_since": pen.day(pen.back(400, -3)), "seats": 2},
            {"type": "person", "person_id": person, pen.random.choice(["uses_product", "deactivated"]): True},
            {"type": "response", "person_id": person, "survey_id": "autumn", "response_id": f"soon-{name}", "score": 1},
        ]
        fact = pen.random.choice(told)
        pen.write(fact.pop("type"), account_id=name, at=soon, **fact)
    pen.write("csm", csm_id=csms[0], at=pen.soon(), team="moved")
