"""What is known of accounts at T, and at moments before T, read set by set: one statement a family."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from services.scoring.account import AccountAt, ContractChange, Moment, Override, PersonScore, Planned, Touch, UsageAt
from services.scoring.facts import rows, statements, windows
from services.scoring.facts.rows import reporting
from services.scoring.facts.statements import CONTACT_STANDS, CONTRACT_STANDS
from services.scoring.facts.values import Fold, attributes_of
from services.scoring.facts.versions import at_moments
from services.scoring.joins.sql import joined
from services.scoring.joins.store import account_members
from shared.clock import MICROSECOND
from shared.postgres import Connection

if TYPE_CHECKING:
    from services.scoring.rulebook import Terms

__all__ = ["CONTACT_STANDS", "CONTRACT_STANDS", "Csm", "Reader", "reporting"]
_NO_USAGE: Final = UsageAt()
_UNUSED: Final[frozenset[str]] = frozenset()
Told = tuple[dict[str, Any], datetime | None]  # attributes in force, `at` of the status in force


@dataclass(frozen=True, slots=True)
class Csm:
    """A CSM at T."""

    csm_id: str
    name: str | None
    team: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """The families at one moment, by account."""

    attributes: Mapping[int, Fold]
    usage: Mapping[int, UsageAt]
    touches: Mapping[int, Mapping[Any, Touch]]
    planned: Mapping[int, Planned]
    contracts: Mapping[int, Sequence[ContractChange]]
    scores: Mapping[int, Sequence[PersonScore]]
    overrides: Mapping[int, Override]
    csms: Mapping[str, Csm]

    def accounts(self) -> set[int]:
        """Whoever any family but plans and manual bands names."""
        return set(self.attributes) | set(self.usage) | set(self.touches) | set(self.contracts) | set(self.scores)


class Reader:
    """Reads one tenant's facts at one moment, inside one transaction; with `earlier` (the latest first, at most 28 days
    before it) at these too, by the same statements."""

    def __init__(self, conn: Connection, terms: "Terms", moment: Moment, *earlier: Moment) -> None:
        self._conn, self._tenant, self._moment, self._settings = conn, terms.tenant, moment, terms.settings
        self._joined = terms.joined
        self._moments = (moment, *earlier)
        self._cuts = [one.at + MICROSECOND for one in reversed(earlier)]

    async def accounts(self, accounts: Sequence[int] | None) -> dict[int, AccountAt]:
        """The accounts that exist at T, all of them or those asked for, by their integer key; of joined ones the one
        that stands for all, with the facts of all."""
        return (await self.each(accounts, [accounts]))[0]

    async def each(
        self, accounts: Sequence[int] | None, wanted: Sequence[Collection[int] | None]
    ) -> list[dict[int, AccountAt]]:
        """The same at every moment, of each only the accounts that are `wanted` there (None = all). At earlier moments
        without what stands are not judged by: number of users, plans, name and team of the owner."""
        if accounts is not None and self._joined.accounts:
            accounts = sorted(await self._members(accounts))
        known = await self._known(accounts)
        existing = [
            here | await self._named(accounts, here, moment, some)
            for here, moment, some in zip((one.accounts() for one in known), self._moments, wanted, strict=True)
        ]
        names = await self._names(accounts, set[int]().union(*existing))
        told: dict[int, Told] = {}
        return [
            self._found(one, names, here if some is None else here.intersection(some), told)
            for one, here, some in zip(known, existing, wanted, strict=True)
        ]

    async def _known(self, accounts: Sequence[int] | None) -> list[Known]:
        attributes, usage, touches = (
            await self._attributes(accounts), await self._usage(accounts), await self._touches(accounts)
        )  # fmt: skip
        planned, contracts = await self._planned(accounts), await self._contracts(accounts)
        scores, overrides = await self._scores(accounts), await self._overrides(accounts)
        csms = await self.csms(attributes[0].values())
        return [
            Known(
                attributes[index], usage[index], touches[index], {} if index else planned, contracts[index],
                scores[index], overrides[index], {} if index else csms,
            )
            for index in range(len(self._moments))
        ]  # fmt: skip

    def _found(
        self, known: Known, names: Mapping[int, str], existing: Collection[int], told: dict[int, Told]
    ) -> dict[int, AccountAt]:
        return {
            account: self._account(account, account_id, known, told)
            for account, account_id in names.items()
            if account in existing
        }

    async def for_coverage(self, *, ids: bool) -> dict[int, AccountAt]:
        """All accounts that exist at T with what coverage and its groups need: no usage windows and no scores; `ids`
        whether the rank axis asks for the number of users."""
        attributes, contracts = await self._attributes(None), await self._contracts(None)
        touches, day = await self._touches(None), self._moment.day
        spans = {row["account"]: row for row in await self._family(statements.SPANS, None, day)}
        first = {account: row["first_day"] for account, row in spans.items()}
        counted = await self._ids(None, spans) if ids else {}
        usage = {key: UsageAt(first.get(key), ids=counted.get(key, 0)) for key in first.keys() | counted.keys()}
        known = Known(attributes[0], usage, touches[0], {}, contracts[0], {}, {}, await self.csms())
        existing = known.accounts() | set((await self._scores(None))[0])
        existing |= await self._named(None, existing, self._moment, None)
        return self._found(known, await self._names(None, existing), existing, {})

    async def values(self) -> dict[int, AccountAt]:
        """All accounts with what money and status need, and no more: for the amounts of provisional tiers."""
        attributes, contracts = (await self._attributes(None))[0], (await self._contracts(None))[0]
        return {
            account: AccountAt(
                account, "", *self._told(attributes.get(account), {}), contracts=tuple(contracts.get(account, ()))
            )
            for account in set(attributes) | set(contracts)
        }

    async def csms(self, owned: Iterable[Fold] | None = None) -> dict[str, Csm]:
        """Every CSM that any fact names by T, or those who own these accounts."""
        named = None if owned is None else {fold["csm_id"][2] for fold in owned if "csm_id" in fold}
        owners = None if named is None else sorted(msgspec.json.decode(one, type=str) for one in named if one)
        if owners == []:
            return {}
        told: dict[str, dict[str, Any]] = defaultdict(dict)
        for row in await self._conn.fetch(statements.CSMS, self._tenant, self._moment.at, owners):
            told[row["csm_id"]][row["field"]] = None if row["value"] is None else msgspec.json.decode(row["value"])
        return {csm: Csm(csm, fields.get("name"), fields.get("team")) for csm, fields in told.items()}

    def _account(self, account: int, account_id: str, known: Known, folds: dict[int, Told]) -> AccountAt:
        told, status_at = self._told(known.attributes.get(account), folds)
        csm = known.csms.get(told.get("csm_id", "")) if known.csms else None
        touches = known.touches.get(account)
        return AccountAt(  # in the order of its fields: by name it would cost half as much again
            account,
            account_id,
            told,
            status_at,
            csm.team if csm else None,
            csm.name if csm else None,
            tuple(known.contracts.get(account, ())) if known.contracts else (),
            known.usage.get(account, _NO_USAGE),
            tuple(touches.values()) if touches else (),
            known.planned.get(account) if known.planned else None,
            tuple(known.scores.get(account, ())) if known.scores else (),
            known.overrides.get(account) if known.overrides else None,
        )

    async def _members(self, accounts: Sequence[int]) -> dict[int, int]:
        return await account_members(self._conn, self._tenant, accounts)

    def _told(self, fold: Fold | None, known: dict[int, Told]) -> Told:
        """What stands at several moments is one object, and read once."""
        if fold is None:
            return {}, None
        found = known.get(id(fold))
        if found is None:
            found = known[id(fold)] = attributes_of(fold, self._settings)
        return found

    async def _family(self, sql: str, accounts: Sequence[int] | None, *more: Any) -> list[Any]:
        some = statements.ALL if accounts is None else statements.SOME
        told = joined(sql.replace("{some}", some), accounts=self._joined.accounts, persons=self._joined.persons)
        return await self._conn.fetch(told, self._tenant, accounts, *more)

    async def _names(self, accounts: Sequence[int] | None, existing: Collection[int]) -> dict[int, str]:
        asked = None if accounts is None else sorted(existing)
        found = await self._family(statements.NAMES, asked)
        return {row["account"]: row["account_id"] for row in found if row["account"] in existing}

    async def _named(
        self, accounts: Sequence[int] | None, existing: set[int], moment: Moment, wanted: Collection[int] | None
    ) -> set[int]:
        """Accounts that only a person, or a contact or contract that was replaced, names by then."""
        asked = accounts if wanted is None or self._joined.accounts else wanted
        rest = None if accounts is None or asked is None else sorted(set(asked) - existing)
        if rest == []:
            return set()
        return {row["account"] for row in await self._family(statements.NAMED, rest, moment.at, moment.day)}

    async def _attributes(self, accounts: Sequence[int] | None) -> list[dict[int, Fold]]:
        found = await self._family(statements.ATTRIBUTES, accounts, self._moment.at, self._cuts)
        told = ((account, field, (at, fact_id, value), part) for account, field, at, fact_id, value, part in found)
        return at_moments(told, len(self._moments))

    async def _usage(self, accounts: Sequence[int] | None) -> list[dict[int, UsageAt]]:
        """The last usage day is in the windows, else the last of all, else looked up where later usage is known."""
        latest = self._moment.day
        agos = [(latest - moment.day).days for moment in self._moments]
        names = await self._value_features()
        spans = {row["account"]: row for row in await self._family(statements.SPANS, accounts, latest)}
        counted = await self._family(windows.windows_sql(agos), accounts, latest)
        held = {row[0]: windows.window_of(row) for row in counted}
        used = await self._family(windows.FEATURES_USED, accounts, latest, list(names)) if names else []
        ids = await self._ids(accounts, spans)
        none = windows.Window(0, [0] * len(agos), [0] * len(agos))
        found: list[dict[int, UsageAt]] = []
        for index, ago in enumerate(agos):
            last = await self._last_days(spans, held, ago)
            features = windows.features_at(used, names, ago)
            found.append({
                account: windows.usage_at(
                    held.get(account, none), index, ago, spans[account]["first_day"], day,
                    features.get(account, _UNUSED), ids.get(account, 0),
                )
                for account, day in last.items()
            })  # fmt: skip
        only_told = ids.keys() - spans.keys()
        return [found[0] | {account: UsageAt(ids=ids[account]) for account in only_told}, *found[1:]]

    async def _ids(self, accounts: Sequence[int] | None, spans: Mapping[int, Any]) -> dict[int, int]:
        """IDs by account, of those that have any."""
        ids = {account: row["users"] for account, row in spans.items()}
        told = {row["account"] for row in await self._family(statements.TOLD, accounts)}
        if not told:
            return ids
        asked = (
            None if accounts is None else sorted(await self._members(sorted(told)) if self._joined.accounts else told)
        )
        counted = await self._family(statements.IDS, asked, self._moment.day, self._moment.at)
        return {key: users for key, users in ids.items() if key not in told} | {
            row["account"]: row["ids"] for row in counted
        }

    async def _value_features(self) -> dict[int, str]:
        events = sorted({event for one in self._settings.value_features for event in one.events})
        found = await self._conn.fetch(statements.FEATURES, self._tenant, events) if events else []
        return {row["feature"]: row["event"] for row in found}

    async def _last_days(
        self, spans: Mapping[int, Any], held: Mapping[int, windows.Window], ago: int
    ) -> dict[int, date | None]:
        """The last usage day up to so many days before T's, of the accounts that had any."""
        latest = self._moment.day
        day = latest - timedelta(days=ago)
        last: dict[int, date | None] = {}
        for account, span in spans.items():
            if span["first_day"] <= day:
                window = held.get(account)
                last[account] = (window and windows.last_day(window, latest, ago)) or span["last_day"]
        later = [account for account, found in last.items() if found is None or found > day]
        if later:
            asked = later if not self._joined.accounts else sorted(await self._members(later))
            found = await self._family(statements.LAST_BEFORE, asked, day)
            last.update({row["account"]: row["last_day"] for row in found})
        return last

    async def _touches(self, accounts: Sequence[int] | None) -> list[dict[int, dict[Any, Touch]]]:
        found = await self._family(statements.TOUCHES, accounts, self._moment.at, self._cuts)
        return rows.touches(found, len(self._moments))

    async def _planned(self, accounts: Sequence[int] | None) -> dict[int, Planned]:
        found = await self._family(statements.PLANNED, accounts, self._moment.at)
        return {row["account"]: Planned(row["at"].astimezone(UTC), row["channel"], row["csm_id"]) for row in found}

    async def _contracts(self, accounts: Sequence[int] | None) -> list[dict[int, list[ContractChange]]]:
        found = await self._family(statements.CONTRACTS, accounts, self._moment.day)
        return rows.contracts(found, self._moments, self._settings)

    async def _overrides(self, accounts: Sequence[int] | None) -> list[dict[int, Override]]:
        found = await self._family(statements.OVERRIDES, accounts, self._moment.at, self._moments[-1].at)
        return rows.overrides(found, self._moments)

    async def _scores(self, accounts: Sequence[int] | None) -> list[dict[int, list[PersonScore]]]:
        found = await self._family(statements.RESPONSES, accounts, self._moment.at, self._cuts)
        return rows.scores(found, self._moments)
