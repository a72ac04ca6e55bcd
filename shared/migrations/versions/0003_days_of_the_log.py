"""Days of the log: one is made without an append failing beside it; dead letters, which nobody applies, go by age."""

from alembic import op

revision = "0003"
down_revision = "0002"

# Appends wait for the parent's lock, before they choose a partition: one that had chosen log_other and waited there
# found, when the day had its own partition, that its rows do not belong where it stood.
ADD_DAYS = """
CREATE OR REPLACE FUNCTION bus.add_days(first date, days int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE d date;
BEGIN
  PERFORM pg_advisory_xact_lock(7300002);
  FOR d IN SELECT first + i FROM generate_series(0, days - 1) AS i LOOP
    IF to_regclass(format('bus.log_%s', to_char(d, 'YYYYMMDD'))) IS NULL THEN
      LOCK TABLE ONLY bus.log IN SHARE ROW EXCLUSIVE MODE;
      LOCK TABLE bus.log_other IN ACCESS EXCLUSIVE MODE;
      EXECUTE format('CREATE TABLE bus.log_%s (LIKE bus.log INCLUDING ALL)', to_char(d, 'YYYYMMDD'));
      EXECUTE format('WITH gone AS (DELETE FROM bus.log_other WHERE day = %L RETURNING *)
        INSERT INTO bus.log_%s SELECT * FROM gone', d, to_char(d, 'YYYYMMDD'));
      EXECUTE format('ALTER TABLE bus.log ATTACH PARTITION bus.log_%s FOR VALUES FROM (%L) TO (%L)',
                     to_char(d, 'YYYYMMDD'), d, d + 1);
    END IF;
  END LOOP;
END $$
"""
DROP_DAYS = """
CREATE OR REPLACE FUNCTION bus.drop_days(oldest date) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE t text; waiting boolean; dropped int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7300002);
  FOR t IN SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
           WHERE i.inhparent = 'bus.log'::regclass AND c.relname ~ '^log_[0-9]{8}$'
             AND to_date(substr(c.relname, 5), 'YYYYMMDD') < oldest LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM bus.%I l WHERE l.topic <> ''genki.dead.v1'' AND (
      NOT EXISTS (SELECT 1 FROM bus.position p WHERE p.bus = ''pg'' AND p.topic = l.topic AND p.part = l.part)
      OR EXISTS (SELECT 1 FROM bus.position p WHERE p.bus = ''pg'' AND p.topic = l.topic AND p.part = l.part
      AND p.next <= l.off)))', t) INTO waiting;
    IF NOT waiting THEN EXECUTE format('DROP TABLE bus.%I', t); dropped := dropped + 1; END IF;
  END LOOP;
  RETURN dropped;
END $$
"""


def upgrade() -> None:
    """The same functions, with the same rights."""
    op.execute(ADD_DAYS)
    op.execute(DROP_DAYS)
