-- Changes of an account as they are told to listeners, kept for a day. seq is the microsecond at which a round's events
-- were appended, counted on from there: it grows in the order of the commits (whoever appends holds the head until the
-- commit) and is given out once, also when the state is rebuilt or a crash takes back a round that did not wait for the
-- disk. What lies at or before floor is no longer kept. Written by the assessment.
CREATE TABLE {schema}.stream_head (
  tenant int PRIMARY KEY, seq bigint NOT NULL, floor bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE {schema}.stream (
  tenant int NOT NULL, seq bigint NOT NULL, at timestamptz NOT NULL, kind text NOT NULL, csm_id text COLLATE "C",
  body text NOT NULL, PRIMARY KEY (tenant, seq)
);
-- An account's health as it was last told: small moves add up against it.
CREATE TABLE {schema}.stream_told (
  tenant int NOT NULL, account int NOT NULL, score double precision, band text NOT NULL, effective_band text NOT NULL,
  PRIMARY KEY (tenant, account)
) WITH (fillfactor = 80);
