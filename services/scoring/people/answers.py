"""People as the API shows them. Pure."""

from typing import Any

from services.scoring.accounts.answers import utc
from services.scoring.people.store import Person


def person(one: Person) -> dict[str, Any]:
    """One person. `is_id`: counts as an ID of the account, by DOMAIN's S3."""
    used, scored = one.used, one.scored
    said, gone = one.here.get("uses_product"), one.here.get("deactivated", False)
    return {
        "person_id": one.person_id,
        "name": one.own.get("name"),
        "email": one.own.get("email"),
        "title": one.own.get("title"),
        "since": utc(one.since),
        "uses_product": said,
        "deactivated": gone,
        "is_id": bool(used or said) and not gone,
        "first_usage_day": used["first_day"] if used else None,
        "last_usage_day": used["last_day"] if used else None,
        "active_days_28": used["days"] if used else 0,
        "events_28": used["events"] if used else 0,
        "last_score": scored["score"] if scored else None,
        "last_score_at": utc(scored["at"]) if scored else None,
        "last_contact_at": utc(one.reached),
    }
