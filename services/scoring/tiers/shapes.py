"""The shapes of tier requests and answers."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.scoring.accounts.shapes import Asked

_KEPT = r"^[^\x00]*$"
Amount = Annotated[str, Field(max_length=40, pattern=_KEPT, description="Decimal text in the reporting currency.")]
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(9998, 12, 31))]
Note = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]


class TiersAnswer(Asked):
    """The amounts in force at T: an account of at least `high_amount` is high, of at least `low_amount` low, else tech.
    Provisional ones are computed from the accounts and have no dates."""

    high_amount: str | None
    low_amount: str | None
    currency: str
    effective_from: date | None
    review_due: date | None
    overdue: bool
    provisional: bool


class ReviewWish(BaseModel):
    """What a review looks at: the accounts at `as_of` (a day or an instant), now when absent."""

    model_config = ConfigDict(extra="forbid")

    as_of: str | None = None


class Computed(BaseModel):
    """The amounts that the accounts' values lead to; null where no account has a value."""

    high_amount: str | None
    low_amount: str | None


class MoveShown(BaseModel):
    """An account that would change its tier."""

    model_config = ConfigDict(serialize_by_alias=True)

    account_id: str
    was: Annotated[str | None, Field(alias="from")]
    to: str


class LoadShown(BaseModel):
    """What one CSM looks after; `csm_id` null = nobody. `utilisation`: 1 is full."""

    csm_id: str | None
    high: int
    low: int
    tech: int
    utilisation: float
    over: bool
    under: bool


class PolicyShown(BaseModel):
    """What was published of a review, beside what was computed."""

    effective_from: date
    review_due: date
    high_amount: str
    low_amount: str
    note: str
    author: str
    published_at: datetime


class ReviewShort(BaseModel):
    """A review in the list: `n` accounts with a value."""

    id: str
    as_of: datetime
    n: int
    currency: str
    computed: Computed
    author: str
    created_at: datetime
    published: PolicyShown | None


class Review(ReviewShort):
    """A review: who would move by the computed amounts, and the load of each CSM then."""

    moves: list[MoveShown]
    load: list[LoadShown]


class ReviewList(BaseModel):
    """Reviews, the newest first."""

    items: list[ReviewShort]
    total: int | None
    next_cursor: str | None


class PublishWish(BaseModel):
    """From which day the amounts hold (a past one is allowed), the amounts where they shall differ from the computed
    ones, and why."""

    model_config = ConfigDict(extra="forbid")

    effective_from: Day
    high_amount: Amount | None = None
    low_amount: Amount | None = None
    note: Note


class LoadList(Asked):
    """The load of every CSM who owns an account."""

    items: list[LoadShown]
