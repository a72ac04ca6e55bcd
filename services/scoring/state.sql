-- Derived state: everything here is folded from the log and can be rebuilt from the archive. {schema} is swapped whole
-- by a rebuild. Written by the fold unless a comment says otherwise. Money is in minor units of the tenant's currency.

CREATE TABLE {schema}.fact_seen (
  key uuid PRIMARY KEY, tenant int NOT NULL, seen_on date NOT NULL, body bigint NOT NULL
) PARTITION BY HASH (key);

-- Usage per account, person, feature and day. account 0 = not known yet; implied = the person's membership decides.
CREATE TABLE {schema}.usage (
  tenant int NOT NULL, account int NOT NULL, person int NOT NULL, feature int NOT NULL, day date NOT NULL,
  implied boolean NOT NULL, events bigint NOT NULL, last_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, account, person, feature, day, implied)
) PARTITION BY RANGE (day);
CREATE INDEX ON {schema}.usage (tenant, person, day) WHERE implied;

-- First and last usage day of a person in an account: what whole histories are asked for most.
CREATE TABLE {schema}.account_user (
  tenant int NOT NULL, account int NOT NULL, person int NOT NULL, first_day date NOT NULL, last_day date NOT NULL,
  PRIMARY KEY (tenant, account, person)
);
CREATE INDEX ON {schema}.account_user (tenant, person);

-- Membership facts, folded per person and day: the earliest and the latest by (at, id). A person's usage of day d belongs
-- to the latest membership up to d, else to the earliest one after it.
CREATE TABLE {schema}.membership (
  tenant int NOT NULL, person int NOT NULL, day date NOT NULL,
  first_at timestamptz NOT NULL, first_id text COLLATE "C" NOT NULL, first_account int NOT NULL,
  last_at timestamptz NOT NULL, last_id text COLLATE "C" NOT NULL, last_account int NOT NULL,
  PRIMARY KEY (tenant, person, day)
);

-- Every version of every field; the value in force at T is the one with the greatest (at, id) <= T.
CREATE TABLE {schema}.account_attribute (
  tenant int NOT NULL, account int NOT NULL, field text COLLATE "C" NOT NULL, at timestamptz NOT NULL,
  id text COLLATE "C" NOT NULL, value jsonb, PRIMARY KEY (tenant, account, field, at, id)
);
-- account 0 = what is said of the person alone (name, e-mail, title).
CREATE TABLE {schema}.person_attribute (
  tenant int NOT NULL, account int NOT NULL, person int NOT NULL, field text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL, id text COLLATE "C" NOT NULL, value jsonb,
  PRIMARY KEY (tenant, account, person, field, at, id)
);
CREATE TABLE {schema}.csm_attribute (
  tenant int NOT NULL, csm_id text COLLATE "C" NOT NULL, field text COLLATE "C" NOT NULL, at timestamptz NOT NULL,
  id text COLLATE "C" NOT NULL, value jsonb, PRIMARY KEY (tenant, csm_id, field, at, id)
);

CREATE TABLE {schema}.contact (
  tenant int NOT NULL, account int NOT NULL, at timestamptz NOT NULL, id text COLLATE "C" NOT NULL,
  sent_id text COLLATE "C" NOT NULL, channel text NOT NULL, outcome text NOT NULL, csm_id text COLLATE "C",
  person_ids text[] NOT NULL, direction text, playbook text, note text, voices jsonb,
  replaces text COLLATE "C", recorded_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, account, at, id)
);
CREATE INDEX ON {schema}.contact (tenant, replaces) WHERE replaces IS NOT NULL;
CREATE INDEX ON {schema}.contact (tenant, sent_id);
CREATE INDEX ON {schema}.contact (tenant, at);
CREATE INDEX ON {schema}.contact (tenant, at) WHERE outcome = 'planned';

CREATE TABLE {schema}.contract (
  tenant int NOT NULL, account int NOT NULL, id text COLLATE "C" NOT NULL, contract_id text COLLATE "C" NOT NULL,
  effective_on date NOT NULL, change text NOT NULL, acv_after bigint NOT NULL, currency text NOT NULL, term_end date,
  reason text, replaces text COLLATE "C", recorded_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, account, id)
);
CREATE INDEX ON {schema}.contract (tenant, replaces) WHERE replaces IS NOT NULL;
CREATE INDEX ON {schema}.contract (tenant, id);

CREATE TABLE {schema}.alias (
  tenant int NOT NULL, person int NOT NULL, previous int NOT NULL, at timestamptz NOT NULL, id text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, person, previous)
);
CREATE INDEX ON {schema}.alias (tenant, previous);

-- merged_into as told, version by version; target null = undone.
CREATE TABLE {schema}.account_merge (
  tenant int NOT NULL, account int NOT NULL, at timestamptz NOT NULL, id text COLLATE "C" NOT NULL, target int,
  PRIMARY KEY (tenant, account, at, id)
);
CREATE INDEX ON {schema}.account_merge (tenant, target) WHERE target IS NOT NULL;

-- Ids that are one, members of components of two or more with the one that stands for all. Written by the tenant's job.
CREATE TABLE {schema}.account_join (
  tenant int NOT NULL, account int NOT NULL, canonical int NOT NULL, PRIMARY KEY (tenant, account)
);
CREATE INDEX ON {schema}.account_join (tenant, canonical);
CREATE TABLE {schema}.person_join (
  tenant int NOT NULL, person int NOT NULL, canonical int NOT NULL, PRIMARY KEY (tenant, person)
);
CREATE INDEX ON {schema}.person_join (tenant, canonical);

CREATE TABLE {schema}.response (
  tenant int NOT NULL, id text COLLATE "C" NOT NULL, response_id text COLLATE "C" NOT NULL,
  survey_id text COLLATE "C" NOT NULL, account int, person int, at timestamptz NOT NULL, score smallint, comment text,
  invitation_id text COLLATE "C", PRIMARY KEY (tenant, id)
);
CREATE INDEX ON {schema}.response (tenant, account, at);
CREATE INDEX ON {schema}.response (tenant, at);
CREATE INDEX ON {schema}.response (tenant, response_id);
CREATE INDEX ON {schema}.response (tenant, person, survey_id) WHERE person IS NOT NULL;

CREATE TABLE {schema}.invitation (
  tenant int NOT NULL, invitation_id text COLLATE "C" NOT NULL, kind text NOT NULL, survey_id text COLLATE "C" NOT NULL,
  account int, person int, at timestamptz NOT NULL, id text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, invitation_id, kind)
);
CREATE INDEX ON {schema}.invitation (tenant, at);

-- When the newest fact of a partition happened, or was received if that is earlier. A row has one writer: its partition.
CREATE TABLE {schema}.newest_fact (
  tenant int NOT NULL, topic text COLLATE "C" NOT NULL, part int NOT NULL, at timestamptz NOT NULL,
  PRIMARY KEY (tenant, topic, part)
) WITH (fillfactor = 50);

-- Accounts that wait for their assessment. since = the earliest day a change reaches back to (-infinity: all of it).
CREATE TABLE {schema}.dirty (
  shard smallint NOT NULL, tenant int NOT NULL, account int NOT NULL, received timestamptz NOT NULL, since date NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
CREATE INDEX ON {schema}.dirty (shard, received);

-- What the clock alone will bring: facts dated ahead, overrides that end. kind account: key = account; kind csm: csm_id.
CREATE TABLE {schema}.due (
  tenant int NOT NULL, at timestamptz NOT NULL, kind text NOT NULL, key text COLLATE "C" NOT NULL,
  PRIMARY KEY (at, tenant, kind, key)
);

-- Work that concerns a whole tenant and needs its assessments held still: kind csm (key csm_id), merge (account), alias
-- (person), replaces (the replaced fact's id), money, all.
CREATE TABLE {schema}.recheck (
  tenant int NOT NULL, kind text NOT NULL, key text COLLATE "C" NOT NULL, since date NOT NULL,
  received timestamptz NOT NULL
);
CREATE INDEX ON {schema}.recheck (tenant);

-- Written by the assessment: how each account stands now. needs_action and health are JSON as answers show it, kept as
-- text and inline: they are written a thousand times for each time that they are read.
CREATE TABLE {schema}.account_state (
  tenant int NOT NULL, account int NOT NULL, account_id text COLLATE "C" NOT NULL, shard smallint NOT NULL,
  day date NOT NULL, name text, status text NOT NULL, churned boolean NOT NULL, start date, start_source text,
  acv bigint, value bigint NOT NULL, tier text, rank text, tenure text, priority text, csm_id text COLLATE "C",
  csm_name text, team text COLLATE "C", renewal_on date,
  score double precision, band text NOT NULL, effective_band text NOT NULL, confidence double precision NOT NULL,
  change_1d double precision, change_7d double precision, change_28d double precision, band_7d text,
  ids int NOT NULL, active_users_28d int NOT NULL, first_usage_day date, last_usage_day date,
  covered boolean, due_at timestamptz, last_contact_at timestamptz, last_contact_channel text, last_contact_csm text,
  planned_at timestamptz, planned_channel text, in_use boolean NOT NULL, contacted boolean NOT NULL,
  needs_action text NOT NULL, needs int NOT NULL, health text NOT NULL,
  priority_order smallint NOT NULL, band_order smallint NOT NULL, acv_order bigint NOT NULL,
  call_order text COLLATE "C", id_folded text COLLATE "C" NOT NULL, name_folded text COLLATE "C",
  digest uuid NOT NULL, computed_at timestamptz NOT NULL,
  class smallint NOT NULL GENERATED ALWAYS AS ({class}) STORED,
  PRIMARY KEY (tenant, account)
) WITH (fillfactor = 80, toast_tuple_target = 8160);
CREATE UNIQUE INDEX ON {schema}.account_state (tenant, account_id);
CREATE INDEX ON {schema}.account_state (tenant, priority_order, band_order, acv_order, account_id) WHERE NOT churned;
CREATE INDEX ON {schema}.account_state (tenant, id_folded);
CREATE INDEX ON {schema}.account_state (tenant, name_folded);
CREATE INDEX ON {schema}.account_state (tenant, due_at, acv_order, account_id) WHERE due_at IS NOT NULL;
CREATE INDEX ON {schema}.account_state (tenant, call_order) WHERE call_order IS NOT NULL;
{indexes}

-- How each account stood at T (ago 0) and at the end of the days 1, 7 and 28 before. Written by the assessment.
-- Every row is written again each night: half a page is kept free for that, so that no index is written with it.
CREATE TABLE {schema}.standing (
  tenant int NOT NULL, account int NOT NULL, ago smallint NOT NULL, day date NOT NULL, value bigint NOT NULL,
  tier text, score double precision, band text NOT NULL, PRIMARY KEY (tenant, account, ago)
) WITH (fillfactor = 50);
-- value > 0 only while the account exists and is not churned: the order that provisional tiers are read from.
CREATE INDEX ON {schema}.standing (tenant, ago, value DESC, account) WHERE value > 0;

-- Provisional tier amounts of the four moments, and the earliest facts of the tenant. Written by the tenant's job.
CREATE TABLE {schema}.amounts (
  tenant int NOT NULL, ago smallint NOT NULL, day date NOT NULL, high bigint, low bigint, PRIMARY KEY (tenant, ago)
);
CREATE TABLE {schema}.first_facts (
  tenant int PRIMARY KEY, usage_day date, contact_at timestamptz
);
CREATE TABLE {schema}.tenant_day (
  tenant int PRIMARY KEY, day date NOT NULL
);

-- Live totals; a read sums the shards. dim: tenant, tier, csm, team, rank, band, status, moved. '' = nobody.
CREATE TABLE {schema}.counter (
  tenant int NOT NULL, shard smallint NOT NULL, dim text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL,
  tier text COLLATE "C" NOT NULL, accounts int NOT NULL, acv bigint NOT NULL, eligible int NOT NULL,
  covered int NOT NULL, in_use int NOT NULL, contacted int NOT NULL, scored int NOT NULL, score bigint NOT NULL,
  PRIMARY KEY (tenant, dim, key, tier, shard)
) WITH (fillfactor = 70);
