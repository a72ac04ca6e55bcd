"""NPS figures and their groups as the routes answer them. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any, Final

from services.scoring.nps.rules import Tally, category, response_rate
from services.scoring.nps.store import Standing

Key = str | None
TIERS: Final[tuple[Key, ...]] = ("high", "low", "tech")
COUNTED_BY: Final = {"tenant": "tenant", "account": "account", "tier": "account", "csm": "account", "survey": "survey"}


def counted(tally: Tally) -> dict[str, Any]:
    """A figure: nps and interval null without any answer, response_rate null if none was sent."""
    found = tally.figure()
    return {
        "n": found.n,
        "promoters": found.promoters,
        "passives": found.passives,
        "detractors": found.detractors,
        "nps": found.nps,
        "interval": found.interval,
        "sent": tally.sent,
        "response_rate": response_rate(tally.sent, tally.answered),
    }


def grouped(by: str, tallies: Mapping[Key, Tally], standings: Mapping[str, Standing]) -> list[dict[str, Any]]:
    """The groups in order of key, null last; `by=tier` lists every tier. `tallies`: by what COUNTED_BY says."""
    found: dict[Key, Tally] = {}
    for key, tally in tallies.items():
        found.setdefault(_group(by, key, standings), Tally()).add(tally)
    names = _names(by, standings)
    return [
        {"key": key, "name": names.get(key), **counted(found.get(key, Tally()))} for key in _ordered(by, found.keys())
    ]


def _group(by: str, key: Key, standings: Mapping[str, Standing]) -> Key:
    """Which group the answers of an account belong to: accounts that nothing is known of, and none, to nobody's."""
    if by not in ("tier", "csm"):
        return key
    standing = None if key is None else standings.get(key)
    if standing is None:
        return None
    return standing.tier if by == "tier" else standing.csm_id


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
