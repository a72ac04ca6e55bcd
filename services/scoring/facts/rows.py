"""From rows of the statements to what the rules read, moment by moment (the latest first), by account. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from services.scoring.account import ContractChange, Moment, Override, PersonScore, Touch
from services.scoring.facts.versions import at_moments
from shared.clock import day_of
from shared.money import convert
from shared.tenant_settings import TenantSettings


def touches(rows: Iterable[Any], moments: int) -> list[dict[int, dict[Any, Touch]]]:
    """The latest contact of each channel and outcome."""
    told = (
        (account, (channel, outcome), Touch(at.astimezone(UTC), fact_id, channel, outcome, csm_id), part)
        for account, channel, outcome, at, fact_id, csm_id, part in rows
    )
    return at_moments(told, moments)


def contracts(
    rows: Iterable[Any], moments: Sequence[Moment], settings: TenantSettings
) -> list[dict[int, list[ContractChange]]]:
    """Changes that took effect by then; the same lists at every moment where all did."""
    every: dict[int, list[ContractChange]] = {}
    for row in rows:
        change = ContractChange(
            row["contract_id"], row["id"], row["effective_on"], row["change"],
            reporting(row["acv_after"], row["currency"], settings), row["term_end"], row["reason"],
        )  # fmt: skip
        every.setdefault(row["account"], []).append(change)
    return [every, *(_in_effect(every, moment) for moment in moments[1:])]


def _in_effect(every: Mapping[int, list[ContractChange]], moment: Moment) -> dict[int, list[ContractChange]]:
    held = {account: [one for one in told if one.effective_on <= moment.day] for account, told in every.items()}
    return {account: told for account, told in held.items() if told}


def overrides(rows: Iterable[Any], moments: Sequence[Moment]) -> list[dict[int, Override]]:
    """The latest manual band that holds; rows run from the latest given to the first."""
    found: list[dict[int, Override]] = [{} for _ in moments]
    for row in rows:
        given = Override(row["band"], row["reason"], row["author"], row["expires_at"].astimezone(UTC))
        for held, moment in zip(found, moments, strict=True):
            if _holds(row, moment.at):
                held.setdefault(row["account"], given)
    return found


def _holds(row: Any, at: datetime) -> bool:
    return row["at"] <= at < row["expires_at"] and (row["ended_at"] is None or row["ended_at"] > at)


def scores(rows: Iterable[Any], moments: Sequence[Moment]) -> list[dict[int, list[PersonScore]]]:
    """Each person's latest scored answer; an account with none but comments keeps an empty list."""
    told = (
        (None, response_id, (account, person, (at.astimezone(UTC), response_id, score)), part)
        for account, person, at, response_id, score, part in rows
    )
    each = at_moments(told, len(moments))
    return [_scores(answers.get(None, {}).values(), moment) for answers, moment in zip(each, moments, strict=True)]


def _scores(answers: Iterable[Any], moment: Moment) -> dict[int, list[PersonScore]]:
    latest: dict[int, dict[Any, tuple[datetime, str, int]]] = {}
    for account, person, version in answers:
        persons = latest.setdefault(account, {})
        if version[2] is not None:
            key = version[1] if person is None else person
            persons[key] = max(persons.get(key, version), version)
    return {
        account: [
            PersonScore(str(person), score, at, day_of(at, moment.tz)) for person, (at, _, score) in persons.items()
        ]
        for account, persons in latest.items()
    }


def reporting(minor: int, currency: str, settings: TenantSettings) -> int:
    """In the reporting currency by the rate in force now; money that has lost its rate counts as 0."""
    if currency == settings.currency:
        return minor
    rate = settings.fx.get(currency)
    return 0 if rate is None else convert(minor, currency, settings.currency, rate)
