"""What can be set about nps."""

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt


class NpsSettings(BaseModel):
    """Limits and patience; where links lead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    import_bytes: PositiveInt = 100_000_000  # of a file as sent
    import_unpacked_bytes: PositiveInt = 200_000_000  # of a workbook unpacked
    import_rows: PositiveInt = 200_000
    imports_at_once: PositiveInt = 2  # the others wait: a large one fills memory
    publish_seconds: PositiveFloat = 15.0  # until an import is told that nothing is known
    form_bytes: PositiveInt = 70_000  # of an answer: 5,000 characters are at most 60,000 bytes as a form sends them
    public_url: str | None = None  # what links begin with; without it, what the request for them came to
    smtp_secrets: str | None = None  # a TOML file of mail servers' passwords: see `mail.senders.Secrets`
    answers_per_minute: PositiveInt = 120  # sent through one link
