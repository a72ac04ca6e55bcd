"""A bare aiokafka producer: sends packed records from memory, `acks=all`, idempotent, zstd, and nothing else.

Arguments: bootstrap. Each line on stdin names a file of records; the answer has facts, seconds, CPU seconds, peak MB.
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiokafka import AIOKafkaProducer

IN_FLIGHT = 256  # records sent before the first of them is waited for
Packed = list[tuple[str, int, int, bytes]]  # topic, partition, facts, body


async def run(bootstrap: str) -> None:
    """Answers questions until stdin ends."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, compression_type="zstd",
        max_batch_size=900_000, max_request_size=900_000, linger_ms=5,
    )  # fmt: skip
    await producer.start()
    _tell("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        _tell(json.dumps(await _send(producer, _read(line))))
    await producer.stop()


async def _send(producer: AIOKafkaProducer, packed: Packed) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    waiting = []
    for topic, part, _, body in packed:
        waiting.append(await producer.send(topic, body, partition=part))
        if len(waiting) >= IN_FLIGHT:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    return {
        "facts": sum(count for _, _, count, _ in packed),
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _read(question: str) -> Packed:
    return msgspec.msgpack.decode(Path(json.loads(question)["file"]).read_bytes(), type=Packed)


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(sys.argv[1]))
