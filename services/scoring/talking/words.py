"""Sentences about an account, each with its figure, in Japanese and English. Pure.

The home screen and the talking points say the same thing in the same words.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple


class Words(NamedTuple):
    """One sentence."""

    ja: str
    en: str

    def as_json(self) -> dict[str, str]:
        """As the API shows it."""
        return {"ja": self.ja, "en": self.en}


def days(count: int) -> str:
    """`1 day`, `2 days`."""
    return "1 day" if count == 1 else f"{count} days"


def many_users(count: int) -> str:
    """`1 user`, `2 users`."""
    return "1 user" if count == 1 else f"{count} users"


def day_ja(day: date) -> str:
    """`2026年6月15日`."""
    return f"{day.year}年{day.month}月{day.day}日"


def payment(count: float) -> Words:
    """How late a payment is, in days."""
    return Words(f"お支払いが{count:.0f}日遅れています。", f"Payment is {count:.0f} days overdue.")


def renewal(on: date, today: date) -> Words:
    """When the contract renews, or that the date has passed."""
    ahead = (on - today).days
    if ahead < 0:
        return Words(
            f"契約の更新日（{day_ja(on)}）を{-ahead}日過ぎています。",
            f"The renewal date {on} passed {days(-ahead)} ago.",
        )
    return Words(f"契約の更新日は{day_ja(on)}、あと{ahead}日です。", f"Renewal on {on}, in {days(ahead)}.")


def users_against(users: int, ratio: float) -> Words:
    """Active users of 28 days against the 28 before, `ratio` of them."""
    if ratio == 1:
        return Words(
            f"直近28日間の利用者は{users}人、その前の28日間と同じです。",
            f"{many_users(users)} active in 28 days, as many as in the 28 before.",
        )
    percent, fewer = abs(100 - 100 * ratio), ratio < 1
    return Words(
        f"直近28日間の利用者は{users}人、その前の28日間より{percent:.0f}%{'減りました' if fewer else '増えました'}。",
        f"{many_users(users)} active in 28 days, {percent:.0f} % {'fewer' if fewer else 'more'} than in the 28 before.",
    )


def users_after_none(users: int) -> Words:
    """Active users of 28 days where there were none in the 28 before."""
    if not users:
        return Words("直近56日間、利用がありません。", "Nobody was active in the last 56 days.")
    return Words(
        f"直近28日間の利用者は{users}人、その前の28日間は0人でした。",
        f"{many_users(users)} active in 28 days, none in the 28 before.",
    )


def quiet(count: int) -> Words:
    """Since when nobody has used it."""
    return Words(f"最後の利用は{count}日前です。", f"Last used {days(count)} ago.")


def seats(used: int, of: int) -> Words:
    """Seats that were used in 28 days."""
    if not used:
        return Words("直近28日間、席は1つも使われていません。", "None of the seats was used in 28 days.")
    return Words(f"{of}席のうち{used}席が直近28日間に使われました。", f"{used} of {of} seats used in 28 days.")


def features_share(share: float) -> Words:
    """How many of the value features were used."""
    return Words(
        f"価値の中心となる機能のうち{100 * share:.0f}%が直近28日間に使われました。",
        f"{100 * share:.0f} % of the value features used in 28 days.",
    )


def scores_mean(score: float) -> Words:
    """What recent surveys say."""
    return Words(
        f"最近のアンケートの平均点は10点中{score:.1f}点です。", f"Recent survey scores average {score:.1f} of 10."
    )


def no_contact() -> Words:
    """Nobody has talked to them."""
    return Words("これまでに接点がありません（0件）。", "No contact so far (0).")


def rhythm(count: float) -> Words:
    """On how many days it was used."""
    return Words(f"直近28日間のうち{count:.0f}日利用されました。", f"Used on {count:.0f} of the last 28 days.")


def feature_moves(up: Sequence[tuple[str, int, int]], down: Sequence[tuple[str, int, int]]) -> Words:
    """Which features were used more or less: (feature, uses of 28 days, of the 28 before)."""
    parts = [("増えた機能", "More", up), ("減った機能", "Less", down)]
    ja = [f"{name}: {'、'.join(_moved(one) for one in some)}。" for name, _, some in parts if some]
    en = [f"{name}: {', '.join(_moved(one) for one in some)}." for _, name, some in parts if some]
    return Words("".join(ja), " ".join(en))


def _moved(one: tuple[str, int, int]) -> str:
    feature, now, before = one
    return f"{feature} ({before} → {now})"


def never_used(features: Sequence[str]) -> Words:
    """Value features that nobody there has ever used."""
    return Words(
        f"一度も使われていない機能が{len(features)}つあります: {'、'.join(features)}。",
        f"{_value_features(len(features))} never used: {', '.join(features)}.",
    )


def _value_features(count: int) -> str:
    return "1 value feature" if count == 1 else f"{count} value features"


def new_unused(features: Sequence[tuple[str, date]]) -> Words:
    """Value features released within 90 days that nobody there has used."""
    ja = "、".join(f"{name}（{day_ja(on)}公開）" for name, on in features)
    en = ", ".join(f"{name} (released on {on})" for name, on in features)
    return Words(
        f"90日以内に公開され、まだ使われていない機能: {ja}。", f"Released in the last 90 days and not used: {en}."
    )


def comment(score: int | None, text: str, on: date) -> Words:
    """The last comment of a survey, in full."""
    points_ja = "" if score is None else f"（{score}点）"
    points_en = "" if score is None else f" (score {score})"
    return Words(
        f"{day_ja(on)}のアンケートのコメント{points_ja}: 「{text}」", f"Survey comment of {on}{points_en}: “{text}”"
    )


def milestone_off() -> Words:
    """Why no milestone is named."""
    return Words("次のマイルストーンは、まだ記録されていません。", "The next milestone is not kept yet.")
