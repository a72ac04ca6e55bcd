"""The shape of talking points, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.scoring.accounts.shapes import Asked


class BothWords(BaseModel):
    """The same sentence in both languages."""

    ja: str
    en: str


class TalkingPoint(BaseModel):
    """One point with its figures.

    `usage`: active_users_28, active_users_28_before, direction up·down·same. `usage_by_feature`: up and down, each
    {feature, events_28, events_28_before}. `never_used`: entitled value features never used: count, features.
    `new_unused`: those released within 90 days: count, features {feature, released_on}. `seats`: seats,
    active_users_28, unused. `nps_comment`: score, comment, at, survey_id, person_id. `renewal`: renewal_on, days_left
    (negative: passed). `alert`: rule, value, threshold, since; one point for each rule that fired.
    `since_last_contact`: last_contact_at (null: never), channel, days, changes {what, was, now}, responses,
    contract_changes.
    """

    kind: Literal[
        "usage", "usage_by_feature", "never_used", "new_unused", "seats", "nps_comment", "renewal", "alert",
        "since_last_contact",
    ]  # fmt: skip
    words: BothWords
    figures: dict[str, Any]


class OffPoint(BaseModel):
    """A point that cannot be made yet, and why."""

    kind: str
    words: BothWords


class TalkingPoints(Asked):
    """The agenda. A point without data is left out; `off` names what Genki does not keep yet, `rules_off` the alert
    rules that do not run yet."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "as_of": "2026-06-15T03:00:00Z", "fresh_to": "2026-06-15T03:00:00Z", "account_id": "acme",
                "name": "Acme", "items": [{
                    "kind": "seats",
                    "words": {
                        "ja": "20席のうち6席が直近28日間に使われました。", "en": "6 of 20 seats used in 28 days.",
                    },
                    "figures": {"seats": 20, "active_users_28": 6, "unused": 14},
                }],
                "off": [{"kind": "next_milestone", "words": {
                    "ja": "次のマイルストーンは、まだ記録されていません。", "en": "The next milestone is not kept yet.",
                }}],
                "rules_off": ["detractor", "renewal_unplanned", "plan_overdue"],
            }
        }
    )  # fmt: skip

    account_id: str
    name: str | None
    items: list[TalkingPoint]
    off: list[OffPoint]
    rules_off: list[str]
