"""What can be set about ingest."""

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt


class IngestSettings(BaseModel):
    """Limits and patience of the doors and of imports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    linger_seconds: PositiveFloat = 0.003  # the first request of a group waits this long for company
    publish_seconds: PositiveFloat = 5.0  # until a request is told that nothing is known
    bytes_in_flight: PositiveInt = 64 * 1024 * 1024  # lines taken and not yet settled
    outbox_bytes: PositiveInt = 1024**3  # that may wait in PostgreSQL while Kafka is away
    tenant_facts_per_second: PositiveInt = 250_000  # of one tenant in this process, saved up for 30 seconds
    drain_seconds: PositiveFloat = 5.0  # at shutdown
    keyless_per_minute: PositiveInt = 600  # tracking requests of one address without a Basic or Bearer header
    import_bytes: PositiveInt = 100_000_000  # of a file as sent
    import_unpacked_bytes: PositiveInt = 200_000_000  # of a workbook unpacked
    import_rows: PositiveInt = 200_000
    imports_at_once: PositiveInt = 2  # the others wait: a large one fills memory
