"""Lists of any size are read off an index: the class of an account, and the orders of health, ACV and renewal."""

from alembic import op

from services.scoring.schema import class_sql, list_indexes

revision = "0002"
down_revision = "0001"

CLASS = """
ALTER TABLE scoring_state.account_state
  ADD COLUMN IF NOT EXISTS class smallint NOT NULL GENERATED ALWAYS AS ({class}) STORED
"""
# Their columns lead other indexes now.
OUTDATED = ("account_state_tenant_csm_id_idx", "account_state_tenant_due_at_idx")


def upgrade() -> None:
    """On a new database all of this is there already."""
    op.execute(CLASS.replace("{class}", class_sql()))
    for statement in list_indexes("scoring_state"):
        op.execute(statement)
    for name in OUTDATED:
        op.execute(f"DROP INDEX IF EXISTS scoring_state.{name}")
