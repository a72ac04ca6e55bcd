"""The health of one account now, as it was written: the parts that are kept as JSON are passed on as they are."""

from typing import Any

from services.scoring.accounts import store
from services.scoring.accounts.answers import utc
from services.scoring.asof import Desk
from services.scoring.quick import Asked, Quick
from shared.errors import NotFound
from shared.http import Json
from shared.tenancy import Principal

_PLAIN = ("account_id", "score", "band", "effective_band", "confidence")


def quick_health(desk: Desk) -> Quick:
    """`GET /v1/accounts/{account_id}/health`."""

    async def answer(asker: Principal, account_id: str, _: Asked) -> bytes:
        async with desk.glance(asker) as question:
            row = await store.health_of(question, account_id)
            if row is None:
                raise NotFound
        told: dict[str, Any] = {name: row[name] for name in _PLAIN}
        head = Json.encoded(question.stamped(told | {"computed_at": utc(row["computed_at"])}))
        return b"%b,%b" % (head[:-1], row["health"][1:].encode())

    return Quick("/v1/accounts/{account_id}/health", answer)
