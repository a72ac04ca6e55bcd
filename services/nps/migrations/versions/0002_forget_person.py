"""Surveys forget an erased person: links, addresses and comments go, answers stay counted, and no mail ever leaves."""

from alembic import op

from shared.postgres import WORKER_ROLE

revision = "0002"
down_revision = "0001"

# `opt_out` keeps two names: what stands for the person, for mails of invitations that are kept, and the hash of the id,
# for whoever invites them again under it. `hash_of` is the hash that scoring keeps its list by.
HASH = """
CREATE OR REPLACE FUNCTION nps.hash_of(of_tenant int, person_id text) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog AS $$
  SELECT 'hash:' || encode(sha256(convert_to('genki erased|' || of_tenant || '|' || person_id, 'UTF8')), 'hex')
$$
"""
FORGET = """
CREATE OR REPLACE FUNCTION nps.forget_person(of_tenant int, ids text[], aliases text[], now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE theirs text[]; n bigint;
BEGIN
  theirs := array(SELECT invitation_id FROM nps.invitation WHERE tenant = of_tenant AND person_id = ANY(ids));
  DELETE FROM nps.token WHERE tenant = of_tenant AND invitation_id = ANY(theirs);
  UPDATE nps.mail SET email = '', problem = NULL, leased_until = NULL,
    state = CASE WHEN state = 'waiting' THEN 'dropped' ELSE state END
  WHERE tenant = of_tenant AND invitation_id = ANY(theirs);
  UPDATE nps.answer SET comment = NULL WHERE tenant = of_tenant AND invitation_id = ANY(theirs);
  UPDATE nps.invitation i SET person_id = w.alias, also = '[]',
    state = CASE WHEN state = 'waiting' THEN 'dropped' ELSE state END
  FROM unnest(ids, aliases) AS w(id, alias) WHERE i.tenant = of_tenant AND i.person_id = w.id;
  GET DIAGNOSTICS n = ROW_COUNT;
  UPDATE nps.invitation SET also = '[]' WHERE tenant = of_tenant AND also ?| ids;
  DELETE FROM nps.opt_out WHERE tenant = of_tenant AND person_id = ANY(ids);
  INSERT INTO nps.opt_out (tenant, person_id, at)
  SELECT of_tenant, unnest(ARRAY[w.alias, nps.hash_of(of_tenant, w.id)]), now FROM unnest(ids, aliases) AS w(id, alias)
  ON CONFLICT DO NOTHING;
  RETURN n;
END $$
"""
_FORGET_NAME = "nps.forget_person(int, text[], text[], timestamptz)"


def upgrade() -> None:
    """Only adds."""
    op.execute(HASH)
    op.execute(FORGET)
    op.execute(f"REVOKE ALL ON FUNCTION {_FORGET_NAME} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {_FORGET_NAME} TO {WORKER_ROLE}")
