"""Tenants, keys and the audit log, and the log with the positions of its consumers."""

from alembic import op

from shared.migrations.policy import policy, worker_only
from shared.postgres import APP_ROLE, WORKER_ROLE

revision = "0001"
down_revision = None

TABLES = """
CREATE SCHEMA IF NOT EXISTS access;
CREATE TABLE access.tenant (
  tenant int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text COLLATE "C" NOT NULL UNIQUE, name text NOT NULL,
  time_zone text NOT NULL, currency text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE access.key (
  key_id text COLLATE "C" PRIMARY KEY, tenant int NOT NULL REFERENCES access.tenant, kind text NOT NULL, role text,
  csm_id text COLLATE "C", label text, secret_hash bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz, revoked_at timestamptz
);
CREATE INDEX ON access.key (tenant, created_at);
-- Rows are added and read, by neither role changed or deleted; the boot check looks.
CREATE TABLE access.audit (
  tenant int NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL,
  actor text COLLATE "C" NOT NULL, actor_kind text NOT NULL, role text, action text COLLATE "C" NOT NULL,
  target text COLLATE "C" NOT NULL, summary jsonb NOT NULL, request_id text NOT NULL, PRIMARY KEY (tenant, seq)
);

CREATE TABLE bus.head (
  topic text NOT NULL, part int NOT NULL, next bigint NOT NULL DEFAULT 0, PRIMARY KEY (topic, part)
) WITH (fillfactor = 50);
CREATE TABLE bus.log (
  topic text NOT NULL, part int NOT NULL, off bigint NOT NULL, day date NOT NULL, received timestamptz NOT NULL,
  facts int NOT NULL, body bytea NOT NULL, PRIMARY KEY (topic, part, off, day)
) PARTITION BY RANGE (day);
ALTER TABLE bus.log ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE bus.log_other PARTITION OF bus.log DEFAULT;
CREATE TABLE bus.position (
  bus text NOT NULL, consumer text NOT NULL, topic text NOT NULL, part int NOT NULL, next bigint NOT NULL,
  applied_received timestamptz, caught_up_at timestamptz, PRIMARY KEY (bus, consumer, topic, part)
) WITH (fillfactor = 50);
CREATE TABLE bus.outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, part int NOT NULL,
  received timestamptz NOT NULL, facts int NOT NULL, body bytea NOT NULL
);
CREATE TABLE bus.setting (name text PRIMARY KEY, value text NOT NULL);
"""
# Key look-up cannot name its tenant beforehand: this function alone may look across tenants, one key at a time.
FIND_KEY = """
CREATE FUNCTION access.find_key(asked text) RETURNS TABLE (
  tenant int, tenant_id text, kind text, role text, csm_id text, secret_hash bytea, expires_at timestamptz,
  revoked_at timestamptz, time_zone text, currency text, fx text[]
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT k.tenant, t.tenant_id, k.kind, k.role, k.csm_id, k.secret_hash, k.expires_at, k.revoked_at,
         t.time_zone, t.currency, access.fx_currencies(k.tenant)
  FROM access.key k JOIN access.tenant t USING (tenant) WHERE k.key_id = asked
$$
"""
FX = """
CREATE FUNCTION access.fx_currencies(asked int) RETURNS text[] LANGUAGE sql STABLE SET search_path = pg_catalog
AS $$ SELECT ARRAY[]::text[] $$
"""

# Days of the log come and go as partitions, which only the owner may make and drop: the workers ask these functions.
# A day that began before its partition was made lies in log_other and moves: no partition may claim what lies there.
ADD_DAYS = """
CREATE FUNCTION bus.add_days(first date, days int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE d date;
BEGIN
  PERFORM pg_advisory_xact_lock(7300002);
  FOR d IN SELECT first + i FROM generate_series(0, days - 1) AS i LOOP
    IF to_regclass(format('bus.log_%s', to_char(d, 'YYYYMMDD'))) IS NULL THEN
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
# Drops the days before `oldest` of which every consumer of this log has applied every record.
DROP_DAYS = """
CREATE FUNCTION bus.drop_days(oldest date) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE t text; waiting boolean; dropped int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7300002);
  FOR t IN SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
           WHERE i.inhparent = 'bus.log'::regclass AND c.relname ~ '^log_[0-9]{8}$'
             AND to_date(substr(c.relname, 5), 'YYYYMMDD') < oldest LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM bus.%I l WHERE NOT EXISTS (SELECT 1 FROM bus.position p
      WHERE p.bus = ''pg'' AND p.topic = l.topic AND p.part = l.part)
      OR EXISTS (SELECT 1 FROM bus.position p WHERE p.bus = ''pg'' AND p.topic = l.topic AND p.part = l.part
      AND p.next <= l.off))', t) INTO waiting;
    IF NOT waiting THEN EXECUTE format('DROP TABLE bus.%I', t); dropped := dropped + 1; END IF;
  END LOOP;
  RETURN dropped;
END $$
"""


def upgrade() -> None:
    for statement in [*TABLES.split(";\n"), FX, FIND_KEY, ADD_DAYS, DROP_DAYS]:
        if statement.strip():
            op.execute(statement)
    for statement in policy("access.key"):
        op.execute(statement)
    for statement in policy("access.audit", "SELECT, INSERT"):
        op.execute(statement)
    op.execute(f"REVOKE UPDATE, DELETE ON access.audit FROM {WORKER_ROLE}")
    op.execute("CREATE POLICY owner ON access.key TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT ON access.tenant TO {WORKER_ROLE}")
    for table in ("head", "log", "position", "outbox", "setting"):
        for statement in worker_only(f"bus.{table}"):
            op.execute(statement)
    op.execute(f"GRANT USAGE ON SCHEMA access TO {APP_ROLE}, {WORKER_ROLE}")
    op.execute(f"GRANT USAGE ON SCHEMA bus TO {WORKER_ROLE}")
    op.execute("REVOKE ALL ON FUNCTION access.find_key(text) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION access.find_key(text) TO {APP_ROLE}, {WORKER_ROLE}")
    op.execute("REVOKE ALL ON FUNCTION access.fx_currencies(int) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION access.fx_currencies(int) TO {WORKER_ROLE}")
    for function in ("bus.add_days(date, int)", "bus.drop_days(date)"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {WORKER_ROLE}")
