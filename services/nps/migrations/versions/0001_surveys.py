"""Surveys, by name."""

from alembic import op

from shared.migrations.policy import policy
from shared.postgres import APP_ROLE, WORKER_ROLE

revision = "0001"
down_revision = None

TABLE = """
CREATE TABLE nps.survey (
  tenant int NOT NULL, survey_id text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, kind text NOT NULL,
  created_at timestamptz NOT NULL, PRIMARY KEY (tenant, survey_id), UNIQUE (tenant, name)
)
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("CREATE INDEX ON nps.survey (tenant, created_at, survey_id)")
    for statement in policy("nps.survey", app="SELECT, INSERT"):
        op.execute(statement)
    op.execute(f"GRANT USAGE ON SCHEMA nps TO {APP_ROLE}, {WORKER_ROLE}")
