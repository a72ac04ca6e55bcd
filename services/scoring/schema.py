"""The schema of the derived state as statements, so that a rebuild can make it again under another name."""

from importlib.resources import files
from typing import Final

from shared.migrations.policy import policy, worker_only

FIRST_YEAR: Final = 2005
LAST_YEAR: Final = 2045
SEEN_PARTITIONS: Final = 16
WORKER_ONLY: Final = ("dirty", "due", "recheck")
ISOLATED: Final = (
    "fact_seen", "usage", "account_user", "membership", "account_attribute", "person_attribute", "csm_attribute",
    "contact", "contract", "alias", "account_merge", "account_join", "person_join", "response", "invitation",
    "newest_fact", "account_state", "standing", "amounts", "first_facts", "tenant_day", "counter", "stream_head",
    "stream", "stream_told",
)  # fmt: skip


def state_statements(schema: str) -> list[str]:
    """Everything that makes an empty derived state in `schema`, grants and row-level security included."""
    home = files("services.scoring")
    texts = (home.joinpath("state.sql"), home.joinpath("stream", "stream.sql"))
    sql = "\n".join(text.read_text() for text in texts).replace("{schema}", schema)
    statements = [part.strip() for part in sql.split(";\n") if part.strip()]
    statements += [
        f"CREATE TABLE {schema}.fact_seen_{part} PARTITION OF {schema}.fact_seen "
        f"FOR VALUES WITH (MODULUS {SEEN_PARTITIONS}, REMAINDER {part})"
        for part in range(SEEN_PARTITIONS)
    ]
    statements += [
        f"CREATE TABLE {schema}.usage_{year} PARTITION OF {schema}.usage "
        f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
        for year in range(FIRST_YEAR, LAST_YEAR + 1)
    ]
    statements.append(f"CREATE TABLE {schema}.usage_other PARTITION OF {schema}.usage DEFAULT")
    for table in ISOLATED:
        app = "" if table in ("fact_seen", "stream_told") else "SELECT"
        statements += policy(f"{schema}.{table}", app)
    for table in WORKER_ONLY:
        statements += worker_only(f"{schema}.{table}")
    return statements
