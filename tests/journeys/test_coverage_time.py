"""Coverage moves with time alone: the share of the month, and the day on which an account falls out."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from tests.journeys.running import Ground, client, fresh, send

pytestmark = pytest.mark.slow
TOKYO = ZoneInfo("Asia/Tokyo")


def book(now: datetime) -> list[dict[str, Any]]:
    """500 accounts, so that 50 are high; 40 of these were called within the month, the first of them on the last day
    that still counts."""
    start = (now - timedelta(days=400)).isoformat()
    told: list[dict[str, Any]] = [
        {
            "type": "account", "id": f"a{n}", "account_id": f"a{n:03}", "at": start, "acv": str(1_000_000 - n),
            "customer_since": "2025-01-01",
        }
        for n in range(500)
    ]  # fmt: skip
    for n in range(40):
        called = now - timedelta(days=1 + n % 20) if n else _a_month_back(now) + timedelta(days=1)
        told.append(
            {
                "type": "contact", "id": f"c{n}", "account_id": f"a{n:03}", "at": called.isoformat(),
                "channel": "phone", "outcome": "reached",
            }
        )  # fmt: skip
    return told


def _a_month_back(now: datetime) -> datetime:
    local = now.astimezone(TOKYO)
    year, month = (local.year, local.month - 1) if local.month > 1 else (local.year - 1, 12)
    return local.replace(year=year, month=month, day=min(local.day, 28), hour=12).astimezone(UTC)


async def high(http: httpx2.AsyncClient) -> dict[str, Any]:
    answer = (await http.get("/v1/coverage", params={"by": "tier"})).json()
    return next(group for group in answer["groups"] if group["key"] == "high")


def end_of_a_20th() -> datetime:
    """The midnight after the 20th of this month or the next, two days away or more: there windows are plain."""
    local = datetime.now(TOKYO)
    end = local.replace(day=21, hour=0, minute=0, second=0, microsecond=0)
    if end - local < timedelta(days=2):
        end = (end + timedelta(days=20)).replace(day=21)
    return end


def started_before_midnight(ground: Ground) -> tuple[str, timedelta]:
    """Genki's URL and its offset: ready with 15 seconds or more left of its day, however long a start takes here."""
    for attempt in range(3):
        midnight = end_of_a_20th() + timedelta(days=attempt)
        offset = midnight - timedelta(seconds=45 * 2**attempt) - datetime.now(TOKYO)
        url = ground.restart("--clock-offset", f"{offset.total_seconds()}s")
        if midnight - (datetime.now(TOKYO) + offset) >= timedelta(seconds=15):
            return url, offset
    raise AssertionError("Genki never started within three minutes")


async def test_forty_of_fifty_are_covered_and_one_falls_out_at_midnight_live_and_across_a_restart(
    ground: Ground,
) -> None:
    made = json.loads(ground.command("tenant", "create", "Time", "--json"))
    url, offset = started_before_midnight(ground)
    async with client(url, made["keys"]["server"]) as door, client(url, made["keys"]["admin"]) as asker:
        now = datetime.now(UTC) + offset
        await send(door, book(now))
        await fresh(asker, datetime.now(UTC) + offset)
        before = await high(asker)
        if datetime.now(TOKYO) + offset < (now.astimezone(TOKYO) + timedelta(days=1)).replace(
            hour=0, minute=0, second=0
        ):
            assert (before["eligible"], before["covered"], before["rate"]) == (50, 40, 0.8)
            assert (before["target"], before["shortfall"], before["window"]) == (0.8, 0, "P1M")
        midnight = (now.astimezone(TOKYO) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        await fresh(asker, midnight + timedelta(seconds=3), seconds=90)
        after = await high(asker)
        assert (after["eligible"], after["covered"], after["rate"], after["shortfall"]) == (50, 39, 0.78, 1)
        account = (await asker.get("/v1/accounts/a000")).json()
        assert (account["covered"], datetime.fromisoformat(account["due_at"])) == (False, midnight)
    url = ground.restart("--clock-offset", f"{(offset + timedelta(days=5)).total_seconds()}s")
    async with client(url, made["keys"]["admin"]) as asker:
        await fresh(asker, datetime.now(UTC) + offset + timedelta(days=5))
        found = await high(asker)
        local = (datetime.now(TOKYO) + offset + timedelta(days=5)).date()
        told = book(now)[500:]
        inside = [
            one for one in told if datetime.fromisoformat(one["at"]).astimezone(TOKYO).date() > _month_before(local)
        ]
        assert (found["eligible"], found["covered"]) == (50, len(inside))
    refused = ground.attempt("--clock-offset", "1d")
    assert refused.handle.wait(60) == 1
    assert "at least as large" in refused.output.read_text()


def _month_before(day: Any) -> Any:
    return day.replace(month=day.month - 1) if day.month > 1 else day.replace(year=day.year - 1, month=12)
