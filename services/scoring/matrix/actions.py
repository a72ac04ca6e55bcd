"""Needs action: which rule fired, with its value and threshold, and in words. Pure."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.scoring.account import UsageAt
from services.scoring.coverage.rules import Coverage
from shared.clock import start_of_day

# Rules of systems that are not kept yet: follow-ups of responses, closing plans of renewals.
RULES_OFF: Final = ("detractor", "renewal_unplanned", "plan_overdue")
DROP_POINTS: Final = 15
_SILENT_DAYS: Final = 14
_STEADY_DAYS: Final = 4
_USERS_BEFORE: Final = 3
_DUE_DAYS: Final = 7
_GRACE_DAYS: Final = 28
_MOST_TELLING: Final = ("red", "drop", "silent", "usage_drop", "never_contacted", "uncovered", "due")


class Fired(Struct, frozen=True):
    """A rule that fired. `since`: from when the figures say so by time alone; None where only history can tell."""

    rule: str
    value: float | None
    threshold: float
    since: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """As the API shows it, `since` in RFC 3339 UTC."""
        since = None if self.since is None else self.since.isoformat().replace("+00:00", "Z")
        return {"rule": self.rule, "value": self.value, "threshold": self.threshold, "since": since}


class Situation(Struct, frozen=True):
    """What the rules look at, of an account that is not churned. `red_below` is where yellow begins, `window_days` the
    tier's window; scores are the computed ones."""

    day: date
    tz: ZoneInfo
    start: date | None
    score: float | None
    red_below: float
    usage: UsageAt
    cover: Coverage
    window_days: int

    def midnight(self, day: date) -> datetime:
        """When that day begins for the tenant."""
        return start_of_day(day, self.tz)


def _red(now: Situation) -> Fired | None:
    """The score is in the red band."""
    if now.score is None or now.score >= now.red_below:
        return None
    return Fired("red", now.score, now.red_below)


def _silent(now: Situation) -> Fired | None:
    """No usage for 14 days by an account that was steady before. Value: days since the last usage."""
    last = now.usage.last_day
    if last is None or now.usage.active_days_silent < _STEADY_DAYS or (now.day - last).days < _SILENT_DAYS:
        return None
    return Fired("silent", (now.day - last).days, _SILENT_DAYS, now.midnight(last + timedelta(days=_SILENT_DAYS)))


def _usage_drop(now: Situation) -> Fired | None:
    """At most half as many active users as in the 28 days before, and at least 3 then. Threshold: that half."""
    users, before = now.usage.active_users_28, now.usage.active_users_28_before
    if before < _USERS_BEFORE or 2 * users > before:
        return None
    return Fired("usage_drop", users, before / 2)


def _uncovered(now: Situation) -> Fired | None:
    """Eligible and not covered. Value: days since the last counting contact, None = never; threshold: the window."""
    if now.cover.covered is not False:
        return None
    contact = now.cover.contact_day
    days = None if contact is None else (now.day - contact).days
    return Fired("uncovered", days, now.window_days, now.cover.due_at)


def _due(now: Situation) -> Fired | None:
    """Covered, and falls out within 7 days. Value: days left."""
    due, last = now.cover.due_day, now.cover.last_contact
    if not now.cover.covered or due is None or last is None or (due - now.day).days > _DUE_DAYS:
        return None
    since = max(now.midnight(due - timedelta(days=_DUE_DAYS)), last.at)
    return Fired("due", (due - now.day).days, _DUE_DAYS, since)


def _never_contacted(now: Situation) -> Fired | None:
    """Eligible for 28 days without any counting contact ever. Value: days since the start."""
    if not now.cover.eligible or now.start is None or now.cover.last_contact is not None:
        return None
    days = (now.day - now.start).days
    if days < _GRACE_DAYS:
        return None
    return Fired("never_contacted", days, _GRACE_DAYS, now.midnight(now.start + timedelta(days=_GRACE_DAYS)))


_RULES: Final[Sequence[Callable[[Situation], Fired | None]]] = (
    _red,
    _silent,
    _usage_drop,
    _uncovered,
    _due,
    _never_contacted,
)
RULES_ON: Final = ("red", "drop", "silent", "usage_drop", "uncovered", "due", "never_contacted")


def needs_action(now: Situation) -> tuple[Fired, ...]:
    """The rules that fired, in the order of RULES_ON; `drop` needs an earlier score and is added by `with_drop`."""
    return tuple(fired for rule in _RULES if (fired := rule(now)) is not None)


def with_drop(fired: tuple[Fired, ...], score: float | None, score_28: float | None) -> tuple[Fired, ...]:
    """The same with `drop` when the score fell ≥ 15 points in 28 days. Value: how many points."""
    others = [it for it in fired if it.rule != "drop"]
    if score is not None and score_28 is not None and score_28 - score >= DROP_POINTS:
        others.append(Fired("drop", score_28 - score, DROP_POINTS))
    return tuple(sorted(others, key=lambda it: RULES_ON.index(it.rule)))


def main_rule(fired: Sequence[Fired]) -> Fired | None:
    """The one that says most about why to call; None when nothing fired."""
    return min(fired, key=lambda it: _MOST_TELLING.index(it.rule), default=None)


def _figure(value: float | None) -> str:
    """For words only: whole, or one decimal."""
    return "–" if value is None else f"{value:.1f}".removesuffix(".0")


def reason(fired: Fired) -> str:
    """Why to call, with the figure, in English."""
    value, threshold = _figure(fired.value), _figure(fired.threshold)
    words = {
        "red": f"health {value}, below {threshold}",
        "drop": f"health fell {value} points in 28 days",
        "silent": f"no usage for {value} days after steady use",
        "usage_drop": f"active users in 28 days down to {value} from {_figure(2 * fired.threshold)}",
        "uncovered": f"last contact {value} days ago, window {threshold} days",
        "due": f"contact runs out in {value} days",
        "never_contacted": f"never contacted, {value} days after the start",
    }
    return "never contacted" if fired.rule == "uncovered" and fired.value is None else words[fired.rule]


def reason_ja(fired: Fired) -> str:
    """Why to call, with the figure, in Japanese."""
    value, threshold = _figure(fired.value), _figure(fired.threshold)
    words = {
        "red": f"ヘルススコア{value}({threshold}未満)",
        "drop": f"ヘルススコアが28日で{value}ポイント低下",
        "silent": f"継続利用の後、{value}日間利用なし",
        "usage_drop": f"28日間の利用者が{_figure(2 * fired.threshold)}人から{value}人に減少",
        "uncovered": f"最終接点から{value}日(期間{threshold}日)",
        "due": f"あと{value}日で接点の期限",
        "never_contacted": f"開始から{value}日、接点なし",
    }
    return "接点なし" if fired.rule == "uncovered" and fired.value is None else words[fired.rule]
