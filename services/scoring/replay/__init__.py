"""The archive is the memory: the derived state made again out of it, held against the live one, and swapped in."""

from services.scoring.replay.archive import Unreadable
from services.scoring.replay.compare import Comparison, Tally
from services.scoring.replay.hold import Busy, Restless
from services.scoring.replay.run import check, replay

__all__ = ["Busy", "Comparison", "Restless", "Tally", "Unreadable", "check", "replay"]
