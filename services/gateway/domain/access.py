"""Who may ask what: every public route with its service and the right it takes, as one table; and what a key may be."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.refusals import Fault
from shared.rights import KINDS, ROLES, Right

ANYTHING: Final = "{}"
OPEN: Final = None  # no key at the door: the service itself looks at what it is given
_READ, _WORK, _MANAGE, _ADMIN = Right.READ, Right.WORK, Right.MANAGE, Right.ADMIN


class Rule(NamedTuple):
    """One method on one route: who answers it and which right it takes (None: no key)."""

    method: str
    template: str
    service: str
    right: Right | None


# Answered here out of several answers, described by the main one.
COMPOSED: Final = {"/v1/summary": "scoring", "/v1/nps": "scoring"}
TRACKING: Final = ("track", "identify", "group", "page", "screen", "alias", "batch", "import", *"tigpsabm")
FACT_DOORS: Final = frozenset(("/v1/events", *(f"/v1/{name}" for name in TRACKING)))  # asked by the thousand
# service, right, methods, templates. A route that no service has yet answers 404 there; its right is settled already.
_TABLE: Final[tuple[tuple[str, Right | None, str, tuple[str, ...]], ...]] = (
    ("ingest", OPEN, "POST OPTIONS", tuple(f"/v1/{name}" for name in TRACKING)),
    ("ingest", OPEN, "GET OPTIONS", ("/v1/projects/{write_key}/settings", "/sourceConfig", "/sourceConfig/")),
    ("ingest", Right.EVENTS, "POST", ("/v1/events",)),
    ("ingest", Right.IMPORT, "POST", ("/v1/imports/{kind}",)),
    ("nps", Right.IMPORT, "POST", ("/v1/imports/responses",)),
    ("ingest", _READ, "GET", ("/v1/ingest/rejections",)),
    ("scoring", _READ, "GET", ("/v1/ingest/conflicts", "/v1/ingest/unassigned")),
    ("gateway", _READ, "GET", ("/v1/summary", "/v1/nps")),
    ("scoring", _READ, "GET", (
        "/v1/accounts", "/v1/accounts/{account_id}", "/v1/accounts/{account_id}/timeline",
        "/v1/accounts/{account_id}/talking-points", "/v1/accounts/{account_id}/usage",
        "/v1/accounts/{account_id}/nps", "/v1/accounts/{account_id}/contracts", "/v1/accounts/{account_id}/people",
        "/v1/accounts/{account_id}/health", "/v1/accounts/{account_id}/health/history",
        "/v1/accounts/{account_id}/health/explain", "/v1/accounts/{account_id}/consumption-gap",
        "/v1/accounts/{account_id}/closing-plans", "/v1/accounts/{account_id}/report",
    )),
    ("scoring", _WORK, "POST DELETE", ("/v1/accounts/{account_id}/health/override",)),
    ("scoring", _WORK, "POST", ("/v1/accounts/{account_id}/closing-plans", "/v1/keep-list/{account_id}/reason")),
    ("scoring", _MANAGE, "POST", ("/v1/accounts/{account_id}/tier-exception",)),
    ("scoring", _READ, "GET", (
        "/v1/usage", "/v1/coverage", "/v1/coverage/series", "/v1/coverage/worklist", "/v1/contact-rate", "/v1/matrix",
        "/v1/activity", "/v1/contacts/planned", "/v1/keep-list",
        "/v1/tiers", "/v1/tiers/reviews", "/v1/tiers/reviews/{review_id}", "/v1/tiers/exceptions", "/v1/load",
        "/v1/revenue/retention", "/v1/renewals", "/v1/responses", "/v1/follow-ups", "/v1/stream",
        "/v1/settings", "/v1/health/models",
    )),
    ("scoring", _MANAGE, "POST", (
        "/v1/tiers/reviews", "/v1/tiers/reviews/{review_id}/publish", "/v1/health/models",
        "/v1/health/models/{model_id}/simulate", "/v1/health/models/{model_id}/publish", "/v1/webhooks",
    )),
    ("scoring", _MANAGE, "PUT", ("/v1/settings",)),
    ("gateway", _MANAGE, "GET", ("/v1/audit",)),
    ("scoring", _MANAGE, "GET", ("/v1/webhooks",)),
    ("scoring", _ADMIN, "POST", ("/v1/people/{person_id}/erase",)),
    ("nps", _READ, "GET", ("/v1/surveys", "/v1/surveys/{survey_id}", "/v1/surveys/{survey_id}/invitations")),
    ("nps", _MANAGE, "POST", ("/v1/surveys", "/v1/surveys/{survey_id}/close")),
    ("nps", _WORK, "POST", ("/v1/surveys/{survey_id}/invitations",)),
    ("nps", OPEN, "GET HEAD POST", ("/s/{token}", "/u/{token}")),
    ("nps", OPEN, "GET HEAD", ("/s/{token}/thanks",)),
    ("gateway", _ADMIN, "GET POST", ("/v1/keys",)),
    ("gateway", _ADMIN, "DELETE", ("/v1/keys/{key_id}",)),
    ("gateway", OPEN, "GET", ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/asyncapi.json")),
)  # fmt: skip
RULES: Final = tuple(
    Rule(method, template, service, right)
    for service, right, methods, templates in _TABLE
    for template in templates
    for method in methods.split()
)


class _Node:
    """One path segment of the table: what may follow, and the rules that end here by method."""

    __slots__ = ("following", "rules")

    def __init__(self) -> None:
        self.following: dict[str, _Node] = {}
        self.rules: dict[str, Rule] = {}


class Table:
    """The rules, found by path: a fixed segment goes before a parameter."""

    def __init__(self, rules: Iterable[Rule] = RULES) -> None:
        """`rules`: no two alike in method and template."""
        self._root = _Node()
        for rule in rules:
            node = self._root
            for part in rule.template.split("/")[1:]:
                node = node.following.setdefault(ANYTHING if part.startswith("{") else part, _Node())
            node.rules[rule.method] = rule

    def find(self, path: str) -> dict[str, Rule]:
        """The rules of a decoded path by method; empty when no route has it."""
        node = _descend(self._root, path.split("/")[1:], 0)
        return {} if node is None else node.rules


def _descend(node: _Node, parts: list[str], depth: int) -> _Node | None:
    if depth == len(parts):
        return node if node.rules else None
    part = parts[depth]
    fixed = node.following.get(part) if part != ANYTHING else None
    found = None if fixed is None else _descend(fixed, parts, depth + 1)
    if found is None and part not in ("", ".", ".."):  # a parameter is never empty and never climbs
        anything = node.following.get(ANYTHING)
        found = None if anything is None else _descend(anything, parts, depth + 1)
    return found


class KeyWish(NamedTuple):
    """A key that an admin asks for."""

    kind: str
    role: str | None = None
    csm_id: str | None = None
    label: str | None = None
    expires_at: datetime | None = None


def told_of(wish: KeyWish) -> dict[str, Any]:
    """What the audit log says of a key that was made; its label is free text and stays with the key."""
    return {"kind": wish.kind, "role": wish.role, "csm_id": wish.csm_id, "expires_at": wish.expires_at}


def faults_of(wish: KeyWish, now: datetime) -> list[Fault]:
    """What is wrong with a wished key: kind api has a role and may name a CSM, the others have neither;
    an expiry lies ahead."""
    faults: list[Fault] = []
    if wish.kind not in KINDS:
        faults.append(Fault("/kind", "unknown_kind", f"Should be one of {', '.join(KINDS)}."))
    elif wish.kind == "api" and wish.role not in ROLES:
        faults.append(Fault("/role", "unknown_role", f"Should be one of {', '.join(ROLES)}."))
    elif wish.kind != "api" and wish.role is not None:
        faults.append(Fault("/role", "role_without_api", "Only keys of kind api have a role."))
    if wish.kind != "api" and wish.csm_id is not None:
        faults.append(Fault("/csm_id", "csm_without_api", "Only keys of kind api name a CSM."))
    if wish.expires_at is not None and wish.expires_at <= now:
        faults.append(Fault("/expires_at", "in_past", "Should lie in the future."))
    return faults
