"""What invitations say around the question, in both languages."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "ja": {
        "greeting": "いつもご利用いただき、ありがとうございます。",
        "request": "1分ほどで終わるアンケートにご協力をお願いいたします。下の数字を1つお選びください。",
        "again": "先日のアンケートを、あらためてご案内いたします。行き違いでご回答済みの場合は、ご容赦ください。",
        "low": "0：まったくすすめない",
        "high": "10：ぜひすすめたい",
        "open": "回答ページを開く",
        "confirm": "数字を押すと回答ページが開きます。ページで内容をご確認のうえ、お送りください。",
        "goodbye": "今後のご案内が不要な方は、こちらから配信を停止できます",
    },
    "en": {
        "greeting": "Thank you for being our customer.",
        "request": "May we ask you one question? It takes about a minute. Please choose a number below.",
        "again": "This is a reminder of the survey we sent you. If you have answered already, please ignore it.",
        "low": "0: not at all likely",
        "high": "10: extremely likely",
        "open": "Open the survey",
        "confirm": "A number opens the survey page; your answer counts once you send it there.",
        "goodbye": "If you do not want such mails, unsubscribe here",
    },
}


def _japanese(brand: str, *, again: bool) -> str:
    return f"【{brand}】アンケートのお願い{'（再送）' if again else ''}"


def _english(brand: str, *, again: bool) -> str:
    return f"{'Reminder: ' if again else ''}{brand} would like your opinion"


SUBJECT: Final[Mapping[str, Callable[..., str]]] = {"ja": _japanese, "en": _english}
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def until(lang: str, closes_at: datetime | None, tz: ZoneInfo) -> str | None:
    """Until when answers are taken, in the tenant's zone; None when nobody has said."""
    if closes_at is None:
        return None
    at = closes_at.astimezone(tz)
    if lang == "ja":
        return f"ご回答期限：{at.year}年{at.month}月{at.day}日 {at.hour}:{at.minute:02}"
    return f"Open until {at.day} {_MONTHS[at.month - 1]} {at.year}, {at.hour}:{at.minute:02} ({tz.key})"
