"""What scoring knows first-hand (settings, tier policies, key maps, the archive, conflicts), and the derived state."""

from alembic import op

from services.scoring.schema import state_statements
from shared.migrations.policy import policy, worker_only
from shared.postgres import APP_ROLE, WORKER_ROLE

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE scoring.account_key (
  tenant int NOT NULL, account_id text COLLATE "C" NOT NULL,
  account int GENERATED ALWAYS AS IDENTITY UNIQUE, PRIMARY KEY (tenant, account_id)
);
CREATE TABLE scoring.person_key (
  tenant int NOT NULL, person_id text COLLATE "C" NOT NULL,
  person int GENERATED ALWAYS AS IDENTITY UNIQUE, PRIMARY KEY (tenant, person_id)
);
CREATE TABLE scoring.feature_key (
  tenant int NOT NULL, event text COLLATE "C" NOT NULL,
  feature int GENERATED ALWAYS AS IDENTITY UNIQUE, PRIMARY KEY (tenant, event)
);
CREATE TABLE scoring.settings (
  tenant int NOT NULL, version int NOT NULL, document jsonb NOT NULL, author text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant, version)
);
CREATE TABLE scoring.tier_review (
  tenant int NOT NULL, review_id text COLLATE "C" NOT NULL, as_of timestamptz NOT NULL, n int NOT NULL,
  computed_high bigint, computed_low bigint, moves jsonb NOT NULL, load jsonb NOT NULL, author text NOT NULL,
  created_at timestamptz NOT NULL, PRIMARY KEY (tenant, review_id)
);
CREATE TABLE scoring.tier_policy (
  tenant int NOT NULL, policy_id text COLLATE "C" NOT NULL, review_id text COLLATE "C" NOT NULL,
  effective_from date NOT NULL, high bigint, low bigint, note text NOT NULL, author text NOT NULL,
  published_at timestamptz NOT NULL, PRIMARY KEY (tenant, policy_id)
);
CREATE TABLE scoring.health_override (
  tenant int NOT NULL, override_id bigint GENERATED ALWAYS AS IDENTITY, account int NOT NULL, band text NOT NULL,
  reason text NOT NULL, author text NOT NULL, at timestamptz NOT NULL, expires_at timestamptz NOT NULL,
  ended_at timestamptz, ended_by text, PRIMARY KEY (tenant, account, override_id)
);
CREATE TABLE scoring.health_snapshot (
  tenant int NOT NULL, account int NOT NULL, day date NOT NULL, at timestamptz NOT NULL, reason text NOT NULL,
  score double precision, band text NOT NULL, effective_band text NOT NULL, confidence double precision NOT NULL,
  model_id text NOT NULL, model_version int NOT NULL, PRIMARY KEY (tenant, account, day, at, reason)
);
CREATE TABLE scoring.keep_reason (
  tenant int NOT NULL, reason_id bigint GENERATED ALWAYS AS IDENTITY, account int NOT NULL, reason text NOT NULL,
  author text NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (tenant, account, reason_id)
);
CREATE TABLE scoring.conflict (
  tenant int NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, type text NOT NULL,
  id text NOT NULL, payload text NOT NULL, PRIMARY KEY (tenant, seq)
);
CREATE TABLE scoring.archive (
  seq bigint GENERATED ALWAYS AS IDENTITY, month date NOT NULL, topic text NOT NULL, part int NOT NULL,
  first_offset bigint NOT NULL, next_offset bigint NOT NULL, received_from timestamptz NOT NULL,
  received_to timestamptz NOT NULL, facts int NOT NULL, bus text NOT NULL, body bytea NOT NULL,
  PRIMARY KEY (seq, month)
) PARTITION BY RANGE (month);
ALTER TABLE scoring.archive ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE scoring.archive_other PARTITION OF scoring.archive DEFAULT;
"""
# What ingest must know of a tenant's settings to refuse money it cannot convert.
FX = """
CREATE OR REPLACE FUNCTION access.fx_currencies(asked int) RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog AS $$
  SELECT coalesce((SELECT array(SELECT jsonb_object_keys(s.document->'fx')) FROM scoring.settings s
                   WHERE s.tenant = asked ORDER BY s.version DESC LIMIT 1), ARRAY[]::text[])
$$
"""
FIRST_HAND = (
    "account_key", "person_key", "feature_key", "settings", "tier_review", "tier_policy", "health_override",
    "health_snapshot", "conflict", "keep_reason",
)  # fmt: skip


def upgrade() -> None:
    for statement in [*TABLES.split(";\n"), FX, "CREATE SCHEMA scoring_state"]:
        if statement.strip():
            op.execute(statement)
    for table in FIRST_HAND:
        for statement in policy(f"scoring.{table}"):
            op.execute(statement)
    op.execute("CREATE POLICY owner ON scoring.settings TO CURRENT_USER USING (true) WITH CHECK (true)")
    for statement in [*worker_only("scoring.archive"), *state_statements("scoring_state")]:
        op.execute(statement)
    for schema in ("scoring", "scoring_state"):
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {APP_ROLE}, {WORKER_ROLE}")
    op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA scoring TO {APP_ROLE}, {WORKER_ROLE}")
