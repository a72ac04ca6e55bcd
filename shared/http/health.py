"""The routes that tell machines how a service is: `/healthz`, `/readyz`, `/metrics`."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared import metrics
from shared.clock import Clock
from shared.http.answers import Json
from shared.service import Ready

OK = "ok"
_PATIENCE = 5.0  # seconds


def health_routes(ready: Ready, clock: Clock) -> list[Route]:
    """Routes for any Starlette application. `/readyz`: each dependency by name; 200 when all say "ok" or "ok: but …",
    else 503."""

    async def healthz(_request: Request) -> Response:
        body: dict[str, object] = {"status": OK}
        if clock.offset:
            body |= {"clock_offset_s": clock.offset.total_seconds(), "clock": "shifted: this is a rehearsal"}
        return Json(body)

    async def readyz(_request: Request) -> Response:
        found = await asked(ready)
        good = all(is_good(state) for state in found.values())
        return Json({"status": "ready" if good else "not ready", "dependencies": found}, 200 if good else 503)

    async def counted(_request: Request) -> Response:
        metrics.CLOCK_OFFSET.set(clock.offset.total_seconds())
        return Response(metrics.exposition(), headers={"content-type": metrics.CONTENT_TYPE})

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", counted)]


def is_good(state: str) -> bool:
    """Whether a dependency in this state keeps nothing from its work: "ok", or "ok: but …"."""
    return state.partition(":")[0] == OK


async def asked(ready: Ready) -> Mapping[str, str]:
    """What a service says of its dependencies; silence and failure are answers too, by their kind and no detail."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await ready()
    except TimeoutError:
        return {"check": "does not answer in time"}
    except Exception as error:  # noqa: BLE001 a check that fails says "not ready", it never takes the route down
        return {"check": f"failed: {type(error).__name__}"}
