"""A server that says nothing, and pools that ask it nothing on their own."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


async def nothing(_: object) -> None:
    """As the services' pools: a connection comes back as it is."""


@contextmanager
def silent(backend: int) -> Iterator[None]:
    """The server's process of that pid stands still inside the block."""
    os.kill(backend, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(backend, signal.SIGCONT)
