"""Tenants filled through the doors of a running Genki with everything these take, every text a word of their own."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from tests.journeys.running import fresh, send

ALPHA, BETA = "zqalpha", "zqbeta"  # every text that a tenant stores holds its word


@dataclass
class Tenant:
    """One tenant: its keys, two open clients, and ids of what only it has, by path or query parameter."""

    word: str
    tenant_id: str
    keys: dict[str, str]
    door: httpx2.AsyncClient
    asker: httpx2.AsyncClient
    own: dict[str, str] = field(default_factory=dict)


def facts(word: str, count: int) -> list[dict[str, Any]]:
    """Facts of every type under ids that every tenant has, `count` of some, and of one account and person more."""
    now = datetime.now(UTC)
    told: list[dict[str, Any]] = [
        {"type": "csm", "csm_id": "csm-1", "name": f"{word} Sato", "email": f"{word}@x.example", "team": f"{word}-team"}
    ]
    for number, account in enumerate(["acct-1", "acct-2", f"{word}-only"]):
        owned = {"csm_id": "csm-1", "acv": str(count * 1_000_000 + number), "currency": "JPY", "seats": count}
        about = {"name": f"{word} K.K. {number}", "plan": f"{word}-plan", "traits": {"note": f"{word}-trait"}}
        told.append({"type": "account", "account_id": account, **owned, **about, "features": [f"{word}-feature"]})
        person = f"{word}-person" if number == 2 else f"p-{number}"
        titled = {"name": f"{word} Tanaka", "email": f"{word}@y.example", "title": f"{word}-title"}
        told.append({"type": "person", "person_id": person, "account_id": account, **titled})
        spoken = {"channel": "phone", "outcome": "reached", "csm_id": "csm-1", "note": f"{word}-note"}
        told.append(
            {
                "type": "contact",
                "account_id": account,
                **spoken,
                "voices": [{"kind": "request", "text": f"{word}-voice"}],
            }
        )
        signed = {"effective_on": "2025-01-01", "change": "new", "acv_after": str(count * 500), "currency": "JPY"}
        told.append({"type": "contract", "account_id": account, **signed, "reason": f"{word}-reason"})
        used = {"type": "usage", "person_id": person, "properties": {"p": f"{word}-property"}}
        told += [{**used, "event": name} for name in ("login", f"{word}-event") for _ in range(count)]
    told.append({"type": "usage", "person_id": f"{word}-stray", "event": "login"})
    for number, fact in enumerate(told):
        fact["id"] = f"f-{number}"
        if fact["type"] != "contract":
            fact["at"] = (now - timedelta(days=1 + number % 20, hours=1)).isoformat()
    return told


def answers(word: str) -> str:
    """A file of survey responses, the same persons and response ids for every tenant."""
    days = [(datetime.now(UTC) - timedelta(days=n + 2)).date() for n in range(7)]
    rows = [f"{days[n]},acct-{n % 2 + 1},p-{n % 2},{n},{word}-comment,{word}-survey,r-{n}" for n in range(6)]
    more = f"{days[6]},{word}-only,{word}-person,3,{word}-comment,{word}-survey,{word}-response"
    return "\n".join(["at,account_id,person_id,score,comment,survey,response_id", *rows, more])


async def fill(tenant: Tenant, count: int) -> None:
    """Everything that the doors take: facts, tracking calls, refused and conflicting ones, responses, settings, a
    published tier review and one that is not, a key."""
    word, told = tenant.word, facts(tenant.word, count)
    await send(tenant.door, told)
    await send(tenant.door, [{**told[1], "name": f"{word}-conflict"}])
    refused = await tenant.door.post("/v1/events", json=[{"type": "usage", "id": f"{word}-refused", "event": "x"}])
    assert refused.json()["results"][0]["status"] == "rejected"
    call = {"userId": "p-0", "event": f"{word}-tracked", "messageId": "m-1", "context": {"groupId": "acct-1"}}
    await _taken(tenant.door, "/v1/track", json=call)
    file = {"content": answers(word).encode(), "headers": {"content-type": "text/csv"}}
    assert (await _taken(tenant.door, "/v1/imports/responses", **file))["accepted"] == 7
    feature = {"feature": f"{word}-feature", "weight": 1, "share": 1, "events": [f"{word}-event"]}
    await made_by(tenant.asker.put("/v1/settings", json={"value_features": [feature]}), 200)
    await fresh(tenant.asker, datetime.now(UTC))
    await _ask(tenant)
    await _judge(tenant)


async def _taken(door: httpx2.AsyncClient, path: str, **asked: Any) -> Any:
    """The answer 200 to what is sent again while the answer is 503, as a careful client does."""
    answer = await door.post(path, **asked)
    for _ in range(20):
        if answer.status_code == 503:
            await asyncio.sleep(0.5)
            answer = await door.post(path, **asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _ask(tenant: Tenant) -> None:
    """A survey of its own with one answer through its link; the person then unsubscribes."""
    word = tenant.word
    asking = {"question": {"ja": f"{word}-ja", "en": f"{word}-en"}, "name": f"{word}-asked", "quiet_days": 0}
    survey = await made_by(tenant.asker.post("/v1/surveys", json=asking), 201)
    path, body = f"/v1/surveys/{survey['survey_id']}/invitations", {"person_ids": [f"{word}-person"]}
    [item] = (await made_by(tenant.asker.post(path, json=body), 200))["items"]
    answer = await tenant.asker.post(item["link"], data={"score": "2", "comment": f"{word}-said"})
    assert answer.status_code == 303, answer.text
    assert (await tenant.asker.post(item["unsubscribe_link"])).status_code == 200


async def _judge(tenant: Tenant) -> None:
    published = await made_by(tenant.asker.post("/v1/tiers/reviews", json={}), 201)
    wish = {"effective_from": "2026-01-01", "note": f"{tenant.word}-why"}
    await made_by(tenant.asker.post(f"/v1/tiers/reviews/{published['id']}/publish", json=wish), 200)
    review = await made_by(tenant.asker.post("/v1/tiers/reviews", json={}), 201)
    labelled = {"kind": "api", "role": "csm", "csm_id": f"{tenant.word}-csm", "label": f"{tenant.word}-label"}
    key = await made_by(tenant.asker.post("/v1/keys", json=labelled), 201)
    surveys = (await tenant.asker.get("/v1/surveys")).json()["items"]
    word = tenant.word
    tenant.own.update(
        account_id=f"{word}-only", person_id=f"{word}-person", review_id=review["id"], key_id=key["id"],
        survey_id=surveys[0]["survey_id"], event=f"{word}-event", csm=f"{word}-csm", team=f"{word}-team",
    )  # fmt: skip
    await fresh(tenant.asker, datetime.now(UTC))


async def made_by(asked: Any, status: int) -> Any:
    """The JSON of an awaited answer that must have this status."""
    answer = await asked
    assert answer.status_code == status, answer.text
    return answer.json()
