"""Surveys: what is asked when nothing else is said, who is invited and why not."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

LANGUAGES: Final = ("ja", "en")
CATEGORIES: Final = ("detractor", "passive", "promoter")
Text = Mapping[str, str]  # by language
QUESTION: Final[Text] = {
    "ja": "この商品・サービスを親しい人や同僚にどの程度おすすめしますか",
    "en": "How likely are you to recommend us to a friend or colleague?",
}
OPEN_QUESTION: Final[Mapping[str, Text]] = {
    "detractor": {
        "ja": "ご期待に届かなかった点をお聞かせください",
        "en": "What fell short of what you expected?",
    },
    "passive": {
        "ja": "どこが良くなれば、もっとおすすめいただけますか",
        "en": "What would have to be better for you to recommend us?",
    },
    "promoter": {
        "ja": "特に良いと感じられた点をお聞かせください",
        "en": "What do you value most?",
    },
}


@dataclass(frozen=True, slots=True)
class Person:
    """A person as scoring knows them: the account they belong to now, if any."""

    person_id: str
    account_id: str | None
    email: str | None
    deactivated: bool


@dataclass(frozen=True, slots=True)
class Past:
    """What was sent before: invitations to this survey and the latest to any by person, and who wants none."""

    invited: Mapping[str, str] = field(default_factory=dict[str, str])
    last_sent: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    opted_out: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a person is invited: `reason` says why not. `invitation_id` is that of an earlier invitation."""

    person_id: str
    account_id: str | None = None
    reason: str | None = None
    invitation_id: str | None = None


def judge(
    wanted: Iterable[str], people: Mapping[str, Person], past: Past, now: datetime, quiet_days: int
) -> list[Verdict]:
    """One verdict a person, in the order asked, a person named twice once. The first reason that holds is told:
    unknown_person, deactivated, opted_out, already_invited (to this survey), no_email, quiet_period (less than
    `quiet_days` times 24 hours since the last invitation to any survey)."""
    return [_verdict(one, people.get(one), past, now, timedelta(days=quiet_days)) for one in dict.fromkeys(wanted)]


def _verdict(person_id: str, person: Person | None, past: Past, now: datetime, quiet: timedelta) -> Verdict:
    if person is None:
        return Verdict(person_id, reason="unknown_person")
    last = past.last_sent.get(person_id)
    reasons = (
        ("deactivated", person.deactivated),
        ("opted_out", person_id in past.opted_out),
        ("already_invited", person_id in past.invited),
        ("no_email", person.email is None),
        ("quiet_period", last is not None and now - last < quiet),
    )
    reason = next((name for name, holds in reasons if holds), None)
    earlier = past.invited.get(person_id) if reason == "already_invited" else None
    return Verdict(person_id, person.account_id, reason, earlier)


def is_open(now: datetime, closes_at: datetime | None, closed_at: datetime | None) -> bool:
    """Whether a survey takes answers."""
    return closed_at is None and (closes_at is None or now < closes_at)


def category(score: int) -> str:
    """promoter 9–10, passive 7–8, detractor 0–6."""
    return "promoter" if score >= 9 else "passive" if score >= 7 else "detractor"
