"""Lines of the log as they may be applied and kept once persons are erased."""

from services.scoring.batch import Batch
from services.scoring.erasure.rules import Erased
from shared import facts


def scrub(batch: Batch, erased: Erased) -> None:
    """Takes whom they may not name out of the batch's lines, the bytes for the archive included."""
    if not erased.tenants:
        return
    for index, line in enumerate(batch.lines):
        told = erased.fact(line.fact)
        if told is not line.fact:
            batch.lines[index] = line._replace(fact=told, raw=facts.encode(told))
