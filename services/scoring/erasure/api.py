"""The route that erases a person."""

import secrets
from typing import Annotated, Any, Literal

import asyncpg
from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel

from services.scoring.asof import Desk
from services.scoring.consumer import NAME as CONSUMER
from services.scoring.erasure import store
from services.scoring.erasure.rules import PREFIX, person_hash
from shared.audit import record
from shared.errors import NotFound, Unavailable
from shared.http import Json
from shared.postgres import Connection, tenant_transaction
from shared.tenancy import Principal, Right, require

SHORTEST = 4  # characters of a name that is taken out of free text: a shorter one would tear up other words
LOG = "What lies on Kafka's topics goes with their retention (7 days unless set otherwise); it is not applied by name."


class ErasureAnswer(BaseModel):
    """`person_id` stands for the person from now on. `erasing`: the archive is still being rewritten; ask again to hear
    `erased`. `ids`: under how many ids the person was known; null where that was told before."""

    person_id: str
    state: Literal["erasing", "erased"]
    ids: int | None
    log: str


def erasure_routes(desk: Desk) -> APIRouter:
    """`POST /v1/people/{person_id}/erase`."""
    routes = APIRouter(tags=["people"])
    admin = Depends(require(Right.ADMIN))

    @routes.post(
        "/v1/people/{person_id:id}/erase", status_code=202, response_model=ErasureAnswer, summary="Erase a person",
        responses={200: {"model": ErasureAnswer, "description": "The person is erased."}},
    )  # fmt: skip
    async def erase(person_id: str, asker: Annotated[Principal, admin]) -> Response:
        """The person's ids, name, address, title, comments and the notes of contacts with them go, under each id that
        an alias says is theirs; what they did stays counted, under a name that says nothing. Facts that come later are
        counted so too. 404 for a person whom no fact named. Asked again it says how far it is."""
        if "\0" in person_id:
            raise NotFound
        try:
            async with tenant_transaction(desk.database.worker, asker.tenant) as conn:
                await conn.execute("SET LOCAL lock_timeout = '20s'")
                told = await erased(conn, desk, asker, person_id)
        except asyncpg.LockNotAvailableError as problem:
            raise Unavailable("The fold does not come to a stop; ask again.") from problem
        return Json(told, 200 if told["state"] == "erased" else 202)

    return routes


async def erased(conn: Connection, desk: Desk, asker: Principal, person_id: str) -> dict[str, Any]:
    """The whole erasure but for archive and log, in one transaction. Raises NotFound, Unavailable."""
    tenant, now = asker.tenant, desk.clock.now()
    if not await store.share(conn):
        raise Unavailable("The state is being rebuilt; ask again when that is over.")
    await store.hold_fold(conn, CONSUMER)
    if entry := await store.known(conn, tenant, person_id):
        return _answer(entry["alias"], "erased" if entry["done_at"] else "erasing", None)
    found = await store.persons(conn, tenant, person_id)
    if not found:
        raise NotFound
    keys, ids = list(found), list(found.values())
    aliases = {one: PREFIX + secrets.token_hex(16) for one in ids}
    words = [*ids, *await store.words_of(conn, tenant, keys)]
    await store.enter(conn, tenant, [(person_hash(tenant, one), aliases[one], one) for one in ids], keys, now)
    touched = await store.unsay(conn, tenant, keys, aliases)
    touched += await store.unwrite(conn, tenant, [word for word in words if len(word) >= SHORTEST or word in aliases])
    await store.elsewhere(conn, tenant, aliases, words, now)
    await store.ask_again(conn, tenant, keys, touched, now)
    # The log of who did what names the person by what stands for them: an id there could never be taken back.
    await record(conn, asker, now, "person.erase", aliases[person_id], ids=len(ids))
    return _answer(aliases[person_id], "erasing", len(ids))


def _answer(alias: str, state: str, ids: int | None) -> dict[str, Any]:
    return {"person_id": alias, "state": state, "ids": ids, "log": LOG}
