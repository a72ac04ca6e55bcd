"""A client's ledger on disk: what is written is there, fsynced, before `write` returns; many writers share an fsync."""

import asyncio
import os
from pathlib import Path
from typing import Final

from services.scoring.ledger.attempts import Line, encode

LINGER: Final = 0.003  # seconds that a line waits for company


class Notebook:
    """Appends to one file. Lines of a killed client are whole but for the last."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lines: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, line: Line) -> None:
        """Returns when the line is on disk."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.append(encode(line))
        self._waiting.append(waiter)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await waiter

    async def close(self) -> None:
        """After the last line."""
        if self._writing is not None:
            await self._writing
        os.close(self._file)

    async def _write_all(self) -> None:
        try:
            while self._lines:
                await asyncio.sleep(LINGER)
                lines, self._lines = self._lines, []
                waiting, self._waiting = self._waiting, []
                await asyncio.to_thread(self._sync, b"".join(lines))
                for waiter in waiting:
                    if not waiter.done():
                        waiter.set_result(None)
        finally:
            self._writing = None

    def _sync(self, text: bytes) -> None:
        os.write(self._file, text)
        os.fsync(self._file)
