"""What was refused at the door: the latest rows of each tenant, and how many by minute and code."""

from alembic import op

from shared.migrations.policy import policy
from shared.postgres import APP_ROLE, WORKER_ROLE

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE ingest.rejection (
  tenant int NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, route text NOT NULL,
  index int NOT NULL, type text, id text, code text NOT NULL, message text NOT NULL, payload text NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE INDEX ON ingest.rejection (tenant, at);
CREATE TABLE ingest.rejection_count (
  tenant int NOT NULL, minute timestamptz NOT NULL, code text COLLATE "C" NOT NULL, n bigint NOT NULL,
  PRIMARY KEY (tenant, minute, code)
)
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    for table in ("rejection", "rejection_count"):
        for statement in policy(f"ingest.{table}", app="SELECT"):
            op.execute(statement)
    op.execute(f"GRANT USAGE ON SCHEMA ingest TO {APP_ROLE}, {WORKER_ROLE}")
