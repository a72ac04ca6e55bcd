"""The questions that are asked most, answered without the framework: the same figures by the same code, live only.

Whatever is not plain (a past, a sheet, a parameter that is wrong or given twice) goes the long way, by the routes that
the API's description knows: they say what is amiss.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import request_id_of
from shared.http import ROUTE, Json
from shared.http.middleware import SLASH
from shared.tenancy import PRINCIPAL, Keyring, Principal, Right, check, token_of

Values = frozenset[str] | None  # that a parameter may have; None = any text
Asked = Mapping[str, list[str]]  # the parameters given, each with its values
Answer = Callable[[Principal, str, Asked], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Quick:
    """One such question: its route, and parameters that may be given `once` or `often`. `answer` takes the asker, the
    id in the path ("" where there is none) and the parameters; it answers JSON as bytes, or what becomes JSON."""

    template: str
    answer: Answer
    once: Mapping[str, Values] = field(default_factory=dict[str, Values])
    often: Mapping[str, Values] = field(default_factory=dict[str, Values])

    def plain(self, query: bytes) -> Asked | None:
        """The parameters; None when the long way has to be gone."""
        given: dict[str, list[str]] = {}
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else ():
            given.setdefault(name, []).append(value)
        for name, values in given.items():
            if name not in self.often and (name not in self.once or len(values) > 1):
                return None
            some = self.often[name] if name in self.often else self.once[name]
            if some is not None and not some.issuperset(values):
                return None
        return given


class QuickDoor:
    """In front of the application: takes what it knows, and hands everything else on."""

    def __init__(self, app: ASGIApp, keyring: Keyring, questions: Iterable[Quick]) -> None:
        """`questions`: no two of one route."""
        self._app = app
        self._keyring = keyring
        self._questions: Final = {one.template: one for one in questions}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. Raises refusals: the front tells them."""
        found = self._found(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        asked = found[0].plain(scope["query_string"]) if found else None
        if found is None or asked is None:
            await self._app(scope, receive, send)
            return
        question, account_id = found
        scope.setdefault(ROUTE, question.template)
        told = await question.answer(await self._asker(scope), account_id, asked)
        body = told if isinstance(told, bytes) else Json.encoded(told)
        length = str(len(body)).encode("ascii")
        headers = [(b"content-length", length), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _found(self, scope: Scope) -> tuple[Quick, str] | None:
        """The question and the id in its path."""
        path: str = scope["path"]
        question = self._questions.get(path)
        if question is not None:
            return question, ""
        parts = path.split("/")
        if len(parts) != 5 or not parts[3]:
            return None
        question = self._questions.get(f"/{parts[1]}/{parts[2]}/{{account_id}}/{parts[4]}")
        return None if question is None else (question, parts[3].replace(SLASH, "/"))

    async def _asker(self, scope: Scope) -> Principal:
        asker = scope.get(PRINCIPAL) or await self._keyring.verify(token_of(scope["headers"]))
        check(asker, Right.READ)
        scope[PRINCIPAL] = asker = asker._replace(request_id=request_id_of(scope))
        return asker
