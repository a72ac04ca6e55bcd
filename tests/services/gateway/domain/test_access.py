"""Who may ask what, route by route, against API.md's table of keys."""

from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.domain.access import RULES, KeyWish, Table, faults_of
from shared.tenancy import may

Holder = tuple[str, str | None]
WRITE: Holder = ("write", None)
SERVER: Holder = ("server", None)
ADMIN, MANAGER, CSM, VIEWER = [("api", role) for role in ("admin", "manager", "csm", "viewer")]
HOLDERS: tuple[Holder, ...] = (WRITE, SERVER, ADMIN, MANAGER, CSM, VIEWER)
ANYONE: set[Holder] = {*HOLDERS, ("nobody", None)}
READERS: set[Holder] = {ADMIN, MANAGER, CSM, VIEWER}
WORKERS: set[Holder] = {ADMIN, MANAGER, CSM}
MANAGERS: set[Holder] = {ADMIN, MANAGER}

EXPECTED: dict[str, tuple[str, set[Holder]]] = {
    "POST /v1/track": ("ingest", ANYONE),
    "POST /v1/batch": ("ingest", ANYONE),
    "OPTIONS /v1/batch": ("ingest", ANYONE),
    "POST /v1/m": ("ingest", ANYONE),
    "GET /v1/projects/anything/settings": ("ingest", ANYONE),
    "GET /sourceConfig/": ("ingest", ANYONE),
    "POST /v1/events": ("ingest", {SERVER}),
    "POST /v1/imports/accounts": ("ingest", {SERVER, ADMIN}),
    "POST /v1/imports/responses": ("nps", {SERVER, ADMIN}),
    "GET /v1/ingest/rejections": ("ingest", READERS),
    "GET /v1/ingest/conflicts": ("scoring", READERS),
    "GET /v1/ingest/unassigned": ("scoring", READERS),
    "GET /v1/summary": ("gateway", READERS),
    "GET /v1/accounts": ("scoring", READERS),
    "GET /v1/accounts/acme": ("scoring", READERS),
    "GET /v1/accounts/acme/health": ("scoring", READERS),
    "GET /v1/accounts/acme/usage": ("scoring", READERS),
    "POST /v1/accounts/acme/health/override": ("scoring", WORKERS),
    "DELETE /v1/accounts/acme/health/override": ("scoring", WORKERS),
    "POST /v1/accounts/acme/tier-exception": ("scoring", MANAGERS),
    "GET /v1/usage": ("scoring", READERS),
    "GET /v1/coverage": ("scoring", READERS),
    "GET /v1/coverage/worklist": ("scoring", READERS),
    "GET /v1/tiers": ("scoring", READERS),
    "POST /v1/tiers/reviews": ("scoring", MANAGERS),
    "POST /v1/tiers/reviews/r1/publish": ("scoring", MANAGERS),
    "GET /v1/nps": ("gateway", READERS),
    "GET /v1/responses": ("scoring", READERS),
    "GET /v1/stream": ("scoring", READERS),
    "GET /v1/settings": ("scoring", READERS),
    "PUT /v1/settings": ("scoring", MANAGERS),
    "POST /v1/health/models": ("scoring", MANAGERS),
    "POST /v1/people/p1/erase": ("scoring", {ADMIN}),
    "GET /v1/audit": ("gateway", MANAGERS),
    "POST /v1/surveys": ("nps", MANAGERS),
    "GET /s/token": ("nps", ANYONE),
    "HEAD /s/token": ("nps", ANYONE),
    "GET /s/token/thanks": ("nps", ANYONE),
    "POST /u/token": ("nps", ANYONE),
    "GET /v1/keys": ("gateway", {ADMIN}),
    "POST /v1/keys": ("gateway", {ADMIN}),
    "DELETE /v1/keys/k1": ("gateway", {ADMIN}),
    "GET /healthz": ("gateway", ANYONE),
    "GET /readyz": ("gateway", ANYONE),
    "GET /metrics": ("gateway", ANYONE),
    "GET /docs": ("gateway", ANYONE),
    "GET /openapi.json": ("gateway", ANYONE),
}


@pytest.mark.parametrize(("asked", "answer"), EXPECTED.items(), ids=EXPECTED)
def test_each_route_goes_to_its_service_for_exactly_its_holders(asked: str, answer: tuple[str, set[Holder]]) -> None:
    method, path = asked.split()
    rule = Table().find(path)[method]
    allowed = {h for h in ANYONE if rule.right is None or may(*h, rule.right)}
    assert (rule.service, allowed) == answer


def test_no_route_stands_twice_in_the_table() -> None:
    assert len({(rule.method, rule.template) for rule in RULES}) == len(RULES)


def test_what_is_open_without_a_key_is_exactly_this() -> None:
    doors = {rule.template for rule in RULES if rule.right is None}
    words = ("track", "identify", "group", "page", "screen", "alias", "batch", "import", *"tigpsabm")
    tracking = {f"/v1/{word}" for word in words}
    machines = {"/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/asyncapi.json"}
    sdk = {"/v1/projects/{write_key}/settings", "/sourceConfig", "/sourceConfig/"}
    assert doors == tracking | machines | sdk | {"/s/{token}", "/s/{token}/thanks", "/u/{token}"}


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/v1", "/v1/", "/v1/accounts/", "/v1/accounts//health", "/v1/accounts/a/b/health", "/v2/accounts"),
        *("/v1/accounts/../usage", "/v1/accounts/./health", "/v1/Accounts", "/v1/events/", "//v1/events"),
        *("/internal/rejections/count", "/v1/projects//settings", "/v1/keys/{}/x"),
    ],
)
def test_what_no_rule_names_has_no_route(path: str) -> None:
    assert Table().find(path) == {}


def test_a_fixed_segment_goes_before_a_parameter() -> None:
    assert Table().find("/v1/tiers/reviews")["GET"].template == "/v1/tiers/reviews"
    assert Table().find("/v1/tiers/reviews/exceptions")["GET"].template == "/v1/tiers/reviews/{review_id}"
    assert Table().find("/v1/accounts/{}/health")["GET"].template == "/v1/accounts/{account_id}/health"


NOW = datetime(2026, 1, 1, tzinfo=UTC)


WISHES: list[tuple[KeyWish, set[tuple[str, str]]]] = [
    (KeyWish("write"), set()),
    (KeyWish("server", label="crm", expires_at=NOW + timedelta(seconds=1)), set()),
    (KeyWish("api", "viewer"), set()),
    (KeyWish("api", "csm", "csm-1"), set()),
    (KeyWish("root"), {("/kind", "unknown_kind")}),
    (KeyWish("api"), {("/role", "unknown_role")}),
    (KeyWish("api", "root"), {("/role", "unknown_role")}),
    (KeyWish("write", "admin"), {("/role", "role_without_api")}),
    (KeyWish("server", None, "csm-1"), {("/csm_id", "csm_without_api")}),
    (KeyWish("write", expires_at=NOW), {("/expires_at", "in_past")}),
]


@pytest.mark.parametrize(("wish", "wrong"), WISHES)
def test_a_wished_key_is_told_what_is_wrong_with_it(wish: KeyWish, wrong: set[tuple[str, str]]) -> None:
    assert {(fault.pointer, fault.code) for fault in faults_of(wish, NOW)} == wrong
