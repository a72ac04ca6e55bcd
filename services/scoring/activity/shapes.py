"""The shapes of activity, for the OpenAPI document."""

from datetime import date, datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from services.scoring.accounts.shapes import Asked

_TALLY: Final[dict[str, Any]] = {
    "attempts": 14, "reached": 9, "reach_rate": 0.6428571428571429, "accounts_touched": 11, "accounts_reached": 8,
}  # fmt: skip
_GROUP: Final[dict[str, Any]] = {
    "key": "hana", "name": "Hana", **_TALLY, "by_channel": [{"channel": "phone", **_TALLY}],
    "inbound": {
        "came": 3, "waiting_for_answer": 2, "answered": 1, "median_answer_s": 5400.0, "open": 1,
        "open_over_1_working_day": 0,
    },
}  # fmt: skip


class Attempts(BaseModel):
    """Outbound contacts that were tried: reached, replied, no answer, bounced, cancelled; plans and notes are none.
    `reached`: somebody was reached or replied; `reach_rate` null without attempts. Accounts are distinct."""

    attempts: int
    reached: int
    reach_rate: float | None
    accounts_touched: int
    accounts_reached: int


class ChannelAttempts(Attempts):
    """Of one channel."""

    channel: str


class InboundAnswering(BaseModel):
    """What customers sent. A call or meeting that took place was answered while it lasted and asks for nothing more;
    all else waits for the first outbound contact that reached somebody or was sent (e-mail, chat). One working day ends
    with the first weekday, Monday to Friday, after the day it came."""

    came: int
    waiting_for_answer: int
    answered: int
    median_answer_s: float | None
    open: int
    open_over_1_working_day: int


class ActivityGroup(Attempts):
    """One CSM: who made the contact, not who owns the account; key null = nobody, last."""

    key: str | None
    name: str | None
    by_channel: list[ChannelAttempts]
    inbound: InboundAnswering


class ActivityWeek(BaseModel):
    """One ISO week of the tenant's zone, of which only the days of the period count."""

    week: str
    monday: date
    groups: list[ActivityGroup]


class OpenInbound(BaseModel):
    """A customer who waits for an answer for more than one working day."""

    account_id: str
    contact_id: str
    at: datetime
    channel: str
    csm_id: str | None
    answer_due: datetime


class ActivityAnswer(Asked):
    """The whole period by group, then week by week. `open_inbound`: the oldest 100."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "as_of": "2026-06-15T03:00:00Z", "fresh_to": "2026-06-15T03:00:00Z", "from": "2026-05-25",
                "to": "2026-06-15", "groups": [_GROUP],
                "weeks": [{"week": "2026-W25", "monday": "2026-06-15", "groups": [_GROUP]}], "open_inbound": [],
            }
        }
    )  # fmt: skip

    first: date = Field(alias="from")
    to: date
    groups: list[ActivityGroup]
    weeks: list[ActivityWeek]
    open_inbound: list[OpenInbound]
