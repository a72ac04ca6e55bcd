"""The keep list: the state of each account of priority High, and why nobody has reached one that is uncovered. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.scoring.coverage.rules import SOON_DAYS

STATES: Final = ("uncovered", "due", "covered")  # in their order; due: falls out within SOON_DAYS
DUE_DAYS: Final = SOON_DAYS
PRIORITY: Final = "High"


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of an uncovered account: who looks after it, when it was last reached, what is planned, and how
    often it was tried in vain since."""

    csm_id: str | None
    last_contact_at: datetime | None
    planned_at: datetime | None
    attempts: int


def why(now: Situation) -> str:
    """What the facts say themselves: `planned` (a contact lies ahead), `attempted` (tried in vain since it was last
    reached), `no_owner` (nobody looks after it), `never_contacted`, else `lapsed`: reached once, left since."""
    if now.planned_at is not None:
        return "planned"
    if now.attempts:
        return "attempted"
    if now.csm_id is None:
        return "no_owner"
    return "never_contacted" if now.last_contact_at is None else "lapsed"
