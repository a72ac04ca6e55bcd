"""What the scoring service can be told from outside."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class ScoringSettings(BaseSettings):
    """Environment `GENKI_SCORING_*`. `batch_facts`: facts folded in one transaction; `workers` false = answers only;
    `streams_per_tenant`: open streams in this process."""

    model_config = SettingsConfigDict(env_prefix="GENKI_SCORING_", extra="forbid")

    batch_facts: int = 5_000
    workers: bool = True
    streams_per_tenant: int = 100
