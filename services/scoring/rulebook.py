"""What a tenant counts by, read once a transaction: settings, health models, tier policies and amounts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.scoring.account import Amounts, Moment
from services.scoring.assessment import EARLIER_DAYS, Rulebook
from services.scoring.health.model import PublishedModel, preset
from shared.clock import day_of, end_of_day, zone
from shared.postgres import Connection
from shared.tenant_settings import TenantSettings

_SETTINGS: Final = """
SELECT version, document FROM scoring.settings WHERE tenant = $1 ORDER BY version DESC LIMIT 1
"""
# Everything at once: every request and every round begins with it.
_TERMS: Final = """
SELECT s.version, s.document, f.usage_day, f.contact_at,
  (SELECT json_agg(json_build_array(effective_from, high, low) ORDER BY effective_from, published_at, policy_id)
   FROM scoring.tier_policy WHERE tenant = $1) AS policies,
  (SELECT json_agg(json_build_array(ago, day, high, low)) FROM amounts WHERE tenant = $1) AS amounts,
  EXISTS (SELECT 1 FROM account_join WHERE tenant = $1) AS accounts,
  EXISTS (SELECT 1 FROM person_join WHERE tenant = $1) AS persons
FROM (SELECT min(usage_day) AS usage_day, min(contact_at) AS contact_at FROM first_facts WHERE tenant = $1) f
LEFT JOIN (SELECT version, document FROM scoring.settings WHERE tenant = $1 ORDER BY version DESC LIMIT 1) s ON true
"""
DEFAULT_MODEL: Final = PublishedModel("default", 1, preset("default"))
AGO: Final = (0, *EARLIER_DAYS)


@dataclass(frozen=True, slots=True)
class Policy:
    """Published tier amounts (minor units) and the day from which they hold."""

    effective_from: date
    high: int | None
    low: int | None


@dataclass(frozen=True, slots=True)
class Joined:
    """Whether the tenant has ids that are one: most statements are plainer where there are none."""

    accounts: bool
    persons: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything of a tenant that its assessments rest on and no account fact says."""

    tenant: int
    settings: TenantSettings
    version: int
    models: tuple[PublishedModel, ...]
    policies: tuple[Policy, ...]
    provisional: Mapping[int, tuple[date, Amounts]]  # ago → (its day, amounts)
    first_usage_day: date | None
    first_contact_at: datetime | None
    joined: Joined

    @property
    def tz(self) -> ZoneInfo:
        """The tenant's zone."""
        return zone(self.settings.time_zone)

    def moment(self, at: datetime) -> Moment:
        """T with what the tenant's facts say by then."""
        day = day_of(at, self.tz)
        usage, contact = self.first_usage_day, self.first_contact_at
        return Moment(
            at=at,
            day=day,
            tz=self.tz,
            first_usage_day=usage if usage is not None and usage <= day else None,
            first_contact_at=contact if contact is not None and contact <= at else None,
        )

    def moments(self, now: datetime) -> dict[int, Moment]:
        """Now (ago 0) and the ends of the days 1, 7 and 28 before."""
        today = day_of(now, self.tz)
        earlier = {ago: self.moment(end_of_day(today - timedelta(days=ago), self.tz)) for ago in EARLIER_DAYS}
        return {0: self.moment(now), **earlier}

    def policy_at(self, day: date) -> Policy | None:
        """The published policy in force on a day; None before the first effective date."""
        held = [policy for policy in self.policies if policy.effective_from <= day]
        return held[-1] if held else None

    def published(self, day: date) -> Amounts | None:
        """The amounts of that policy."""
        policy = self.policy_at(day)
        return Amounts(policy.high, policy.low, provisional=False) if policy else None

    def rules(self, amounts: Amounts) -> Rulebook:
        """The rulebook with the tier amounts of one moment."""
        return Rulebook(self.settings, self.models, amounts)

    def live_rules(self, ago: int, moment: Moment) -> Rulebook:
        """The rulebook of one of the four kept moments."""
        published = self.published(moment.day)
        kept = self.provisional.get(ago)
        return self.rules(published or (kept[1] if kept else Amounts(None, None)))


async def read_settings(conn: Connection, tenant: int, base: TenantSettings) -> tuple[int, TenantSettings]:
    """(version, settings) in force; version 0 = `base`, the defaults with the tenant's own zone and currency."""
    row = await conn.fetchrow(_SETTINGS, tenant)
    if row is None:
        return 0, base
    return row["version"], _parsed(row["document"])


_cache: dict[str, TenantSettings] = {}


def _parsed(document: str) -> TenantSettings:
    """Settings documents are few and long: each is validated once."""
    found = _cache.get(document)
    if found is None:
        if len(_cache) > 256:
            _cache.clear()
        found = _cache[document] = TenantSettings.model_validate(json.loads(document))
    return found


async def read_terms(conn: Connection, tenant: int, base: TenantSettings) -> Terms:
    """Everything at once, in the caller's transaction."""
    row = await conn.fetchrow(_TERMS, tenant)
    assert row is not None  # an aggregate always answers
    settings = base if row["document"] is None else _parsed(row["document"])
    policies = json.loads(row["policies"] or "[]")
    provisional = json.loads(row["amounts"] or "[]")
    return Terms(
        tenant, settings, row["version"] or 0, (DEFAULT_MODEL,),
        tuple(Policy(date.fromisoformat(day), high, low) for day, high, low in policies),
        {ago: (date.fromisoformat(day), Amounts(high, low)) for ago, day, high, low in provisional},
        row["usage_day"], row["contact_at"], Joined(row["accounts"], row["persons"]),
    )  # fmt: skip
