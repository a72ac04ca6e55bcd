"""The list of erased persons, by hash: what the fold and a rebuild look at, so that nobody comes back."""

from alembic import op

from shared.migrations.policy import worker_only

revision = "0003"
down_revision = "0002"

# `alias` stands for the person; `person_id` is kept only until archive and log are rewritten (`done_at`).
TABLE = """
CREATE TABLE IF NOT EXISTS scoring.erasure (
  tenant int NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE, hash bytea NOT NULL,
  alias text COLLATE "C" NOT NULL, person_id text COLLATE "C", at timestamptz NOT NULL, done_at timestamptz,
  PRIMARY KEY (tenant, hash)
)
"""


def upgrade() -> None:
    """Only adds."""
    op.execute(TABLE)
    for statement in worker_only("scoring.erasure"):
        op.execute(statement)
