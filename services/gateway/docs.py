"""`/docs`: the OpenAPI document as one plain page, no script and nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "h2{margin-top:2.5rem}code{background:#f3f4f6;padding:.1rem .3rem;border-radius:.2rem}"
    "details{border-bottom:1px solid #e5e7eb;padding:.4rem 0}summary{cursor:pointer}"
    "b{display:inline-block;min-width:4.5rem;font-family:monospace}pre{overflow:auto;background:#f3f4f6;padding:.7rem}"
)
CSP: Final = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def page(document: Mapping[str, Any]) -> str:
    """The whole page: routes by service, each with its parameters and answers."""
    info = document["info"]
    body = "".join(_service(name, routes) for name, routes in _by_service(document).items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('description', ''))}</p>"
        f'<p>The same for machines: <a href="/openapi.json">/openapi.json</a></p>{body}</body></html>'
    )


def _by_service(document: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            found.setdefault(operation["tags"][0], []).append(_route(method, path, operation))
    return found


def _service(name: str, routes: list[str]) -> str:
    return f"<h2>{escape(name)}</h2>{''.join(routes)}"


def _route(method: str, path: str, operation: Mapping[str, Any]) -> str:
    return (
        f"<details><summary><b>{method.upper()}</b><code>{escape(path)}</code> "
        f"{escape(operation.get('summary', ''))}</summary><p>{escape(operation.get('description', ''))}</p>"
        f"<ul>{''.join(_facts(operation))}</ul></details>"
    )


def _facts(operation: Mapping[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        if "$ref" not in parameter:
            told = f"({parameter['in']}, {'required' if parameter.get('required') else 'optional'})"
            words = escape(parameter.get("description", ""))
            yield f"<li><code>{escape(parameter['name'])}</code> {told} {words}</li>"
    for status, answer in operation.get("responses", {}).items():
        yield f"<li>{escape(str(status))}: {escape(answer.get('description', ''))}</li>"
