"""What can be set about the gateway."""

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt


class GatewaySettings(BaseModel):
    """Limits and patience; where the other services are is handed in beside this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    body_limit: PositiveInt = 5_000_000  # bytes as received; ingest holds its own 4 MB after unpacking
    import_limit: PositiveInt = 100_000_000  # bytes of a CSV or XLSX
    connect_seconds: PositiveFloat = 2.0
    silence_seconds: PositiveFloat = 120.0  # a service may be silent this long inside one answer
    document_seconds: PositiveFloat = 60.0  # how long the merged OpenAPI document is kept
    key_requests_per_second: PositiveInt = (
        10_000  # of one key or token's bearer in this process, saved up for 30 seconds
    )
