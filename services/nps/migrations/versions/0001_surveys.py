"""Surveys, invitations with their links, answers given through them, and who wants no more of them."""

from alembic import op

from shared.migrations.policy import policy
from shared.postgres import APP_ROLE, WORKER_ROLE

revision = "0001"
down_revision = None

# `token` knows links by their SHA-256 alone. One answer an invitation, and one invitation a person and survey.
# `mail` is the queue: number 0 is the invitation's first mail, the others its reminders; an address goes with its mail.
# `sender` is what the tenant's settings last said of mail server and brand.
TABLES = """
CREATE TABLE nps.survey (
  tenant int NOT NULL, survey_id text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, kind text NOT NULL,
  created_at timestamptz NOT NULL, question jsonb, open_question jsonb, quiet_days int NOT NULL DEFAULT 90,
  closes_at timestamptz, closed_at timestamptz, language text NOT NULL DEFAULT 'both',
  reminders int NOT NULL DEFAULT 0, reminder_days int NOT NULL DEFAULT 7, send_hours jsonb,
  PRIMARY KEY (tenant, survey_id), UNIQUE (tenant, name)
);
CREATE TABLE nps.invitation (
  tenant int NOT NULL, invitation_id text COLLATE "C" NOT NULL, survey_id text COLLATE "C" NOT NULL,
  person_id text COLLATE "C" NOT NULL, account_id text COLLATE "C", state text NOT NULL, made_at timestamptz NOT NULL,
  due_at timestamptz NOT NULL, sent_at timestamptz, also jsonb NOT NULL, PRIMARY KEY (tenant, invitation_id),
  UNIQUE (tenant, survey_id, person_id),
  FOREIGN KEY (tenant, survey_id) REFERENCES nps.survey
);
CREATE INDEX ON nps.invitation (tenant, person_id);
CREATE TABLE nps.mail (
  tenant int NOT NULL, invitation_id text COLLATE "C" NOT NULL, number int NOT NULL, email text NOT NULL,
  base text NOT NULL, state text NOT NULL, due_at timestamptz NOT NULL, attempts int NOT NULL DEFAULT 0,
  leased_until timestamptz, handed_at timestamptz, left_at timestamptz, problem text,
  PRIMARY KEY (tenant, invitation_id, number), FOREIGN KEY (tenant, invitation_id) REFERENCES nps.invitation
);
CREATE INDEX ON nps.mail (tenant, due_at) WHERE state = 'waiting';
CREATE TABLE nps.sender (tenant int PRIMARY KEY, document jsonb NOT NULL, at timestamptz NOT NULL);
CREATE TABLE nps.token (
  hash bytea PRIMARY KEY, tenant int NOT NULL, invitation_id text COLLATE "C" NOT NULL, purpose text NOT NULL
);
CREATE TABLE nps.answer (
  tenant int NOT NULL, invitation_id text COLLATE "C" NOT NULL, response_id text COLLATE "C" NOT NULL,
  edits int NOT NULL, at timestamptz NOT NULL, score smallint NOT NULL, comment text,
  PRIMARY KEY (tenant, invitation_id), UNIQUE (tenant, response_id)
);
CREATE TABLE nps.opt_out (
  tenant int NOT NULL, person_id text COLLATE "C" NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (tenant, person_id)
);
"""
# A link names no tenant: this function alone may look across tenants, one hash at a time.
FIND_LINK = """
CREATE FUNCTION nps.find_token(asked bytea) RETURNS TABLE (tenant int, invitation_id text, purpose text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT t.tenant, t.invitation_id, t.purpose FROM nps.token t WHERE t.hash = asked
$$
"""
# What the request role may do; the workers write what goes on the log with it.
GRANTS = {"survey": "SELECT, INSERT, UPDATE", "invitation": "SELECT", "mail": "SELECT", "token": "", "answer": "SELECT"}


def upgrade() -> None:
    for statement in [*TABLES.split(";\n"), FIND_LINK]:
        if statement.strip():
            op.execute(statement)
    op.execute("CREATE INDEX ON nps.survey (tenant, created_at, survey_id)")
    for table, rights in {**GRANTS, "opt_out": "SELECT, INSERT", "sender": ""}.items():
        for statement in policy(f"nps.{table}", app=rights):
            op.execute(statement)
    op.execute("CREATE POLICY owner ON nps.token TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute("REVOKE ALL ON FUNCTION nps.find_token(bytea) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION nps.find_token(bytea) TO {APP_ROLE}, {WORKER_ROLE}")
    op.execute(f"GRANT USAGE ON SCHEMA nps TO {APP_ROLE}, {WORKER_ROLE}")
