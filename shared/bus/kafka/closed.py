"""A connection that fell is told as aiokafka expects it.

On uvloop a write to a transport that is already closed raises RuntimeError, on asyncio's own loop it does not. aiokafka
knows OSError only: its fetching and metadata tasks would end of it and tell nobody, and the consumer would stand still.
"""

from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send: Final = AIOKafkaConnection.send


def _sent(self: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    try:
        return _send(self, request, expect_response)
    except RuntimeError as problem:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"the connection is closed: {problem}") from problem


def tell_closed() -> None:
    """Installs it; a second call changes nothing."""
    AIOKafkaConnection.send = _sent
