"""What happened, as the API shows it. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from services.scoring.accounts.answers import money, utc
from services.scoring.contracts.answers import change
from services.scoring.contracts.rules import Entry as Line
from services.scoring.facts.values import value_of
from services.scoring.nps.rules import category
from services.scoring.timeline.rules import Entry


def shown(entry: Entry) -> dict[str, Any]:
    """One entry."""
    return {"kind": entry.kind, "at": utc(entry.at), "id": entry.id, **entry.figures}


def figures(kind: str, row: Mapping[str, Any], named: Any) -> dict[str, Any]:
    """The figures of a row of one of the sources."""
    return _FIGURES[kind](row, named)


def contract(line: Line, currency: str) -> dict[str, Any]:
    """The figures of a contract's change."""
    return {name: value for name, value in change(line, currency).items() if name != "id"}


def _contact(row: Mapping[str, Any], named: Any) -> dict[str, Any]:
    return {
        "channel": row["channel"],
        "outcome": row["outcome"],
        "direction": row["direction"],
        "csm_id": row["csm_id"],
        "csm_name": _name(row["csm_id"], named),
        "person_ids": row["person_ids"],
        "playbook": row["playbook"],
        "note": row["note"],
        "voices": msgspec.Raw(row["voices"].encode()) if row["voices"] else [],
    }


def _response(row: Mapping[str, Any], _named: Any) -> dict[str, Any]:
    told = {name: row[name] for name in ("survey_id", "person_id", "score", "comment")}
    return {**told, "category": category(row["score"])}


def _owner(row: Mapping[str, Any], named: Any) -> dict[str, Any]:
    was, now = _decoded(row["was"]), _decoded(row["value"])
    return {"was": was, "was_name": _name(was, named), "now": now, "now_name": _name(now, named)}


def _attribute(row: Mapping[str, Any], named: Any) -> dict[str, Any]:
    return {
        "field": row["field"],
        "was": _plain(row["field"], row["was"], named),
        "now": _plain(row["field"], row["value"], named),
    }


def _member(row: Mapping[str, Any], _named: Any) -> dict[str, Any]:
    return {"person_id": row["person_id"], "change": row["change"]}


def _band(row: Mapping[str, Any], _named: Any) -> dict[str, Any]:
    return {
        "was": row["was_band"], "now": row["band"], "was_effective": row["was_effective"],
        "now_effective": row["effective_band"], "score_was": row["was_score"], "score_now": row["score"],
    }  # fmt: skip


def _override(row: Mapping[str, Any], _named: Any) -> dict[str, Any]:
    told = {name: row[name] for name in ("band", "reason", "author")}
    return {**told, "expires_at": utc(row["expires_at"]), "change": "given" if row["given"] else "ended"}


_FIGURES: Final[Mapping[str, Callable[[Mapping[str, Any], Any], dict[str, Any]]]] = {
    "contact": _contact, "response": _response, "owner": _owner, "attribute": _attribute, "member": _member,
    "band": _band, "override": _override,
}  # fmt: skip


def _name(csm_id: str | None, named: Any) -> str | None:
    csm = named.csms.get(csm_id or "")
    return csm.name if csm else None


def _decoded(value: str | None) -> Any:
    return None if value is None else msgspec.json.decode(value)


def _plain(field: str, value: str | None, named: Any) -> Any:
    """As text or number; money in the reporting currency by the rate in force now."""
    meant = value_of(field, value, named.settings)
    return money(meant, named.settings.currency) if field in ("acv", "potential_acv") else meant
