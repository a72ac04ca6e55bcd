"""The fold: each fact once, in any order, and every account that a fact concerns is judged again."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.scoring import fold
from services.scoring.batch import Batch, read_record
from services.scoring.consumer import NAME
from services.scoring.gather import Resolved
from shared import facts
from shared.bus import BusBroken, Outgoing
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.dump import dump, recount
from tests.services.scoring.harness import PARTITIONS, House, TestTenant

D = TODAY


def tracking(tenant: TestTenant) -> tuple[Sequence[facts.AnyFact], Sequence[facts.AnyFact]]:
    """(usage of three people that names no account, group calls of two of them: one moves from a to b)."""
    usage = [
        tenant.usage(person, D - timedelta(days=day)) for person in ("ada", "bob", "cyd") for day in range(0, 60, 3)
    ]
    groups = [
        tenant.person("ada", "a", at(D - timedelta(days=40))),
        tenant.person("ada", "b", at(D - timedelta(days=10))),
        tenant.person("bob", "b", at(D - timedelta(days=70))),
        tenant.person("bob", "a", at(D - timedelta(days=5)), deactivated=True),
    ]
    return usage, groups


async def test_usage_finds_its_account_whenever_the_group_call_comes(house: House) -> None:
    """The tracking calls without any group id, with group calls before, between, after, and shuffled 100 times."""
    states: list[Any] = []
    for order in range(103):
        tenant = await house.tenant()
        usage, groups = tracking(tenant)
        if order == 0:
            parts: list[Sequence[facts.AnyFact]] = [groups, usage]
        elif order == 1:
            parts = [usage, groups]
        elif order == 2:
            parts = [usage[:30], groups[:2], usage[30:], groups[2:]]
        else:
            mixed = [*usage, *groups]
            random.Random(order).shuffle(mixed)
            cut = random.Random(-order).randrange(len(mixed))
            parts = [mixed[:cut], mixed[cut:]]
        for part in parts:
            await house.publish(part)
            while await house.fold.step(0):
                pass
        if order < 10:  # figures too, not only facts
            await house.settle()
        state = await dump(house.owner, tenant.number)
        states.append({name: state[name] for name in ("usage", "account_user", "membership")})
        unassigned = sum(row[5] for row in state["usage"] if row[0] is None)
        assert unassigned == 20  # cyd's
    assert all(state == states[0] for state in states)
    homes = {(row[1], row[0]) for row in states[0]["usage"]}
    assert homes == {("ada", "a"), ("ada", "b"), ("bob", "b"), ("cyd", None)}
    await house.settle()


def everything(tenant: TestTenant) -> list[facts.AnyFact]:
    """A little of every fact type, on four accounts."""
    told: list[facts.AnyFact] = [*tracking(tenant)[0], *tracking(tenant)[1]]
    for index, account in enumerate("abcd"):
        told += [
            tenant.account(account, at(D - timedelta(days=90)), name=account.upper(), csm_id=f"c{index % 2}", seats=5),
            tenant.account(account, at(D - timedelta(days=30)), traits={"plan": index, "x": None}),
            tenant.contract(account, D - timedelta(days=80), "new", str(1000 * index)),
            tenant.contract(account, D - timedelta(days=20), "expansion", str(1500 * index)),
            tenant.contact(account, D - timedelta(days=25 + index * 10)),
            tenant.contact(account, D + timedelta(days=3), outcome="planned"),
            tenant.response(9 - index, D - timedelta(days=index), account, f"p{index}"),
            tenant.usage(f"named{index}", D - timedelta(days=index), account),
        ]
    told += [tenant.csm("c0", at(D - timedelta(days=50)), name="Hana", team="strategic"), tenant.csm("c1", name="Ken")]
    return told


async def test_any_order_and_any_doubling_ends_in_the_same_documents(house: House) -> None:
    states = []
    for seed in range(6):
        tenant = await house.tenant()
        told = everything(tenant)
        if seed:
            told += random.Random(seed).sample(told, len(told) // 2)
            random.Random(seed).shuffle(told)
        third = len(told) // 3
        for part in (told[:third], told[third : 2 * third], told[2 * third :]):
            await tenant.tell(*part)
        states.append(await dump(house.owner, tenant.number))
    for state in states[1:]:
        assert state == states[0]
    assert len(states[0]["account_state"]) == 4


async def test_live_totals_equal_a_recount(house: House) -> None:
    tenant = await house.tenant()
    told = everything(tenant)
    for index in range(0, len(told), 9):
        await tenant.tell(*told[index : index + 9])
    house.clock.move(days=20)
    await house.settle()
    rows = await house.owner.fetch(
        "SELECT dim, key, tier, sum(accounts)::int, sum(acv)::bigint, sum(eligible)::int, sum(covered)::int,"
        " sum(in_use)::int, sum(contacted)::int, sum(scored)::int, sum(score)::bigint"
        " FROM scoring_state.counter WHERE tenant = $1 GROUP BY 1, 2, 3",
        tenant.number,
    )
    counted = {tuple(row)[:3]: tuple(row)[3:] for row in rows if any(tuple(row)[3:])}
    assert counted == await recount(house.owner, tenant.number)
    assert counted["tenant", "", "tech"][0] + counted["tenant", "", "high"][0] + counted["tenant", "", "low"][0] == 4
    house.clock.move(days=-20)


async def test_the_same_id_with_another_body_keeps_the_first_and_is_listed(house: House) -> None:
    tenant = await house.tenant()
    first = tenant.usage("ada", D, "a", times=2)
    other = msgspec.structs.replace(first, count=7, hash=1)
    await tenant.tell(first)
    await tenant.tell(other, first)
    rows = (await dump(house.owner, tenant.number))["usage"]
    assert [row[5] for row in rows] == [2]
    listed = await house.owner.fetch("SELECT type, id FROM scoring.conflict WHERE tenant = $1", tenant.number)
    assert [tuple(row) for row in listed] == [("usage", first.id)]


async def test_a_usage_id_counts_again_after_thirty_days_and_any_other_never(house: House) -> None:
    tenant = await house.tenant()
    usage, contact = tenant.usage("ada", D, "a"), tenant.contact("a", D - timedelta(days=1))
    await tenant.tell(usage, contact)
    for days, events in ((30, 1), (31, 2)):
        received = house.clock.micros() + days * 86_400_000_000
        await tenant.tell(*(msgspec.structs.replace(fact, received=received) for fact in (usage, contact)))
        state = await dump(house.owner, tenant.number)
        assert [row[5] for row in state["usage"]] == [events]
        assert len(state["contact"]) == 1


async def test_a_batch_that_begins_elsewhere_than_the_stored_position_is_refused_whole(house: House) -> None:
    tenant = await house.tenant()
    await tenant.tell(tenant.usage("ada", D, "a"))
    place = ("genki.usage.v1", facts.partition(tenant.number, "ada", PARTITIONS))
    records = await house.bus.read({place: 0})
    batch = Batch(records)
    for record in records:
        read_record(batch, record, lambda _: True)
    async with house.database.worker.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        with pytest.raises(fold.Fenced):
            await fold.apply(conn, batch, Resolved({}, {}, {}, {}), house.bus.id, NAME)
        await transaction.rollback()


async def test_a_line_that_no_table_can_hold_goes_to_the_dead_letters_and_the_rest_goes_on(house: House) -> None:
    tenant = await house.tenant()
    good = tenant.usage("ada", D, "a")
    lines = [
        b"not json",
        facts.encode(tenant.usage("a\0b", D, "a")),
        facts.encode(msgspec.structs.replace(good, id="big", count=2**62)),
        facts.encode(msgspec.structs.replace(good, id="far", at=2**62)),
        facts.encode(msgspec.structs.replace(good, id="stranger", tenant=999_999)),
        facts.encode(msgspec.structs.replace(tenant.contract("a", D), effective_on="2026-02-30")),
        facts.encode(good),
    ]
    part = facts.partition(tenant.number, "ada", PARTITIONS)
    await house.bus.publish([Outgoing("genki.usage.v1", part, lines, house.clock.micros())], 5)
    await house.settle()
    assert [row[5] for row in (await dump(house.owner, tenant.number))["usage"]] == [1]
    dead = await house.bus.read({("genki.dead.v1", p): 0 for p in range(PARTITIONS)})
    letters = [msgspec.json.decode(line) for record in dead for line in record.body.split(b"\n")]
    assert [letter["line"] for letter in letters if letter["topic"] == "genki.usage.v1"][-6:] == [0, 1, 2, 3, 4, 5]


async def test_text_about_nul_is_text(house: House) -> None:
    tenant = await house.tenant()
    odd = [tenant.usage("ada", D, "a", event=event) for event in ("see \\u0000", "\\\\u0000", "a\\b")]
    await tenant.tell(*odd)
    assert sum(row[5] for row in (await dump(house.owner, tenant.number))["usage"]) == 3


async def test_positions_that_a_crash_of_the_database_set_back_are_seen_while_nothing_comes(house: House) -> None:
    tenant = await house.tenant()
    await tenant.tell(tenant.usage("ada", D, "a"))
    place = ("genki.usage.v1", facts.partition(tenant.number, "ada", PARTITIONS))
    end = (await house.bus.ends([place[0]]))[place]
    await house.owner.execute("UPDATE bus.position SET next = $1 WHERE topic = $2 AND part = $3", end - 1, *place)
    house.fold._compared_at = float("-inf")
    for _ in range(3):
        await house.fold.step(0)
    stored = await house.owner.fetchval("SELECT next FROM bus.position WHERE topic = $1 AND part = $2", *place)
    assert stored == end
    assert [row[5] for row in (await dump(house.owner, tenant.number))["usage"]] == [1]


async def test_mostly_dead_batches_stop_the_consumer_and_leave_the_dead_letters_alone(house: House) -> None:
    part = facts.partition(0, "x", PARTITIONS)
    before = await house.bus.ends(["genki.dead.v1"])
    await house.bus.publish([Outgoing("genki.facts.v1", part, [b"{}"] * 200, house.clock.micros())], 5)
    with pytest.raises(BusBroken):
        await house.fold.step(0)
    assert await house.bus.ends(["genki.dead.v1"]) == before
    place = ("genki.facts.v1", part)
    end = (await house.bus.ends(["genki.facts.v1"]))[place]
    await house.owner.execute(
        "UPDATE bus.position SET next = $1 WHERE topic = $2 AND part = $3", end, *place
    )  # the log of this module goes on behind the poison
    house.fold._next.clear()
    house.fold._consumer.seek(place, end)


async def test_the_archive_holds_every_applied_fact_once_and_as_it_came(house: House) -> None:
    tenant = await house.tenant()
    told = everything(tenant)
    await tenant.tell(*told, *told)
    import cramjam

    rows = await house.owner.fetch("SELECT body FROM scoring.archive ORDER BY seq")
    lines = [line for row in rows for line in bytes(cramjam.zstd.decompress(row["body"])).split(b"\n")]
    mine = sorted(line for line in lines if facts.decode(line).tenant == tenant.number)
    assert mine == sorted(facts.encode(fact) for fact in told)


async def test_a_late_usage_fact_moves_the_start_and_the_scores_of_past_days(house: House) -> None:
    tenant = await house.tenant()
    await tenant.tell(*(tenant.usage("ada", D - timedelta(days=day), "a") for day in range(3)))
    before = await tenant.get("/v1/accounts/a")
    assert before["start"] == (D - timedelta(days=2)).isoformat()
    assert before["change_7d"] is None
    await tenant.tell(tenant.usage("ada", D - timedelta(days=9), "a"))
    after = await tenant.get("/v1/accounts/a")
    assert after["start"] == (D - timedelta(days=9)).isoformat()
    week_ago = await tenant.get(f"/v1/accounts/a/health?as_of={D - timedelta(days=7)}")
    assert after["change_7d"] == after["health"] - week_ago["score"]
