"""Serves a bare application as Genki serves its own (uvicorn, uvloop, httptools) and says `ready URL`."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says where it listens once it does."""
        await super().startup(sockets)
        assert sockets
        sys.stdout.write(f"ready http://127.0.0.1:{sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM ends the process at once: a baseline has nothing to drain."""
        yield


def serve(app: ASGIApp) -> None:
    """Until the process is ended."""
    config = uvicorn.Config(app, http="httptools", loop="uvloop", access_log=False, log_level="warning")
    bound = socket.create_server(("127.0.0.1", 0), backlog=2048)
    _Server(config).run(sockets=[bound])
