"""What the report to the customer says, in both languages. The customer reads it: nothing here judges. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from services.scoring.talking.words import day_ja

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "ja": {
        "title": "ご利用レポート",
        "to": "{name} 御中",
        "period": "{first}〜{last}（28日間）",
        "figures": "28日間のご利用",
        "nothing": "この期間のご利用はありませんでした。",
        "users": "利用者",
        "events": "利用回数",
        "days": "利用された日",
        "seats": "利用された席",
        "before": "前の28日間: {n}",
        "of_days": "{n}日のうち",
        "of_seats": "{n}席のうち",
        "weeks": "週ごとのご利用",
        "week": "週",
        "features": "よく使われた機能",
        "feature": "機能",
        "more": "ほか{n}件",
        "new": "新しい機能",
        "released": "{day}公開",
        "unused": "まだお使いでない機能",
        "note": "利用者は、期間中に1回以上ご利用になった方の人数です。",
    },
    "en": {
        "title": "Usage report",
        "to": "For {name}",
        "period": "{first} to {last} (28 days)",
        "figures": "28 days of use",
        "nothing": "There was no use in this period.",
        "users": "Users",
        "events": "Uses",
        "days": "Days in use",
        "seats": "Seats in use",
        "before": "28 days before: {n}",
        "of_days": "of {n}",
        "of_seats": "of {n}",
        "weeks": "Week by week",
        "week": "Week",
        "features": "Most used features",
        "feature": "Feature",
        "more": "and {n} more",
        "new": "New features",
        "released": "released on {day}",
        "unused": "Features you have not tried yet",
        "note": "Users are the people who used the product at least once in the period.",
    },
}
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day(on: date, lang: str) -> str:
    """`2026年6月15日`, `15 Jun 2026`."""
    return day_ja(on) if lang == "ja" else f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


def short(on: date, lang: str) -> str:
    """`6/15`, `15 Jun`."""
    return f"{on.month}/{on.day}" if lang == "ja" else f"{on.day} {_MONTHS[on.month - 1]}"


def number(value: int) -> str:
    """With separators: `12,345`."""
    return f"{value:,}"
