"""Asks the API and the oracle the same questions. What differs comes back as lines of text; none means equal."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.oracle.differences import EPOCH, STEP, Differences, instant, money, on_edge
from tests.oracle.health import band
from tests.oracle.oracle import Oracle, Row, priority

Ask = Callable[[str], Awaitable[Any]]
BY = {"tenant": "'tenant'", "tier": "tier", "csm": "csm", "team": "team", "rank": "rank"}
_BANDS = ("red", "yellow", "unknown", "green")
_PRIORITIES = ("High", "Middle", "Low", None)


class Comparison:
    """One moment of one tenant. `as_of`: how the API is asked, None for live answers."""

    def __init__(self, ask: Ask, oracle: Oracle, as_of: str | None = None) -> None:
        self._ask_any, self.oracle, self.as_of = ask, oracle, as_of
        self.found = Differences(as_of or "live")
        self._edges: dict[str, str] = {}

    async def ask(self, path: str) -> Any:
        """The API's answer at this moment."""
        if self.as_of is None:
            return await self._ask_any(path)
        return await self._ask_any(f"{path}{'&' if '?' in path else '?'}as_of={self.as_of}")

    async def everything(self, earlier: bool = False) -> list[str]:
        """Every figure. `earlier`: the changes against 1, 7 and 28 days ago too."""
        first = await self.ask("/v1/coverage")
        moment = datetime.fromisoformat(first["as_of"])
        was = {days: self._scores_at(moment, days) for days in (1, 7, 28)} if earlier else {}
        self.oracle.stand_at(moment)
        self.coverage("tenant", first)
        for by in list(BY)[1:]:
            self.coverage(by, await self.ask(f"/v1/coverage?by={by}"))
        await self.worklist()
        await self.usage()
        await self.rates()
        await self.matrix()
        await self.accounts(was)
        return self.found.lines

    def _scores_at(self, moment: datetime, days: int) -> dict[str, float | None]:
        day = moment.astimezone(self.oracle.zone).date() - timedelta(days=days)
        self.oracle.stand_at(self.oracle.end_of(day))
        return {account: health.score for account, health in self.oracle.scores().items()}

    def coverage(self, by: str, told: Row) -> None:
        """All groups with anybody eligible, and that the others say nothing."""
        expected = self.oracle.coverage(BY[by])
        whole = self.oracle.coverage("'tenant'").get("tenant")
        for name, value in told["overall"].items():
            self.found.same(f"coverage overall {name}", value, whole[name] if whole else 0 if name[-1] == "e" else None)
        groups = {group["key"]: group for group in told["groups"]}
        self.found.same(f"coverage by {by} keys", [key for key in expected if key not in groups], [])
        self.found.same(f"coverage by {by}: null is last", None in list(groups)[:-1], False)
        for key, group in groups.items():
            wanted = expected.get(key) or {"eligible": 0, "covered": 0, "rate": None, "shortfall": 0}
            for name, value in wanted.items():
                self.found.same(f"coverage by {by} {key} {name}", group[name], value)

    async def series(self, first: date, last: date, by: str) -> None:
        """Every day's groups, as each day's end has them."""
        told = await self.ask(f"/v1/coverage/series?from={first}&to={last}&by={by}")
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        self.found.same("series days", [item["day"] for item in told["items"]], [day.isoformat() for day in days])
        for day, item in zip(days, told["items"], strict=False):
            self.oracle.stand_at(self.oracle.end_of(day))
            expected = self.oracle.coverage(BY[by])
            said = {group["key"]: group for group in item["groups"]}
            self.found.same(f"series {day} keys", [key for key in expected if key not in said], [])
            for key, group in said.items():
                for name, value in (expected.get(key) or {"eligible": 0, "covered": 0, "rate": None}).items():
                    if name in group:
                        self.found.same(f"series {day} {by} {key} {name}", group[name], value)

    async def worklist(self) -> None:
        """The same accounts in the same order, each with the same words."""
        said = await self._all("/v1/coverage/worklist?within_days=14&limit=500")
        expected = self.oracle.ask("worklist", 14)
        self.found.same("worklist order", [item["account_id"] for item in said], [row["account"] for row in expected])
        rows = {row["account"]: row for row in expected}
        for item in said:
            if row := rows.get(item["account_id"]):
                self._work(item, row)

    def _work(self, item: Row, row: Row) -> None:
        last = item["last_contact"] or {"at": None, "channel": None, "csm_id": None}
        pairs = {
            "tier": (item["tier"], row["tier"]), "csm": (item["csm_id"], row["csm"]),
            "acv": (money(item["acv"]), money(row["acv"])), "state": (item["state"], row["state"]),
            "last": (instant(last["at"]), row["last_at"]), "channel": (last["channel"], row["last_channel"]),
            "by whom": (last["csm_id"], row["last_csm"]), "attempts": (item["attempts"], row["attempts"]),
            "due": (instant(item["due_at"]), self._start(row["due"])),
            "planned": (instant(item["planned_at"]), row["planned_at"]),
        }  # fmt: skip
        for what, (said, expected) in pairs.items():
            self.found.same(f"worklist {row['account']} {what}", said, expected)

    async def usage(self) -> None:
        """Events, persons and accounts of trailing windows."""
        for days in (1, 28, 365):
            told, [row] = await self.ask(f"/v1/usage?days={days}"), self.oracle.ask("usage", days)
            for name, value in row.items():
                self.found.same(f"usage {days} {name}", told[name], value)

    async def rates(self) -> None:
        """Contact rate, and the amounts of the tiers."""
        told, [row] = await self.ask("/v1/contact-rate"), self.oracle.ask("contact_rate")
        self.found.same("contact rate", told["accounts_in_use"], row["in_use"])
        self.found.same("contact rate contacted", told["contacted"], row["contacted"])
        self.found.same("contact rate rate", told["rate"], row["contacted"] / row["in_use"] if row["in_use"] else None)
        told, [row] = await self.ask("/v1/tiers"), self.oracle.ask("amounts")
        self.found.same("high amount", money(told["high_amount"]), money(row["high"]))
        self.found.same("low amount", money(told["low_amount"]), money(row["low"]))

    async def matrix(self) -> None:
        """All sixteen cells and what lies outside them."""
        told, [outside] = await self.ask("/v1/matrix"), self.oracle.ask("outside_cells")
        expected, empty = self.oracle.matrix(), {"accounts": 0, "acv": 0, "mean_health": None, "n_scored": 0}
        names = [rank + tenure for rank in "ABCD" for tenure in "abcd"]
        self.found.same("cells", [cell["rank"] + cell["tenure"] for cell in told["cells"]], names)
        for cell in told["cells"]:
            name = cell["rank"] + cell["tenure"]
            row = expected.get(name, {**empty, "coverage": None, "priority": priority(*name)})
            self.found.same(f"cell {name} acv", money(cell["acv"]), money(row["acv"]))
            for what in ("accounts", "mean_health", "n_scored", "coverage", "priority"):
                self.found.same(f"cell {name} {what}", cell[what], row[what])
        for name, value in outside.items():
            self.found.same(name, told[name], value)

    async def accounts(self, was: dict[int, dict[str, float | None]]) -> None:
        """The list in its own order, each account with its figures; the churned ones by name."""
        said = await self._all("/v1/accounts?limit=500")
        rows = {row["account"]: row for row in self.oracle.ask("accounts")}
        self._edges = {item["account_id"]: item["band"] for item in said if on_edge(item["health"])}
        present = [row for row in rows.values() if not row["churned"]]
        expected = [row["account"] for row in sorted(present, key=self._place)]
        self.found.same("list", sorted(item["account_id"] for item in said), sorted(expected))
        self.found.same("list order", [item["account_id"] for item in said], expected)
        fired = {row["account"]: row["rules"] for row in self.oracle.ask("needs_action")}
        for item in said:
            if row := rows.get(item["account_id"]):
                self._account(item, row, was)
                self._needs_action(item, fired.get(row["account"], []), was.get(28))
        gone = await self._all("/v1/accounts?status=churned&limit=500")
        expected = sorted(row["account"] for row in rows.values() if row["churned"])
        self.found.same("churned", sorted(item["account_id"] for item in gone), expected)
        for item in gone:
            self.found.same(f"churned {item['account_id']}", (item["health"], item["band"]), (None, "unknown"))

    def _place(self, row: Row) -> tuple[Any, ...]:
        """Priority (none last), band, ACV high first (null last), id."""
        shown = self._effective(row["account"])
        rank = _PRIORITIES.index(priority(row["rank"], row["tenure"]))
        return rank, _BANDS.index(shown), row["acv"] is None, -(row["acv"] or 0), row["account"]

    def _effective(self, account: str) -> str:
        """The band that the list uses; where a score lies on an edge but for its last bit, what the API says."""
        return self.oracle.by_hand.get(account) or self._edges.get(account) or self.oracle.effective_band(account)

    def _account(self, item: Row, row: Row, was: dict[int, dict[str, float | None]]) -> None:
        score = self.oracle.scores()[row["account"]].score
        renewal = row["renewal"].isoformat() if row["renewal"] else None
        pairs = {
            "status": (item["status"], row["status"]), "tier": (item["tier"], row["tier"]),
            "rank": (item["rank"], row["rank"]), "tenure": (item["tenure"], row["tenure"]),
            "acv": (money(item["acv"]), money(row["acv"])), "health": (item["health"], score),
            "band": (item["band"], self._edges.get(row["account"]) or band(score)),
            "effective band": (item["effective_band"], self._effective(row["account"])),
            "active users": (item["active_users_28d"], row["active_28"]),
            "last contact": (instant(item["last_contact_at"]), row["last_at"]),
            "covered": (item["covered"], row["covered"] if row["eligible"] else None),
            "priority": (item["priority"], priority(row["rank"], row["tenure"])),
            "owner": (item["csm_id"], row["csm"]), "team": (item["team"], row["team"]),
            "renewal": (item["renewal_on"], renewal),
        }  # fmt: skip
        for days, scores in was.items():
            before = scores.get(row["account"])
            change = None if score is None or before is None else score - before
            pairs[f"change {days}"] = (item[f"change_{days}d"], change)
        for what, (said, expected) in pairs.items():
            self.found.same(f"account {row['account']} {what}", said, expected)

    def _needs_action(self, item: Row, fired: list[str], was: dict[str, float | None] | None) -> None:
        """Which rules fired; `drop` only where the scores of 28 days ago are at hand."""
        score = self.oracle.scores()[item["account_id"]].score
        red = self._edges.get(item["account_id"]) or band(score)
        expected = {*fired} | ({"red"} if red == "red" else set())
        said = {rule["rule"] for rule in item["needs_action"]}
        before = (was or {}).get(item["account_id"])
        if was is None:
            said.discard("drop")
        elif score is not None and before is not None and before - score >= 15:
            expected.add("drop")
        self.found.same(f"account {item['account_id']} needs action", sorted(said), sorted(expected))

    async def filters(self) -> None:
        """The list asked for some of its accounts, and sorted by money: each filter alone, and some together."""
        rows = [row for row in self.oracle.ask("accounts") if not row["churned"]]
        for row in rows:
            row["band"] = self._effective(row["account"])
            row["priority"] = priority(row["rank"], row["tenure"])
        for column in ("tier", "rank", "tenure", "band", "csm", "team", "status", "priority"):
            for value in sorted({row[column] for row in rows if row[column]}):
                expected = [row for row in rows if row[column] == value]
                await self._filtered(f"{column}={value}", expected)
                if column in ("band", "team"):
                    some = [row for row in expected if row["tier"] in ("low", "tech") and row["rank"] in ("C", "D")]
                    await self._filtered(f"{column}={value}&tier=low&tier=tech&rank=D&rank=C", some)

    async def _filtered(self, asked: str, rows: list[Row]) -> None:
        said = await self._all(f"/v1/accounts?{asked}&sort=-acv&limit=50")
        rows = sorted(rows, key=lambda row: (row["acv"] is None, -(row["acv"] or 0), row["account"]))
        self.found.same(f"list {asked}", [item["account_id"] for item in said], [row["account"] for row in rows])

    async def nps(self, first: date, last: date, names: dict[str, str] | None = None) -> None:
        """NPS of a period in all groupings. `names`: how the API's survey keys are called by the facts."""
        for by in ("tenant", "account", "tier", "csm", "survey"):
            told = await self.ask(f"/v1/nps?from={first}&to={last}&by={by}")
            until = datetime.fromisoformat(told["as_of"])
            whole = self.oracle.nps(until, first, last, "tenant").get("tenant")
            expected = self.oracle.nps(until, first, last, by)
            said = {(names or {}).get(group["key"], group["key"]): group for group in told["groups"]}
            self.found.same(f"nps by {by} keys", sorted(map(str, _heard(said))), sorted(map(str, _heard(expected))))
            for key, row in [*expected.items(), ("whole", whole or {"n": 0, "nps": None})]:
                group = told if key == "whole" else said.get(key, {})
                for name in row:
                    if name != "key" and group:
                        self.found.same(f"nps {first} {last} by {by} {key} {name}", group[name], row[name])

    async def healths(self, accounts: Iterable[str]) -> None:
        """Why each score is what it is: values, weights and contributions, which sum to the score."""
        for account in accounts:
            told = await self.ask(f"/v1/accounts/{account}/health")
            health = self.oracle.scores()[account]
            said = {row["name"]: row for row in told["dimensions"]}
            self.found.same(f"health {account} score", told["score"], health.score)
            self.found.same(f"health {account} confidence", told["confidence"], health.confidence)
            parts = {name: row["contribution"] for name, row in said.items() if row["contribution"] is not None}
            self.found.same(f"health {account} rows", sorted(parts), sorted(health.contributions))
            for name, value in health.contributions.items():
                self.found.same(f"health {account} {name} contribution", parts.get(name), value)
            for name, value in health.values.items():
                self.found.same(f"health {account} {name} value", said[name]["value"], value)
            if health.score is not None:
                self.found.same(f"health {account} sum", sum(parts.values()), health.score)

    async def gaps(self, accounts: Iterable[str]) -> None:
        """The consumption gap, and what each entitled feature makes of it."""
        expected = {row["account"]: row["gap"] for row in self.oracle.ask("gaps")}
        for account in accounts:
            told = await self.ask(f"/v1/accounts/{account}/consumption-gap")
            self.found.same(f"gap {account}", told["gap"], expected.get(account))
            missing = [feature["missing"] for feature in told["features"] if told["gap"] is not None]
            self.found.same(f"gap {account} parts", float(sum(missing)), told["gap"] or 0.0)

    async def details(self, accounts: Iterable[str]) -> None:
        """What the account's own page says beyond the list."""
        rows = {row["account"]: row for row in self.oracle.ask("accounts")}
        for account in accounts:
            told, row = await self.ask(f"/v1/accounts/{account}"), rows[account]
            self.found.same(f"{account} ids", told["ids"], row["ids"])
            self.found.same(f"{account} value", money(told["value"]), money(row["value"]))
            for name, key in (("start", "start"), ("first_usage_day", "first_day"), ("last_usage_day", "last_day")):
                self.found.same(f"{account} {name}", told[name], row[key].isoformat() if row[key] else None)
            due = self._start(row["due"]) if row["eligible"] else None
            self.found.same(f"{account} due", instant(told["due_at"]), due)

    async def _all(self, path: str) -> list[Row]:
        """Every item of a list, page by page."""
        found: list[Row] = []
        page = await self.ask(path)
        while True:
            found += page["items"]
            if page["next_cursor"] is None:
                self.found.same(f"{path} total", page["total"], len(found))
                return found
            page = await self.ask(f"{path}&cursor={page['next_cursor']}")

    def _start(self, day: date) -> int:
        local = datetime(day.year, day.month, day.day, tzinfo=self.oracle.zone)
        return (local.astimezone(UTC) - EPOCH) // STEP


def _heard(groups: dict[Any, Row]) -> Sequence[Any]:
    """Keys of groups that hold an answer or an invitation."""
    return [key for key, row in groups.items() if row["n"] or row.get("sent")]
