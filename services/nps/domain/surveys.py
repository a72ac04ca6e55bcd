"""Surveys: what is asked when nothing else is said, who is invited and why not."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

LANGUAGES: Final = ("ja", "en")
CATEGORIES: Final = ("detractor", "passive", "promoter")
Text = Mapping[str, str]  # by language
_ADDRESS: Final = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,64}@[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,255}")
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
    """A person as scoring knows them: the account they belong to now, if any, whether it is churned and which CSM owns
    it; `also` are other ids of theirs."""

    person_id: str
    account_id: str | None
    email: str | None
    deactivated: bool
    churned: bool = False
    also: Sequence[str] = ()
    csm_id: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id of theirs."""
        return (self.person_id, *self.also)


@dataclass(frozen=True, slots=True)
class Past:
    """What was sent before or waits to be: invitations to this survey and the latest to any by person, and who wants
    none."""

    invited: Mapping[str, str] = field(default_factory=dict[str, str])
    last_sent: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    opted_out: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Terms:
    """By what persons are judged: the survey, its quiet days, when invitations would leave, whether churned accounts
    are meant, the share of those who could be invited that is, and the CSMs to whose accounts the asker is bound."""

    survey_id: str
    now: datetime
    quiet_days: int = 90
    churned_too: bool = False
    sample: float = 1.0
    owners: Set[str] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a person is invited: `reason` says why not. `invitation_id` is that of an earlier invitation."""

    person_id: str
    account_id: str | None = None
    reason: str | None = None
    invitation_id: str | None = None
    email: str | None = None


def judge(wanted: Iterable[str], people: Mapping[str, Person], past: Past, terms: Terms) -> list[Verdict]:
    """One verdict a person, in the order asked, a person named twice once. The first reason that holds is told:
    unknown_person, not_yours (of no account of `owners`), deactivated, account_churned, opted_out, already_invited (to
    this survey), no_email, bad_email, quiet_period (less than `quiet_days` times 24 hours since the last invitation to
    any survey), not_sampled. Two ids of one person are invited once."""
    verdicts: list[Verdict] = []
    taken: set[str] = set()
    for one in dict.fromkeys(wanted):
        verdict = _verdict(one, people.get(one), past, terms)
        if verdict.reason is None:
            if one in taken:
                verdict = Verdict(one, verdict.account_id, "already_invited")
            taken.update(people[one].ids)
        verdicts.append(verdict)
    return verdicts


def _verdict(person_id: str, person: Person | None, past: Past, terms: Terms) -> Verdict:
    if person is None:
        return Verdict(person_id, reason="unknown_person")
    sent = [past.last_sent[one] for one in person.ids if one in past.last_sent]
    earlier = next((past.invited[one] for one in person.ids if one in past.invited), None)
    reasons = (
        ("not_yours", terms.owners is not None and person.csm_id not in terms.owners),
        ("deactivated", person.deactivated),
        ("account_churned", person.churned and not terms.churned_too),
        ("opted_out", not past.opted_out.isdisjoint(person.ids)),
        ("already_invited", earlier is not None),
        ("no_email", not person.email),
        ("bad_email", not _ADDRESS.fullmatch(person.email or "")),
        ("quiet_period", bool(sent) and terms.now - max(sent) < timedelta(days=terms.quiet_days)),
        ("not_sampled", part(terms.survey_id, min(person.ids)) >= terms.sample),
    )
    reason = next((name for name, holds in reasons if holds), None)
    if reason is None:
        return Verdict(person_id, person.account_id, email=person.email)
    return Verdict(person_id, person.account_id, reason, earlier if reason == "already_invited" else None)


def part(survey_id: str, text: str) -> float:
    """A number in [0, 1) that belongs to this text in this survey: the same whenever it is asked for."""
    digest = hashlib.blake2b(f"{survey_id}|{text}".encode("utf-8", "replace"), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


def is_open(now: datetime, closes_at: datetime | None, closed_at: datetime | None) -> bool:
    """Whether a survey takes answers."""
    return closed_at is None and (closes_at is None or now < closes_at)


def category(score: int) -> str:
    """promoter 9–10, passive 7–8, detractor 0–6."""
    return "promoter" if score >= 9 else "passive" if score >= 7 else "detractor"
