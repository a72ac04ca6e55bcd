"""Imported answers: a row becomes a draft or a refusal, drafts become facts with ids that a second import repeats."""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from shared import facts
from shared.sheets.cells import BadCell, ident, instant, text_cell, whole

FIELDS: Final = ("at", "account_id", "person_id", "score", "comment", "survey", "response_id")
REQUIRED: Final = ("at",)
UNNAMED: Final = "Imported responses"  # the survey of rows that name none
MAX_COMMENT: Final = 10_000  # characters
MAX_RESPONSE_ID: Final = 100


@dataclass(frozen=True, slots=True)
class Draft:
    """A sound row: `at` in µs since 1970, the survey by its name."""

    at: int
    survey: str
    account_id: str | None
    person_id: str | None
    score: int | None
    comment: str | None
    response_id: str | None


def draft(told: Mapping[str, str], tz: ZoneInfo, latest: int) -> Draft:
    """The row's answer, an instant up to `latest` (µs). Raises BadCell with the first thing that is wrong."""
    if "at" not in told:
        raise BadCell("missing_at", "at is empty")
    return Draft(
        at=instant(told["at"], "at", tz, latest),
        survey=_survey(told.get("survey", UNNAMED)),
        account_id=ident(told["account_id"], "account_id") if "account_id" in told else None,
        person_id=ident(told["person_id"], "person_id") if "person_id" in told else None,
        score=whole(told["score"], "score", 0, 10) if "score" in told else None,
        comment=text_cell(told["comment"], "comment", MAX_COMMENT) if "comment" in told else None,
        response_id=ident(told["response_id"], "response_id", MAX_RESPONSE_ID) if "response_id" in told else None,
    )


def _survey(name: str) -> str:
    plain = " ".join(unicodedata.normalize("NFC", name).split())
    if not plain.isprintable():
        raise BadCell("invalid_survey", "survey holds control characters")
    return text_cell(plain, "survey")


def to_facts(
    drafts: Iterable[Draft], surveys: Mapping[str, str], tenant: int, received: int
) -> list[facts.SurveyResponse]:
    """One fact a row. Its id is a hash of what it says and, for rows that say the same without a `response_id`, their
    number among them: the same file again makes the same facts. With a `response_id` a changed row is a later edit."""
    repeats: dict[str, int] = {}
    made: list[facts.SurveyResponse] = []
    for one in drafts:
        said = _fact(one, surveys[one.survey], tenant)
        line = facts.encode(said)
        digest = hashlib.blake2b(line, digest_size=15).hexdigest()
        count = repeats.get(digest, 0) if one.response_id is None else 0
        repeats[digest] = count + 1
        said.id = f"import-{digest}" + (f"-{count}" if count else "")
        said.response_id = one.response_id or said.id
        said.received, said.hash = received, facts.sent_hash(line)
        made.append(said)
    return made


def _fact(one: Draft, survey_id: str, tenant: int) -> facts.SurveyResponse:
    return facts.SurveyResponse(
        tenant=tenant,
        id="",
        received=0,
        response_id=one.response_id or "",
        survey_id=survey_id,
        at=one.at,
        account_id=one.account_id,
        person_id=one.person_id,
        score=one.score,
        comment=one.comment,
    )
