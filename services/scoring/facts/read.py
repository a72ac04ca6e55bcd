"""What is known of accounts at T, read set by set: one statement a family, whether for one account or for all."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from services.scoring.account import (
    AccountAt,
    ContractChange,
    Moment,
    Override,
    PersonScore,
    Planned,
    Touch,
    UsageAt,
)
from services.scoring.facts.values import Fold, attributes_of
from services.scoring.joins.sql import joined
from services.scoring.joins.store import account_members
from shared.clock import day_of
from shared.money import convert
from shared.postgres import Connection
from shared.tenant_settings import TenantSettings

if TYPE_CHECKING:
    from services.scoring.rulebook import Terms

# {some}: "AND x.account = ANY($2)" for a few accounts, "AND $2::int[] IS NULL" for all of the tenant.
# {account}, {person} and {joins}: see joins/sql.py.
# The value in force of every field: the greatest (at, id) up to T.
_ATTRIBUTES: Final = """
SELECT DISTINCT ON ({account}, field) {account} AS account, field, at, id, value FROM account_attribute x {joins}
WHERE x.tenant = $1 {some} AND at <= $3 ORDER BY {account}, field, at DESC, id DESC
"""
# Usage of the 90 days that end with D, in the windows the rules ask for.
_WINDOWS: Final = """
SELECT {account} AS account, count(DISTINCT day) AS days_90, max(day) AS last_day,
  count(DISTINCT day) FILTER (WHERE day > $3::date - 28) AS days_28,
  count(DISTINCT day) FILTER (WHERE day > $3::date - 42 AND day <= $3::date - 14) AS days_silent,
  count(DISTINCT {person}) FILTER (WHERE day > $3::date - 28) AS users_28,
  count(DISTINCT {person}) FILTER (WHERE day > $3::date - 56 AND day <= $3::date - 28) AS users_before,
  array_agg(DISTINCT feature) FILTER (WHERE day > $3::date - 28 AND feature = ANY($4)) AS features
FROM usage x {joins} WHERE x.tenant = $1 {some} AND day > $3::date - 90 AND day <= $3 AND x.account <> 0 GROUP BY 1
"""
# First usage day by D, the last one known at all, and how many persons.
_SPANS: Final = """
SELECT {account} AS account, min(first_day) AS first_day, max(last_day) AS last_day, {persons} AS users
FROM account_user x {joins} WHERE x.tenant = $1 {some} AND first_day <= $3 GROUP BY 1
"""
# The last usage day by D where later usage is known.
_LAST_BEFORE: Final = """
SELECT {account} AS account, max(day) AS last_day FROM usage x {joins}
WHERE x.tenant = $1 {some} AND day <= $3 AND x.account <> 0 GROUP BY 1
"""
# Accounts of which it is said that a person uses the product, or no more: of the others the persons with usage are
# the IDs.
_TOLD: Final = """
SELECT DISTINCT {account} AS account FROM person_attribute x {joins}
WHERE x.tenant = $1 {some} AND x.account <> 0 AND field IN ('uses_product', 'deactivated')
"""
# IDs: persons with usage by T, or said to use the product, less those deactivated.
_IDS: Final = """
WITH told AS (
  SELECT DISTINCT ON ({account}, {person}, field) {account} AS account, {person} AS person, field, value = 'true' AS yes
  FROM person_attribute x {joins}
  WHERE x.tenant = $1 {some} AND x.account <> 0 AND field IN ('uses_product', 'deactivated') AND at <= $4
  ORDER BY {account}, {person}, field, at DESC, id DESC),
one AS (SELECT {account} AS account, {person} AS person FROM account_user x {joins}
        WHERE x.tenant = $1 {some} AND first_day <= $3
        UNION SELECT account, person FROM told WHERE field = 'uses_product' AND yes)
SELECT account, count(*) AS ids FROM one WHERE NOT EXISTS (
  SELECT 1 FROM told d WHERE d.account = one.account AND d.person = one.person AND d.field = 'deactivated' AND d.yes)
GROUP BY account
"""
# A fact stands unless another replaces it, or replaces the same one and was recorded later.
_STANDING: Final = """NOT EXISTS (SELECT 1 FROM {table} r WHERE r.tenant = $1 AND r.replaces = x.{id})
AND (x.replaces IS NULL OR NOT EXISTS (SELECT 1 FROM {table} r WHERE r.tenant = $1 AND r.replaces = x.replaces
     AND (r.recorded_at, r.{id}) > (x.recorded_at, x.{id})))"""
CONTACT_STANDS: Final = _STANDING.format(table="contact", id="sent_id")
CONTRACT_STANDS: Final = _STANDING.format(table="contract", id="id")
_TOUCHES: Final = f"""
SELECT DISTINCT ON ({{account}}, channel, outcome) {{account}} AS account, channel, outcome, at, id, csm_id
FROM contact x {{joins}} WHERE x.tenant = $1 {{some}} AND at <= $3 AND {CONTACT_STANDS}
ORDER BY {{account}}, channel, outcome, at DESC, id DESC
"""
_PLANNED: Final = f"""
SELECT DISTINCT ON ({{account}}) {{account}} AS account, at, channel, csm_id FROM contact x {{joins}}
WHERE x.tenant = $1 {{some}} AND outcome = 'planned' AND at > $3 AND {CONTACT_STANDS} ORDER BY {{account}}, at, id
"""
# Accounts that a person fact names by T, or a contact or contract, be it replaced.
_NAMED: Final = """
SELECT DISTINCT {account} AS account FROM person_attribute x {joins}
WHERE x.tenant = $1 {some} AND x.account <> 0 AND at <= $3
UNION SELECT DISTINCT {account} FROM contact x {joins} WHERE x.tenant = $1 {some} AND at <= $3
UNION SELECT DISTINCT {account} FROM contract x {joins} WHERE x.tenant = $1 {some} AND effective_on <= $4
"""
_CONTRACTS: Final = f"""
SELECT {{account}} AS account, contract_id, id, effective_on, change, acv_after, currency, term_end, reason
FROM contract x {{joins}} WHERE x.tenant = $1 {{some}} AND effective_on <= $3 AND {CONTRACT_STANDS}
"""
# Of each answer the version in force at T, scored or not.
_RESPONSES: Final = """
SELECT DISTINCT ON (response_id) {account} AS account, {person} AS person, at, response_id, score
FROM response x {joins}
WHERE x.tenant = $1 {some} AND x.account IS NOT NULL AND at <= $3 ORDER BY response_id, at DESC, id DESC
"""
# Of the manual bands that hold at T the latest: given by T, not expired, not ended.
_OVERRIDES: Final = """
SELECT DISTINCT ON ({account}) {account} AS account, band, reason, author, expires_at
FROM scoring.health_override x {joins}
WHERE x.tenant = $1 {some} AND at <= $3 AND expires_at > $3 AND (ended_at IS NULL OR ended_at > $3)
ORDER BY {account}, at DESC, override_id DESC
"""
_CSMS: Final = """
SELECT DISTINCT ON (csm_id, field) csm_id, field, value FROM csm_attribute
WHERE tenant = $1 AND at <= $2 AND ($3::text[] IS NULL OR csm_id = ANY($3))
ORDER BY csm_id, field, at DESC, id DESC
"""
_FEATURES: Final = "SELECT feature, event FROM scoring.feature_key WHERE tenant = $1 AND event = ANY($2)"
_NAMES: Final = "SELECT account, account_id FROM scoring.account_key x WHERE tenant = $1 {some}"
_SOME: Final = "AND x.account = ANY($2)"
_ALL: Final = "AND $2::int[] IS NULL"


@dataclass(frozen=True, slots=True)
class Csm:
    """A CSM at T."""

    csm_id: str
    name: str | None
    team: str | None


class Reader:
    """Reads one tenant's facts at one moment, inside one transaction."""

    def __init__(self, conn: Connection, terms: "Terms", moment: Moment) -> None:
        self._conn, self._tenant, self._moment, self._settings = conn, terms.tenant, moment, terms.settings
        self._joined = terms.joined

    async def accounts(self, accounts: Sequence[int] | None) -> dict[int, AccountAt]:
        """The accounts that exist at T, all of them or those asked for, by their integer key; of joined ones the one
        that stands for all, with the facts of all."""
        if accounts is not None and self._joined.accounts:
            accounts = sorted(await self._members(accounts))
        attributes = await self._attributes(accounts)
        usage = await self._usage(accounts)
        touches, planned = await self._touches(accounts), await self._planned(accounts)
        contracts, scores = await self._contracts(accounts), await self._scores(accounts)
        csms = await self.csms(attributes.values())
        existing = set(attributes) | set(usage) | set(touches) | set(contracts) | set(scores)
        names = await self._names(accounts, existing | await self._named(accounts, existing))
        found = {
            account: self._account(
                account, account_id, attributes.get(account), usage, touches, planned, contracts, scores, csms
            )
            for account, account_id in names.items()
        }
        held = await self._overrides(accounts)
        return found | {key: replace(found[key], override=held[key]) for key in found.keys() & held.keys()}

    async def for_coverage(self, *, ids: bool) -> dict[int, AccountAt]:
        """All accounts that exist at T with what coverage and its groups need: no usage windows and no scores; `ids`
        whether the rank axis asks for the number of users."""
        attributes, contracts = await self._attributes(None), await self._contracts(None)
        touches, day = await self._touches(None), self._moment.day
        spans = {row["account"]: row for row in await self._family(_SPANS, None, day)}
        first = {account: row["first_day"] for account, row in spans.items()}
        counted = await self._ids(None, spans) if ids else {}
        usage = {key: UsageAt(first.get(key), ids=counted.get(key, 0)) for key in first.keys() | counted.keys()}
        existing = set(attributes) | set(usage) | set(touches) | set(contracts) | set(await self._scores(None))
        names = await self._names(None, existing | await self._named(None, existing))
        csms = await self.csms()
        return {
            account: self._account(account, name, attributes.get(account), usage, touches, {}, contracts, {}, csms)
            for account, name in names.items()
        }

    async def values(self) -> dict[int, AccountAt]:
        """All accounts with what money and status need, and no more: for the amounts of provisional tiers."""
        attributes, contracts = await self._attributes(None), await self._contracts(None)
        return {
            account: AccountAt(
                account, "", *self._told(attributes.get(account)), contracts=tuple(contracts.get(account, ()))
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
        for row in await self._conn.fetch(_CSMS, self._tenant, self._moment.at, owners):
            told[row["csm_id"]][row["field"]] = None if row["value"] is None else msgspec.json.decode(row["value"])
        return {csm: Csm(csm, fields.get("name"), fields.get("team")) for csm, fields in told.items()}

    def _account(
        self, account: int, account_id: str, fold: Fold | None, usage: Mapping, touches: Mapping, planned: Mapping,
        contracts: Mapping, scores: Mapping, csms: Mapping[str, Csm],
    ) -> AccountAt:  # fmt: skip
        told, status_at = self._told(fold)
        csm = csms.get(told.get("csm_id", ""))
        return AccountAt(
            account=account,
            account_id=account_id,
            attributes=told,
            status_at=status_at,
            team=csm.team if csm else None,
            csm_name=csm.name if csm else None,
            contracts=tuple(contracts.get(account, ())),
            usage=usage.get(account, UsageAt()),
            touches=tuple(touches.get(account, ())),
            planned=planned.get(account),
            scores=tuple(scores.get(account, ())),
        )

    async def _members(self, accounts: Sequence[int]) -> dict[int, int]:
        return await account_members(self._conn, self._tenant, accounts)

    def _told(self, fold: Fold | None) -> tuple[dict[str, Any], datetime | None]:
        return attributes_of(fold or {}, self._settings)

    async def _family(self, sql: str, accounts: Sequence[int] | None, *more: Any) -> list[Any]:
        some = _ALL if accounts is None else _SOME
        told = joined(sql.replace("{some}", some), accounts=self._joined.accounts, persons=self._joined.persons)
        return await self._conn.fetch(told, self._tenant, accounts, *more)

    async def _names(self, accounts: Sequence[int] | None, existing: Iterable[int]) -> dict[int, str]:
        asked = None if accounts is None else sorted(existing)
        rows = await self._family(_NAMES, asked)
        wanted = set(existing)
        return {row["account"]: row["account_id"] for row in rows if row["account"] in wanted}

    async def _named(self, accounts: Sequence[int] | None, existing: set[int]) -> set[int]:
        """Accounts that only a person, or a contact or contract that was replaced, names by T."""
        rest = None if accounts is None else sorted(set(accounts) - existing)
        if rest == []:
            return set()
        return {row["account"] for row in await self._family(_NAMED, rest, self._moment.at, self._moment.day)}

    async def _attributes(self, accounts: Sequence[int] | None) -> dict[int, Fold]:
        folds: dict[int, Fold] = defaultdict(dict)
        for row in await self._family(_ATTRIBUTES, accounts, self._moment.at):
            folds[row["account"]][row["field"]] = (row["at"], row["id"], row["value"])
        return folds

    async def _usage(self, accounts: Sequence[int] | None) -> dict[int, UsageAt]:
        day = self._moment.day
        features = await self._value_features()
        spans = {row["account"]: row for row in await self._family(_SPANS, accounts, day)}
        windows = {row["account"]: row for row in await self._family(_WINDOWS, accounts, day, list(features))}
        ids = await self._ids(accounts, spans)
        last = await self._last_days(spans, windows)
        return {
            account: _usage_at(
                spans.get(account), windows.get(account), last.get(account), ids.get(account, 0), features
            )
            for account in set(spans) | set(ids)
        }

    async def _ids(self, accounts: Sequence[int] | None, spans: Mapping[int, Any]) -> dict[int, int]:
        """IDs by account, of those that have any."""
        ids = {account: row["users"] for account, row in spans.items()}
        told = {row["account"] for row in await self._family(_TOLD, accounts)}
        if not told:
            return ids
        asked = (
            None if accounts is None else sorted(await self._members(sorted(told)) if self._joined.accounts else told)
        )
        counted = await self._family(_IDS, asked, self._moment.day, self._moment.at)
        return {key: users for key, users in ids.items() if key not in told} | {
            row["account"]: row["ids"] for row in counted
        }

    async def _value_features(self) -> dict[int, str]:
        events = sorted({event for one in self._settings.value_features for event in one.events})
        rows = await self._conn.fetch(_FEATURES, self._tenant, events) if events else []
        return {row["feature"]: row["event"] for row in rows}

    async def _last_days(self, spans: Mapping[int, Any], windows: Mapping[int, Any]) -> dict[int, date]:
        """The last usage day by D: in the windows, else the last of all, else looked up where later usage is known."""
        last = {account: row["last_day"] for account, row in windows.items()}
        quiet = {account: row["last_day"] for account, row in spans.items() if account not in last}
        last.update({account: day for account, day in quiet.items() if day <= self._moment.day})
        later = [account for account, day in quiet.items() if day > self._moment.day]
        if later:
            asked = later if not self._joined.accounts else sorted(await self._members(later))
            rows = await self._family(_LAST_BEFORE, asked, self._moment.day)
            last.update({row["account"]: row["last_day"] for row in rows})
        return last

    async def _touches(self, accounts: Sequence[int] | None) -> dict[int, list[Touch]]:
        found: dict[int, list[Touch]] = defaultdict(list)
        for row in await self._family(_TOUCHES, accounts, self._moment.at):
            found[row["account"]].append(
                Touch(row["at"].astimezone(UTC), row["id"], row["channel"], row["outcome"], row["csm_id"])
            )
        return found

    async def _planned(self, accounts: Sequence[int] | None) -> dict[int, Planned]:
        rows = await self._family(_PLANNED, accounts, self._moment.at)
        return {row["account"]: Planned(row["at"].astimezone(UTC), row["channel"], row["csm_id"]) for row in rows}

    async def _contracts(self, accounts: Sequence[int] | None) -> dict[int, list[ContractChange]]:
        found: dict[int, list[ContractChange]] = defaultdict(list)
        for row in await self._family(_CONTRACTS, accounts, self._moment.day):
            found[row["account"]].append(
                ContractChange(
                    row["contract_id"], row["id"], row["effective_on"], row["change"],
                    reporting(row["acv_after"], row["currency"], self._settings), row["term_end"], row["reason"],
                )
            )  # fmt: skip
        return found

    async def _overrides(self, accounts: Sequence[int] | None) -> dict[int, Override]:
        return {
            row["account"]: Override(row["band"], row["reason"], row["author"], row["expires_at"].astimezone(UTC))
            for row in await self._family(_OVERRIDES, accounts, self._moment.at)
        }

    async def _scores(self, accounts: Sequence[int] | None) -> dict[int, list[PersonScore]]:
        """Each person's latest scored answer; an account with none but comments keeps an empty list."""
        latest: dict[int, dict[Any, tuple[datetime, str, int]]] = {}
        for row in await self._family(_RESPONSES, accounts, self._moment.at):
            persons = latest.setdefault(row["account"], {})
            if row["score"] is None:
                continue
            person = row["response_id"] if row["person"] is None else row["person"]
            version = (row["at"].astimezone(UTC), row["response_id"], row["score"])
            persons[person] = max(persons.get(person, version), version)
        tz = self._moment.tz
        return {
            account: [PersonScore(str(person), score, at, day_of(at, tz)) for person, (at, _, score) in persons.items()]
            for account, persons in latest.items()
        }


def _usage_at(span: Any, window: Any, last_day: date | None, ids: int, features: Mapping[int, str]) -> UsageAt:
    first = None if span is None else span["first_day"]
    if window is None:
        return UsageAt(first, last_day, ids=ids)
    used = frozenset(features[feature] for feature in window["features"] or ())
    return UsageAt(
        first, last_day, window["days_28"], window["days_90"], window["days_silent"], window["users_28"],
        window["users_before"], used, ids,
    )  # fmt: skip


def reporting(minor: int, currency: str, settings: TenantSettings) -> int:
    """In the reporting currency by the rate in force now; money that has lost its rate counts as 0."""
    if currency == settings.currency:
        return minor
    rate = settings.fx.get(currency)
    return 0 if rate is None else convert(minor, currency, settings.currency, rate)
