"""Four moments read at once are what each of them is when read alone; windows out of masks are those of the days."""

import random
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from services.scoring.account import AccountAt
from services.scoring.facts.read import Reader
from services.scoring.facts.versions import at_moments
from services.scoring.facts.windows import Window, last_day, usage_at
from services.scoring.rulebook import AGO, read_terms
from shared import facts
from shared.postgres import tenant_transaction
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

SEED = 11
FEATURES = [{"feature": "report", "events": ["report", "sent"]}]


def day(dice: random.Random, reach: int) -> date:
    return TODAY - timedelta(days=dice.randint(0, reach))


def instant(dice: random.Random, reach: int) -> datetime:
    return at(day(dice, reach), hour=dice.randint(0, 11))


def history(tenant: TestTenant, dice: random.Random, account: str, reach: int) -> Iterable[facts.AnyFact]:
    """Versions before, between and after the moments, of every family, of the last so many days."""
    for _ in range(dice.randint(0, 4)):
        told: dict[str, Any] = {
            "name": f"N{dice.random()}",
            "seats": dice.randint(1, 9),
            "acv": str(dice.randint(0, 9)),
        }
        yield tenant.account(account, instant(dice, reach), **{key: told[key] for key in told if dice.random() < 0.7})
    for number in range(dice.randint(0, 9)):
        person, event = f"{account}-{number % 4}", dice.choice(["report", "sent", "other"])
        yield tenant.usage(person, day(dice, reach), account, event)
    for _ in range(dice.randint(0, 3)):
        yield tenant.contact(
            account, day(dice, reach), dice.choice(["phone", "email"]), dice.choice(["reached", "no_answer"])
        )
    for number in range(dice.randint(0, 3)):
        yield tenant.contract(account, day(dice, reach), dice.choice(["new", "churn", "reactivation"]), str(number))
    for number in range(dice.randint(0, 3)):
        yield tenant.response(dice.randint(0, 10), day(dice, reach), account, f"p{number % 2}")
    yield tenant.person(f"{account}-0", account, instant(dice, reach), uses_product=True)


def sets(one: AccountAt) -> AccountAt:
    """In an order of their own: no rule looks at the order of these."""
    families = {name: tuple(sorted(getattr(one, name), key=repr)) for name in ("touches", "contracts", "scores")}
    return replace(one, **families)


def compared(one: AccountAt) -> AccountAt:
    """Without what only the latest moment is read with."""
    return sets(replace(one, usage=replace(one.usage, ids=0), planned=None, team=None, csm_name=None))


async def test_moments_read_at_once_are_what_each_is_alone(house: House) -> None:
    tenant = await house.tenant()
    await tenant.settings(value_features=FEATURES)
    dice = random.Random(SEED)
    for number in range(40):
        await house.publish(history(tenant, dice, f"a{number}", 130 if number % 4 else 20))
    await house.settle()
    async with tenant_transaction(house.database.worker, tenant.number) as conn:
        terms = await read_terms(conn, tenant.number, house.tenants.terms[tenant.number].base)
        moments = [terms.moments(house.clock.now())[ago] for ago in AGO]
        keys = [
            row[0]
            for row in await conn.fetch("SELECT account FROM scoring.account_key WHERE tenant = $1", tenant.number)
        ]
        together = await Reader(conn, terms, *moments).each(keys, [keys] * len(moments))
        alone = [await Reader(conn, terms, moment).accounts(keys) for moment in moments]
    assert {key: sets(one) for key, one in together[0].items()} == {key: sets(one) for key, one in alone[0].items()}
    assert [len(found) for found in together] == [len(found) for found in alone]
    assert len(together[0]) > len(together[3]) > 0  # some are younger than 28 days
    for found, expected in zip(together[1:], alone[1:], strict=True):
        assert {key: compared(one) for key, one in found.items()} == {
            key: compared(one) for key, one in expected.items()
        }


def test_versions_between_two_moments_hold_from_the_second_on_and_what_stays_is_one_object() -> None:
    rows = [("a", "f", 1, 0), ("a", "f", 2, 2), ("b", "f", 3, 0), ("c", "f", 4, 3)]
    latest, day_ago, week_ago, oldest = at_moments(rows, 4)
    assert (latest, day_ago) == (
        {"a": {"f": 2}, "b": {"f": 3}, "c": {"f": 4}},
        {"a": {"f": 2}, "b": {"f": 3}},
    )
    assert week_ago == oldest == {"a": {"f": 1}, "b": {"f": 3}}
    assert latest["b"] is oldest["b"]


def test_windows_end_with_the_day_and_begin_after_the_one_so_many_days_before() -> None:
    dice = random.Random(SEED)
    for _ in range(300):
        used = {dice.randint(0, 117) for _ in range(dice.randint(0, 30))}  # days back from today
        ago = dice.choice(AGO)
        window = Window(sum(1 << back for back in used), [2], [1])
        found = usage_at(window, 0, ago, None, last_day(window, TODAY, ago), frozenset(), 0)
        here = sorted(back - ago for back in used if back >= ago)
        assert found.active_days_28 == len([back for back in here if back < 28])
        assert found.active_days_90 == len([back for back in here if back < 90])
        assert found.active_days_silent == len([back for back in here if 14 <= back < 42])
        assert found.last_day == (TODAY - timedelta(days=ago + here[0]) if here else None)
