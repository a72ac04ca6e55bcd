"""Half of each page of earlier scores stays free: every night writes them all again, and then without their indexes."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """On a new database it is so already; in an old one pages come to it as they are written."""
    op.execute("ALTER TABLE scoring_state.standing SET (fillfactor = 50)")
