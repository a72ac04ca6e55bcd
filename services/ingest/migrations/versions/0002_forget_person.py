"""Refusals forget an erased person: the row and its code stay, what was sent goes."""

from alembic import op

from shared.postgres import WORKER_ROLE

revision = "0002"
down_revision = "0001"

FORGET = """
CREATE OR REPLACE FUNCTION ingest.forget_person(of_tenant int, words text[]) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE n bigint;
BEGIN
  UPDATE ingest.rejection r SET payload = '', id = NULL, message = r.code WHERE r.tenant = of_tenant AND EXISTS (
    SELECT 1 FROM unnest(words) AS w(word)
    WHERE position(lower(w.word) IN lower(concat_ws(' ', r.payload, r.id, r.message))) > 0);
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$
"""


def upgrade() -> None:
    """Only adds."""
    op.execute(FORGET)
    op.execute("REVOKE ALL ON FUNCTION ingest.forget_person(int, text[]) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION ingest.forget_person(int, text[]) TO {WORKER_ROLE}")
