"""The sample's files read into what the demo sends, stage by stage, always in the same order."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.demo import rows
from services.demo.rows import Row, Sent
from services.demo.shift import Shift

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "sample"
EVENTS, TOUCHPOINTS = "nova-events-until-2017.csv.gz", "nova-touchpoints-until-2017.csv"
BOOK, CSMS, RESPONSES = "nova-book.csv", "nova-csms.csv", "nova-responses.csv"
IMPORT: Final = "responses"  # this stage goes through the import route, the others through the events route


@dataclass(frozen=True)
class Load:
    """What the demo sends. `stages`: name → lines in sending order; `dropped`: rows after now; `skipped`: touchpoints
    of no company."""

    stages: dict[str, list[Sent]]
    dropped: int
    skipped: int

    @property
    def total(self) -> int:
        """Lines over all stages."""
        return sum(map(len, self.stages.values()))


def load(shift: Shift, folder: Path = FOLDER) -> Load:
    """The whole sample, moved. Raises FileNotFoundError when the sample is not beside the code."""
    book = list(read(folder / BOOK))
    owners = {row["account_id"]: row["csm_id"] for row in book}
    touchpoints, events, answers = (list(read(folder / name)) for name in (TOUCHPOINTS, EVENTS, RESPONSES))
    companies = [row for row in touchpoints if rows.touched(row)]
    sent = {
        "CSMs": [rows.csm(row, shift) for row in read(folder / CSMS)],
        "accounts": [fact for row in book for fact in rows.account(row, shift)],
        "usage": [fact for row in events if (fact := rows.usage(row, shift))],
        "contacts": [fact for row in companies if (fact := rows.contact(row, shift, owners))],
        IMPORT: [line for row in answers if (line := rows.response(row, shift))],
    }
    kept = sum(len(sent[name]) for name in ("usage", "contacts", IMPORT))
    return Load(sent, len(events) + len(companies) + len(answers) - kept, len(touchpoints) - len(companies))


def read(path: Path) -> Iterator[Row]:
    """The rows of a CSV file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
