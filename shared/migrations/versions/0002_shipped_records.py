"""A record of the outbox stays known, without its body, until every consumer has passed it on the log."""

from alembic import op

revision = "0002"
down_revision = "0001"

# The end of its partition on the log when the record was surely on it; null = it still waits.
SHIPPED_TO = "ALTER TABLE bus.outbox ADD COLUMN IF NOT EXISTS shipped_to bigint"
WAITING = "CREATE INDEX IF NOT EXISTS outbox_waiting ON bus.outbox (seq) WHERE shipped_to IS NULL"


def upgrade() -> None:
    """Only adds."""
    op.execute(SHIPPED_TO)
    op.execute(WAITING)
