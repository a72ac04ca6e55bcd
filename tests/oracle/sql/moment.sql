-- The accounts as they stand at T. Variables: t (µs), day (T's day), high and low (percent), high_amount and
-- low_amount (of a published policy, or null). Table `rule`: one row per tier.

-- Per field the fact with the greatest (at, id) ≤ T.
CREATE OR REPLACE TEMP TABLE attribute AS
SELECT account, field, value FROM told WHERE ts <= getvariable('t')
QUALIFY row_number() OVER (PARTITION BY account, field ORDER BY ts DESC, id DESC) = 1;

-- An account exists when any fact of it lies at or before T; usage that belongs to it by membership is one.
CREATE OR REPLACE TEMP TABLE known AS
SELECT account FROM told WHERE ts <= getvariable('t')
UNION SELECT account FROM used WHERE account IS NOT NULL AND day <= getvariable('day')
UNION SELECT account FROM person_told WHERE account IS NOT NULL AND ts <= getvariable('t')
UNION SELECT account FROM contact WHERE ts <= getvariable('t')
UNION SELECT account FROM contract WHERE day <= getvariable('day')
UNION SELECT account FROM answer WHERE account IS NOT NULL AND ts <= getvariable('t');

CREATE OR REPLACE TEMP TABLE attributes AS
SELECT account,
  max(value) FILTER (field = 'csm_id') AS csm, CAST(max(value) FILTER (field = 'acv') AS DECIMAL(18,4)) AS acv,
  CAST(max(value) FILTER (field = 'potential_acv') AS DECIMAL(18,4)) AS potential,
  CAST(max(value) FILTER (field = 'customer_since') AS DATE) AS since,
  CAST(max(value) FILTER (field = 'renewal_on') AS DATE) AS renewal_on,
  CAST(max(value) FILTER (field = 'seats') AS INTEGER) AS seats, max(value) FILTER (field = 'status') AS status,
  max(value) FILTER (field = 'features') AS features,
  CAST(max(value) FILTER (field = 'traits.payment_overdue_days') AS DOUBLE) AS overdue_days
FROM known LEFT JOIN attribute USING (account) GROUP BY account;

CREATE OR REPLACE TEMP TABLE team AS
SELECT csm, first(team ORDER BY ts DESC, id DESC) AS team FROM raw_csm
WHERE ts <= getvariable('t') AND team IS NOT NULL GROUP BY csm;

-- ACV: the sum over contracts of the latest acv_after; a contract is live when that is above 0.
CREATE OR REPLACE TEMP TABLE contracted AS
SELECT account, contract, first(acv ORDER BY day DESC, id DESC) AS acv,
  first(term_end ORDER BY day DESC, id DESC) FILTER (term_end IS NOT NULL) AS term_end, min(day) AS first_day
FROM contract WHERE day <= getvariable('day') GROUP BY account, contract;
CREATE OR REPLACE TEMP TABLE ledger AS
SELECT account, sum(acv) AS acv, min(term_end) FILTER (acv > 0) AS term_end, min(first_day) AS first_day
FROM contracted GROUP BY account;

-- Churned: the latest of status facts and contract turns; a tie goes to the contract.
CREATE OR REPLACE TEMP TABLE ended AS
WITH word AS (
  SELECT account, ts, 0 AS kind, id, value = 'churned' AS churned FROM told
  WHERE field = 'status' AND value IS NOT NULL AND ts <= getvariable('t')
  UNION ALL SELECT account, ts, 1, id, churned FROM turn WHERE day <= getvariable('day'))
SELECT account, churned FROM word
QUALIFY row_number() OVER (PARTITION BY account ORDER BY ts DESC, kind DESC, id DESC) = 1;

CREATE OR REPLACE TEMP TABLE habit AS
SELECT account, min(day) AS first_day, max(day) AS last_day,
  count(DISTINCT person) FILTER (day > getvariable('day') - 28) AS active_28,
  count(DISTINCT person) FILTER (day > getvariable('day') - 56 AND day <= getvariable('day') - 28) AS active_before,
  count(DISTINCT day) FILTER (day > getvariable('day') - 28) AS days_28,
  count(DISTINCT day) FILTER (day > getvariable('day') - 90) AS days_90,
  count(DISTINCT day) FILTER (day > getvariable('day') - 42 AND day <= getvariable('day') - 14) AS days_before_14
FROM used WHERE account IS NOT NULL AND day <= getvariable('day') GROUP BY account;

-- IDs: persons with usage, or said to use the product, less those deactivated.
CREATE OR REPLACE TEMP TABLE person_now AS
SELECT account, person, first(uses ORDER BY ts DESC, id DESC) FILTER (uses IS NOT NULL) AS uses,
  first(gone ORDER BY ts DESC, id DESC) FILTER (gone IS NOT NULL) AS gone
FROM person_told WHERE account IS NOT NULL AND ts <= getvariable('t') GROUP BY account, person;
CREATE OR REPLACE TEMP TABLE ids AS
SELECT account, count(*) AS ids FROM (
  (SELECT account, person FROM used WHERE day <= getvariable('day') AND account IS NOT NULL
   UNION SELECT account, person FROM person_now WHERE uses)
  EXCEPT SELECT account, person FROM person_now WHERE gone) GROUP BY account;

CREATE OR REPLACE TEMP TABLE bare AS
SELECT account, coalesce(e.churned, false) AS churned,
  CASE WHEN e.churned THEN 'churned' WHEN a.status = 'onboarding' THEN 'onboarding' ELSE 'active' END AS status,
  a.csm, t.team, CASE WHEN e.churned THEN 0 ELSE coalesce(l.acv, a.acv) END AS acv,
  CASE WHEN e.churned THEN 0 ELSE coalesce(l.acv, a.acv, 0) END + coalesce(a.potential, 0) AS value,
  coalesce(a.since, least(l.first_day, h.first_day)) AS start, coalesce(l.term_end, a.renewal_on) AS renewal,
  a.seats, a.features, a.overdue_days, coalesce(i.ids, 0) AS ids,
  h.first_day, h.last_day, coalesce(h.active_28, 0) AS active_28, coalesce(h.active_before, 0) AS active_before,
  coalesce(h.days_28, 0) AS days_28, coalesce(h.days_90, 0) AS days_90,
  coalesce(h.days_before_14, 0) AS days_before_14
FROM attributes a LEFT JOIN ended e USING (account) LEFT JOIN ledger l USING (account) LEFT JOIN habit h USING (account)
LEFT JOIN ids i USING (account) LEFT JOIN team t ON t.csm = a.csm;

-- Provisional amounts: the values at positions ceil(n·high/100) and ceil(n·(high+low)/100), high first.
CREATE OR REPLACE TEMP TABLE amounts AS
WITH ranked AS (
  SELECT value, row_number() OVER (ORDER BY value DESC) AS place, count(*) OVER () AS n
  FROM bare WHERE NOT churned AND value > 0)
SELECT coalesce(getvariable('high_amount'),
    (SELECT value FROM ranked WHERE place = (n * getvariable('high') + 99) // 100)) AS high,
  coalesce(getvariable('low_amount'),
    (SELECT value FROM ranked WHERE place = (n * (getvariable('high') + getvariable('low')) + 99) // 100)) AS low;

CREATE OR REPLACE TEMP TABLE placed AS
SELECT b.*, CASE WHEN churned THEN NULL WHEN value > 0 AND value >= m.high THEN 'high'
    WHEN value > 0 AND value >= m.low THEN 'low' ELSE 'tech' END AS tier,
  CASE WHEN ids >= 21 THEN 'A' WHEN ids >= 11 THEN 'B' WHEN ids >= 6 THEN 'C' WHEN ids >= 1 THEN 'D' END AS rank,
  date_diff('month', start, getvariable('day'))
    - CASE WHEN start + to_months(CAST(date_diff('month', start, getvariable('day')) AS INTEGER)) > getvariable('day')
      THEN 1 ELSE 0 END AS months
FROM bare b, amounts m;

-- A counting contact: its channel and outcome are in the list of the account's tier at T.
CREATE OR REPLACE TEMP TABLE counting AS
SELECT c.* FROM contact c JOIN placed p USING (account) JOIN rule r USING (tier)
WHERE c.ts <= getvariable('t') AND list_contains(r.channels, c.channel) AND list_contains(r.outcomes, c.outcome);
CREATE OR REPLACE TEMP TABLE last_touch AS
SELECT account, ts, day, id, channel, csm FROM counting
QUALIFY row_number() OVER (PARTITION BY account ORDER BY ts DESC, id DESC) = 1;

CREATE OR REPLACE TEMP TABLE standing AS
SELECT p.* EXCLUDE (months), CASE WHEN start > getvariable('day') THEN NULL WHEN months >= 12 THEN 'd'
    WHEN months >= 8 THEN 'c' WHEN months >= 4 THEN 'b' WHEN months >= 0 THEN 'a' END AS tenure,
  NOT churned AND coalesce(start <= getvariable('day'), false) AS eligible,
  coalesce(l.day > r.back, false) AS covered, l.ts AS last_at, l.day AS last_day_touched, l.id AS last_id,
  l.channel AS last_channel, l.csm AS last_csm,
  coalesce(d.due, start) AS due, r.target, r.span, getvariable('day') - r.back AS window_days,
  r.span AS window_text
FROM placed p LEFT JOIN rule r USING (tier) LEFT JOIN last_touch l USING (account)
LEFT JOIN due d ON d.span = r.span AND d.day = l.day;
