"""Figures as people read them: rates, money, days. Pure; what is null is a dash."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from rich.text import Text

DASH: Final = "–"
_COLOUR: Final = {"green": "green", "yellow": "yellow", "red": "red"}


def percent(rate: float | None, digits: int = 0) -> str:
    """0.8 → `80 %`."""
    return DASH if rate is None else f"{rate * 100:.{digits}f} %"


def count(number: int | None) -> str:
    """1234 → `1,234`."""
    return DASH if number is None else f"{number:,}"


def money(amount: str | None) -> str:
    """A decimal string with thousands, to the whole unit."""
    return DASH if amount is None else f"{Decimal(amount):,.0f}"


def score(number: float | None) -> str:
    """A score to the whole point."""
    return DASH if number is None else f"{number:.0f}"


def signed(number: float | None) -> str:
    """A change with its sign."""
    return DASH if number is None else f"{number:+.0f}"


def age(seconds: float | None) -> str:
    """45 → `45 s`, 7200 → `2 h`, days above two of them."""
    if seconds is None:
        return DASH
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def days_ago(contact: Any, now: datetime) -> str:
    """The last contact (`{at, …}`, or its time) as calendar days before now, in the zone of `now`."""
    at = contact.get("at") if isinstance(contact, dict) else contact
    return "never" if at is None else f"{(now.date() - moment(at).astimezone(now.tzinfo).date()).days} d ago"


def moment(text: str) -> datetime:
    """An answer's time; a date alone is its midnight in UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def day(text: str | None) -> str:
    """The date of an answer's time."""
    return DASH if text is None else date.fromisoformat(text[:10]).isoformat()


def band(name: str | None, text: str | None = None) -> Text:
    """A band in its own colour."""
    return Text(text or name or DASH, style=_COLOUR.get(name or "", "dim"))
