"""Made-up calls of a tracking SDK, as Segment's libraries send them: about 437 bytes each, every message new."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.bench.made import ACCOUNTS, EVENTS, account_id

_CALL = (
    '{"type":"track","messageId":"%s-%08d-4e9b-9c1d-0a1b2c3d4e5f","userId":"user-%s-%08d","anonymousId":null,'
    '"event":"%s","timestamp":"%s","context":{"library":{"name":"analytics-python","version":"2.4.0"},'
    '"groupId":"%s","ip":"203.0.113.7"},"integrations":{},"properties":{"path":"/projects/%d/reports",'
    '"title":"Quarterly report","plan":"business","source":"toolbar","value":%d}}'
)


def batches(seed: int, count: int) -> Iterator[bytes]:
    """Bodies for /v1/batch of `count` calls, or for /v1/track when it is 1."""
    dice = random.Random(seed)
    number = 0
    while True:
        now = datetime.now(UTC)
        calls: list[str] = []
        for place in range(count):
            number += 1
            at = (now - timedelta(milliseconds=(count - place) * 7)).isoformat(timespec="milliseconds")
            account = account_id(int(ACCOUNTS * dice.random() ** 3))
            values = (f"{seed:08x}", number, f"{seed:x}", number, dice.choice(EVENTS), at, account, number, number)
            calls.append(_CALL % values)
        if count == 1:
            yield calls[0].encode()
        else:
            sent_at = now.isoformat(timespec="milliseconds")
            yield f'{{"batch":[{",".join(calls)}],"sentAt":"{sent_at}"}}'.encode()
