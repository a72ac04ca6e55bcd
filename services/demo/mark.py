"""The demo's mark: whose demo it is, how far the sample was moved, the last line sent. One file, only the owner's."""

import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from services.demo.shift import Shift, weeks_to

NAME: Final = "demo.json"  # in the data folder


@dataclass
class Mark:
    """`made_at` and `weeks` never change; `sent`: lines acknowledged by stage; `accepted_at`: when the last was;
    `refused`: lines the door refused, `dropped`: rows after now, `skipped`: touchpoints of no company."""

    made_at: datetime
    weeks: int
    tenant_id: str = ""
    keys: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    sent: dict[str, int] = field(default_factory=dict[str, int])
    refused: int = 0
    dropped: int = 0
    skipped: int = 0
    accepted_at: datetime | None = None
    finished: bool = False

    @property
    def shift(self) -> Shift:
        """How this demo's sample is moved."""
        return Shift(self.weeks, self.made_at)


def new_mark(now: datetime, tenant_id: str = "", keys: dict[str, str] | None = None) -> Mark:
    """The mark of a demo that begins now."""
    return Mark(now, weeks_to(now), tenant_id, dict(keys or {}))


def read_mark(path: Path) -> Mark | None:
    """The mark kept there, None when there is none. Raises msgspec.DecodeError for a file that is not one."""
    return msgspec.json.decode(path.read_bytes(), type=Mark) if path.exists() else None


def write_mark(path: Path, mark: Mark) -> None:
    """Keeps the mark: durable and whole, or the one before it; readable by its owner only, for it holds the keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 a descriptor
        document: dict[str, Any] = asdict(mark)
        file.write(msgspec.json.format(msgspec.json.encode(document), indent=2))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
