"""Whatever is told, in whatever order, doubled, cut and settled in between as you like: the state is the same.

With `--hypothesis-profile deep` ten thousand examples are tried."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared import facts
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.dump import dump
from tests.services.scoring.harness import House, TestTenant

EXAMPLES: Final = settings.default.max_examples if settings.default and settings.default.max_examples > 100 else 25
SILENT: Final[Any] = list(HealthCheck)  # its members() would hold deprecated ones
PEOPLE, ACCOUNTS, CSMS = ("ada", "bob", "cyd"), ("a", "b", "c"), ("c0", "c1")
_days: Final = st.integers(0, 70)
_hours: Final = st.integers(0, 23)
_account: Final = st.sampled_from(ACCOUNTS)
_person: Final = st.sampled_from(PEOPLE)
# What can be told, as (what, of whom, …, days ago, hour): usage that names its account and usage that does not, moves,
# two names of one person, money and owners, contracts, contacts that replace one another, answers, facts dated ahead.
Told = tuple[Any, ...]
told: Final[st.SearchStrategy[Told]] = st.one_of(
    st.tuples(st.just("usage"), _person, st.none() | _account, _days, _hours),
    st.tuples(st.just("move"), _person, _account, _days, _hours),
    st.tuples(st.just("account"), _account, st.sampled_from(CSMS), st.integers(0, 9), _days, _hours),
    st.tuples(st.just("csm"), st.sampled_from(CSMS), st.sampled_from(("strategic", "low")), _days, _hours),
    st.tuples(st.just("contract"), _account, st.sampled_from(("new", "expansion")), st.integers(0, 9), _days),
    st.tuples(
        st.just("contact"), _account, st.sampled_from(("reached", "no_answer")), st.integers(0, 9), _days, _hours
    ),
    st.tuples(st.just("planned"), _account, st.integers(1, 9)),
    st.tuples(st.just("response"), _account, _person, st.integers(0, 10), _days),
)


def made(tenant: TestTenant, number: int, one: Told) -> facts.AnyFact:
    """The fact that a tenant would be told: its id is its number."""
    what, who, *more = one
    when = at(TODAY - timedelta(days=more[-2]), more[-1]) if len(more) > 1 else at(TODAY)
    match what:
        case "usage":
            fact: facts.AnyFact = tenant.usage(who, when, more[0])
        case "move":
            fact = tenant.person(who, more[0], when)
        case "account":
            fact = tenant.account(who, when, csm_id=more[0], acv=str(more[1] * 1000), seats=more[1])
        case "csm":
            fact = tenant.csm(who, when, team=more[0])
        case "contract":
            fact = tenant.contract(who, TODAY - timedelta(days=more[2]), more[0], str(more[1] * 1000))
        case "contact":
            replaces = str(more[1]) if more[1] < 5 else None
            fact = tenant.contact(who, when, outcome=more[0], replaces=replaces)
        case "planned":
            fact = tenant.contact(who, TODAY + timedelta(days=more[0]), outcome="planned")
        case _:
            fact = tenant.response(more[1], TODAY - timedelta(days=more[2]), who, more[0], response_id=f"r{number}")
    return msgspec.structs.replace(fact, id=str(number))


async def state(house: House, parts: Sequence[Sequence[tuple[int, Told]]], *, settled: bool) -> dict[str, Any]:
    """What a new tenant's state is after these parts, each a batch of its own, or figures made after each."""
    tenant = await house.tenant()
    for part in parts:
        await house.publish([made(tenant, number, one) for number, one in part])
        if settled:
            await house.settle()
        while await house.fold.step(0):
            pass
    await house.settle()
    return await dump(house.owner, tenant.number)


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 25, database=None,
    phases=(Phase.generate, Phase.shrink), suppress_health_check=SILENT,
)  # fmt: skip
@given(
    news=st.lists(told, min_size=4, max_size=24), dice=st.randoms(use_true_random=False), doubled=st.integers(0, 12),
    cuts=st.lists(st.integers(0, 36), max_size=4), settled=st.booleans(),
)  # fmt: skip
async def test_order_doubling_and_cuts_change_nothing(
    house: House, news: list[Told], dice: Any, doubled: int, cuts: list[int], settled: bool
) -> None:
    numbered = list(enumerate(news))
    straight = await state(house, [numbered], settled=False)
    mixed = [*numbered, *(dice.choice(numbered) for _ in range(doubled))]
    dice.shuffle(mixed)
    edges = sorted({0, *(min(cut, len(mixed)) for cut in cuts), len(mixed)})
    parts = [mixed[low:high] for low, high in pairwise(edges)]
    assert await state(house, parts, settled=settled) == straight
    assert straight["seen"] == [(len(numbered),)]
