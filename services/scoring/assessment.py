"""All rules of one account put together: from what is known at T to what every list and answer needs. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from services.scoring.account import AccountAt, Amounts, Moment, Override, Planned, Touch
from services.scoring.coverage.rules import Coverage, contacted, coverage, reached
from services.scoring.health.model import PublishedModel, pick
from services.scoring.health.readings import readings_of
from services.scoring.health.rules import NOTHING, Health, band_of, effective_band, evaluate, score_of
from services.scoring.lifecycle.rules import Lifecycle, lifecycle
from services.scoring.matrix.actions import Fired, Situation, needs_action, with_drop
from services.scoring.matrix.rules import Place, call_first_key, default_list_key, place
from services.scoring.tiers.rules import tier_of
from shared.clock import day_of
from shared.tenant_settings import CoveragePolicy, TenantSettings

IN_USE_DAYS: Final = 30
EARLIER_DAYS: Final = (1, 7, 28)  # what changes are measured against


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What a tenant counts by, in force now: settings, published models, and the tier amounts at T."""

    settings: TenantSettings
    models: tuple[PublishedModel, ...]
    amounts: Amounts
    _of: dict[str, tuple[CoveragePolicy, PublishedModel]] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    def of(self, tier: str) -> tuple[CoveragePolicy, PublishedModel]:
        """What a tier is covered and judged by. Raises LookupError without a model for it."""
        found = self._of.get(tier)
        if found is None:
            found = self._of[tier] = self.settings.coverage.of(tier), pick(self.models, tier)
        return found


class Assessment(Struct, frozen=True):
    """One account at T. Money in minor units of the reporting currency; a churned account has no tier, no cell and no
    score; `covered` and `due_at` None when not eligible; `dimensions` as the API shows them; changes None until
    `with_changes`, or where either score is missing."""

    account_id: str
    name: str | None
    status: str
    churned: bool
    eligible: bool
    start: date | None
    start_source: str | None
    acv: int | None
    value: int
    tier: str | None
    rank: str | None
    tenure: str | None
    priority: str | None
    csm_id: str | None
    csm_name: str | None
    team: str | None
    renewal_on: date | None
    score: float | None
    band: str
    effective_band: str
    confidence: float
    model_id: str
    model_version: int
    dimensions: tuple[dict[str, Any], ...]
    override: Override | None
    covered: bool | None
    due_at: datetime | None
    last_contact: Touch | None
    planned: Planned | None
    planned_in_days: int | None
    in_use: bool
    contacted: bool
    active_users_28: int
    first_usage_day: date | None
    last_usage_day: date | None
    ids: int
    needs_action: tuple[Fired, ...]
    change_1d: float | None = None
    change_7d: float | None = None
    change_28d: float | None = None

    @property
    def list_key(self) -> tuple[Any, ...]:
        """Where it stands in the account list by default."""
        return default_list_key(self.priority, self.effective_band, self.acv, self.account_id)

    @property
    def call_first_key(self) -> tuple[Any, ...]:
        """Where it stands among those to call first."""
        fired = len(self.needs_action)
        return call_first_key(
            self.priority, self.effective_band, fired, self.acv, self.planned_in_days, self.account_id
        )


class _Standing(Struct, frozen=True):
    """The verdicts that an assessment is composed of."""

    life: Lifecycle
    tier: str
    place: Place
    cover: Coverage
    model: PublishedModel
    health: Health
    fired: tuple[Fired, ...]


def assess(account: AccountAt, moment: Moment, rules: Rulebook) -> Assessment:
    """Everything but the changes against earlier scores. Raises LookupError without a model for the account's tier."""
    standing = _judge(account, moment, rules)
    return _compose(account, moment, standing)


class Stand(Struct, frozen=True):
    """What is kept of an account at an earlier moment: value in minor units (0 while churned); tier, score and
    effective band, all None while churned."""

    value: int
    tier: str | None
    score: float | None
    band: str | None


def stand_at(account: AccountAt, moment: Moment, rules: Rulebook) -> Stand:
    """The same verdicts as `assess` gives, without their reasons."""
    life = lifecycle(account, moment)
    if life.churned:
        return Stand(0, None, None, None)
    tier = account.tier_exception or tier_of(life.value, rules.amounts)
    policy, model = rules.of(tier)
    cover = reached(account, life, policy, moment)
    score = score_of(model.document, readings_of(account, life, cover, policy, rules.settings, moment))
    band = effective_band(band_of(score, model.document.bands), account.override, moment)
    return Stand(life.value, tier, score, band)


def stand_of(found: Assessment) -> Stand:
    """What is kept of a full assessment."""
    if found.churned:
        return Stand(0, None, None, None)
    return Stand(found.value, found.tier, found.score, found.effective_band)


def with_changes(assessment: Assessment, earlier_scores: Mapping[int, float | None]) -> Assessment:
    """The same with its changes against the scores at the end of the day 1, 7 and 28 days ago, and rule `drop`."""
    change = {days: _change(assessment.score, earlier_scores.get(days)) for days in EARLIER_DAYS}
    fired = with_drop(assessment.needs_action, assessment.score, earlier_scores.get(28))
    return replace(assessment, change_1d=change[1], change_7d=change[7], change_28d=change[28], needs_action=fired)


def _change(score: float | None, earlier: float | None) -> float | None:
    return None if score is None or earlier is None else score - earlier


def _judge(account: AccountAt, moment: Moment, rules: Rulebook) -> _Standing:
    settings = rules.settings
    life = lifecycle(account, moment)
    tier = account.tier_exception or tier_of(life.value, rules.amounts)
    policy, model = rules.of(tier)
    cover = coverage(account, life, policy, moment)
    if life.churned:
        return _Standing(life, tier, Place(None, None, None), cover, model, NOTHING, ())
    health = evaluate(model.document, readings_of(account, life, cover, policy, settings, moment))
    window, red_below = policy.window.days(moment.day), model.document.bands.yellow
    now = Situation(moment.day, moment.tz, life.start, health.score, red_below, account.usage, cover, window)
    cell = place(account, life.acv, life.start, settings, moment.day)
    return _Standing(life, tier, cell, cover, model, health, needs_action(now))


def _in_use(account: AccountAt, life: Lifecycle, day: date) -> bool:
    last = account.usage.last_day
    return not life.churned and last is not None and (day - last).days < IN_USE_DAYS


def _planned_in_days(account: AccountAt, moment: Moment) -> int | None:
    return None if account.planned is None else (day_of(account.planned.at, moment.tz) - moment.day).days


def _compose(account: AccountAt, moment: Moment, standing: _Standing) -> Assessment:
    life, cover, health = standing.life, standing.cover, standing.health
    told, usage = account.attributes, account.usage
    return Assessment(
        account_id=account.account_id,
        name=told.get("name"),
        status=life.status,
        churned=life.churned,
        eligible=cover.eligible,
        start=life.start,
        start_source=life.start_source,
        acv=life.acv,
        value=life.value,
        tier=None if life.churned else standing.tier,
        rank=standing.place.rank,
        tenure=standing.place.tenure,
        priority=standing.place.priority,
        csm_id=told.get("csm_id"),
        csm_name=account.csm_name,
        team=account.team,
        renewal_on=life.renewal_on,
        score=health.score,
        band=health.band,
        effective_band=health.band if life.churned else effective_band(health.band, account.override, moment),
        confidence=health.confidence,
        model_id=standing.model.id,
        model_version=standing.model.version,
        dimensions=health.dimensions,
        override=account.override,
        covered=cover.covered,
        due_at=cover.due_at,
        last_contact=cover.last_contact,
        planned=account.planned,
        planned_in_days=_planned_in_days(account, moment),
        in_use=_in_use(account, life, moment.day),
        contacted=contacted(life.start, cover.contact_day),
        active_users_28=usage.active_users_28,
        first_usage_day=usage.first_day,
        last_usage_day=usage.last_day,
        ids=usage.ids,
        needs_action=standing.fired,
    )
