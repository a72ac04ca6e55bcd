"""NPS figures and their groups as the routes answer them. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from services.scoring.nps.rules import (
    Response,
    category,
    figure,
    per_person,
    per_person_and_account,
    per_person_and_survey,
    response_rate,
)
from services.scoring.nps.store import Invited, Standing

Key = str | None
Told = Response | Invited
TIERS: Final[tuple[Key, ...]] = ("high", "low", "tech")
_UNIT: Final[Mapping[str, Callable[[Iterable[Response]], list[Response]]]] = {
    "tenant": per_person,
    "account": per_person_and_account,
    "tier": per_person_and_account,
    "csm": per_person_and_account,
    "survey": per_person_and_survey,
}


def counted(responses: Iterable[Response], invited: Sequence[Invited]) -> dict[str, Any]:
    """The figure of answers, one a unit: nps and interval null without any, response_rate null if none was sent."""
    found = figure(one.score for one in responses if one.score is not None)
    return {
        "n": found.n,
        "promoters": found.promoters,
        "passives": found.passives,
        "detractors": found.detractors,
        "nps": found.nps,
        "interval": found.interval,
        "sent": len(invited),
        "response_rate": response_rate(len(invited), sum(one.answered for one in invited)),
    }


def grouped(
    by: str, responses: Iterable[Response], invited: Iterable[Invited], standings: Mapping[str, Standing]
) -> list[dict[str, Any]]:
    """The groups in order of key, null last; `by=tier` lists every tier."""
    place = _placing(by, standings)
    answers: dict[Key, list[Response]] = {}
    asked: dict[Key, list[Invited]] = {}
    for one in _UNIT[by](responses):
        answers.setdefault(place(one), []).append(one)
    for one in invited:
        asked.setdefault(place(one), []).append(one)
    names = _names(by, standings)
    return [
        {"key": key, "name": names.get(key), **counted(answers.get(key, ()), asked.get(key, ()))}
        for key in _ordered(by, answers.keys() | asked.keys())
    ]


def _placing(by: str, standings: Mapping[str, Standing]) -> Callable[[Told], Key]:
    def standing(one: Told) -> Standing | None:
        return None if one.account_id is None else standings.get(one.account_id)

    places: dict[str, Callable[[Told], Key]] = {
        "tenant": lambda _: "tenant",
        "account": lambda one: one.account_id,
        "survey": lambda one: one.survey_id,
        "tier": lambda one: found.tier if (found := standing(one)) else None,
        "csm": lambda one: found.csm_id if (found := standing(one)) else None,
    }
    return places[by]


def _names(by: str, standings: Mapping[str, Standing]) -> Mapping[Key, str | None]:
    if by == "account":
        return {account_id: one.name for account_id, one in standings.items()}
    if by == "csm":
        return {one.csm_id: one.csm_name for one in standings.values()}
    return {}


def _ordered(by: str, keys: Iterable[Key]) -> list[Key]:
    if by == "tenant":
        return ["tenant"]
    found = set(keys)
    if by == "tier":
        return [*TIERS, *([None] if None in found else [])]
    return sorted(found, key=lambda key: (key is None, key or ""))


def response_item(row: Mapping[str, Any]) -> dict[str, Any]:
    """One answer in the list."""
    return {
        "response_id": row["response_id"],
        "survey_id": row["survey_id"],
        "account_id": row["account_id"],
        "person_id": row["person_id"],
        "score": row["score"],
        "comment": row["comment"],
        "at": row["at"].astimezone(UTC),
        "category": category(row["score"]),
    }
