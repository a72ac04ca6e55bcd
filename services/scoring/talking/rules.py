"""Talking points: from what is known of an account at T to a short agenda, each point with its figures. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from services.scoring.matrix.actions import Fired, reason, reason_ja
from services.scoring.talking import words
from services.scoring.talking.words import Words
from shared.tenant_settings import ValueFeature

NEW_DAYS: Final = 90  # a feature released within so many days is new
MOST_FEATURES: Final = 3  # of those used more, and of those used less
OFF: Final = {"next_milestone": words.milestone_off()}  # systems that are not kept yet


@dataclass(frozen=True, slots=True)
class FeatureUse:
    """One feature: uses and users of the 28 days that end with T's day, uses of the 28 before."""

    feature: str
    events: int
    users: int
    events_before: int


@dataclass(frozen=True, slots=True)
class Comment:
    """The latest answer with a comment."""

    score: int | None
    text: str
    at: datetime
    day: date
    survey_id: str
    person_id: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not what it was; `was` and `now` as the API shows them."""

    what: str
    was: Any
    now: Any


@dataclass(frozen=True, slots=True)
class Since:
    """The last counting contact, and what changed since: figures then and now, answers and contract changes since."""

    at: datetime
    day: date
    channel: str
    changes: Sequence[Change]
    responses: int
    contracts: int


@dataclass(frozen=True, slots=True)
class Picture:
    """What there is to talk about. `entitled`: the value features that the account may use; `ever`: events that it ever
    used."""

    day: date
    users: int
    users_before: int
    features: Sequence[FeatureUse] = ()
    entitled: Sequence[ValueFeature] = ()
    ever: frozenset[str] = frozenset()
    seats: int | None = None
    comment: Comment | None = None
    renewal_on: date | None = None
    alerts: Sequence[Fired] = ()
    since: Since | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the agenda."""

    kind: str
    words: Words
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])


def agenda(seen: Picture) -> list[Point]:
    """The points in their order; what has no data is left out."""
    return [point for part in _PARTS for point in part(seen)]


def _usage(seen: Picture) -> list[Point]:
    users, before = seen.users, seen.users_before
    said = words.users_against(users, users / before) if before else words.users_after_none(users)
    direction = "up" if users > before else "down" if users < before else "same"
    told = {"active_users_28": users, "active_users_28_before": before, "direction": direction}
    return [Point("usage", said, told)]


def feature_moves(features: Sequence[FeatureUse]) -> tuple[list[FeatureUse], list[FeatureUse]]:
    """(used more, used less): those that moved most by uses, at most three each; equal ones by name."""
    moved = sorted(features, key=lambda one: (-abs(one.events - one.events_before), one.feature))
    up = [one for one in moved if one.events > one.events_before]
    down = [one for one in moved if one.events < one.events_before]
    return up[:MOST_FEATURES], down[:MOST_FEATURES]


def _features(seen: Picture) -> list[Point]:
    up, down = feature_moves(seen.features)
    if not up and not down:
        return []
    told = {name: [_feature(one) for one in some] for name, some in (("up", up), ("down", down))}
    said = words.feature_moves(*([(one.feature, one.events, one.events_before) for one in some] for some in (up, down)))
    return [Point("usage_by_feature", said, told)]


def _feature(one: FeatureUse) -> dict[str, Any]:
    return {"feature": one.feature, "events_28": one.events, "events_28_before": one.events_before}


def unused(seen: Picture) -> list[ValueFeature]:
    """Entitled value features none of whose events the account ever used, in the order of the settings."""
    return [one for one in seen.entitled if seen.ever.isdisjoint(one.events)]


def new_unused(seen: Picture) -> list[tuple[ValueFeature, date]]:
    """Those of them that were released on T's day or in the 89 days before."""
    first = seen.day - timedelta(days=NEW_DAYS - 1)
    return [(one, one.released_on) for one in unused(seen) if one.released_on and one.released_on >= first]


def _never_used(seen: Picture) -> list[Point]:
    names = [one.feature for one in unused(seen)]
    return [Point("never_used", words.never_used(names), {"count": len(names), "features": names})] if names else []


def _new(seen: Picture) -> list[Point]:
    found = [(one.feature, on) for one, on in new_unused(seen)]
    told = [{"feature": name, "released_on": on} for name, on in found]
    return [Point("new_unused", words.new_unused(found), {"count": len(told), "features": told})] if found else []


def _seats(seen: Picture) -> list[Point]:
    if not seen.seats:
        return []
    told = {"seats": seen.seats, "active_users_28": seen.users, "unused": max(0, seen.seats - seen.users)}
    return [Point("seats", words.seats(seen.users, seen.seats), told)]


def _comment(seen: Picture) -> list[Point]:
    one = seen.comment
    if one is None:
        return []
    told = {
        "score": one.score,
        "comment": one.text,
        "at": one.at,
        "survey_id": one.survey_id,
        "person_id": one.person_id,
    }
    return [Point("nps_comment", words.comment(one.score, one.text, one.day), told)]


def _renewal(seen: Picture) -> list[Point]:
    if seen.renewal_on is None:
        return []
    told = {"renewal_on": seen.renewal_on, "days_left": (seen.renewal_on - seen.day).days}
    return [Point("renewal", words.renewal(seen.renewal_on, seen.day), told)]


def _alerts(seen: Picture) -> list[Point]:
    return [Point("alert", _fired(one), one.as_json()) for one in seen.alerts]


def _fired(one: Fired) -> Words:
    said = reason(one)
    return Words(f"{reason_ja(one)}。", f"{said[0].upper()}{said[1:]}.")


def _since(seen: Picture) -> list[Point]:
    if seen.since is None:
        return [Point("since_last_contact", words.no_contact(), {"last_contact_at": None, "changes": []})]
    one = seen.since
    told = {
        "last_contact_at": one.at,
        "channel": one.channel,
        "days": (seen.day - one.day).days,
        "changes": [{"what": it.what, "was": it.was, "now": it.now} for it in one.changes],
        "responses": one.responses,
        "contract_changes": one.contracts,
    }
    return [Point("since_last_contact", _since_words(one, seen.day), told)]


_WHAT: Final[Mapping[str, Words]] = {
    "score": Words("ヘルススコア", "health"),
    "effective_band": Words("ヘルスの区分", "health band"),
    "active_users_28": Words("28日間の利用者", "active users in 28 days"),
    "ids": Words("ID数", "IDs"),
    "seats": Words("席数", "seats"),
    "acv": Words("年間契約金額", "ACV"),
    "tier": Words("ティア", "tier"),
    "status": Words("状態", "status"),
    "csm_id": Words("担当", "CSM"),
    "renewal_on": Words("更新日", "renewal date"),
}
WATCHED: Final = tuple(_WHAT)


def _since_words(one: Since, today: date) -> Words:
    ja = [f"{_WHAT[it.what].ja}が{_shown(it.was)}から{_shown(it.now)}に" for it in one.changes]
    en = [f"{_WHAT[it.what].en} {_shown(it.was)} → {_shown(it.now)}" for it in one.changes]
    for count, label in (
        (one.responses, ("アンケート回答", "survey answers")),
        (one.contracts, ("契約の変更", "contract changes")),
    ):
        ja += [f"{label[0]}{count}件"] if count else []
        en += [f"{label[1]}: {count}"] if count else []
    ago = (today - one.day).days
    begin_ja, begin_en = (
        f"前回の接点（{words.day_ja(one.day)}、{ago}日前）から",
        f"Since the contact of {one.day} ({words.days(ago)} ago): ",
    )
    if not ja:
        return Words(f"{begin_ja}の変化はありません。", f"{begin_en}no change.")
    return Words(f"{begin_ja}: {'、'.join(ja)}。", f"{begin_en}{'; '.join(en)}.")


def _shown(value: Any) -> str:
    """For words only: numbers with at most one decimal."""
    if value is None:
        return "–"
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """What differs of what is watched, in its order."""
    return [Change(what, then[what], now[what]) for what in WATCHED if then[what] != now[what]]


_PARTS: Final[Sequence[Callable[[Picture], list[Point]]]] = (
    _usage, _features, _never_used, _new, _seats, _comment, _renewal, _alerts, _since,
)  # fmt: skip
