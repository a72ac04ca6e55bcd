-- What is read of the accounts at T. Each statement has a name.

-- name: coverage
-- Groups of eligible accounts; the target of mixed tiers is their mean weighted by eligible accounts, exact.
SELECT {key} AS key, count(*) AS eligible, count(*) FILTER (covered) AS covered, sum(target) AS wanted,
  CASE WHEN min(tier) = max(tier) THEN min(window_text) END AS span
FROM standing WHERE eligible GROUP BY 1;

-- name: worklist
-- Uncovered accounts, and those with due_at within n calendar days of T's day.
WITH plan AS (SELECT account, min(ts) AS planned_at FROM contact
              WHERE outcome = 'planned' AND ts > getvariable('t') GROUP BY account),
tried AS (SELECT c.account, count(*) AS attempts FROM contact c JOIN standing s USING (account)
          WHERE c.outcome IN ('no_answer', 'bounced', 'cancelled') AND c.ts <= getvariable('t')
            AND (s.last_at IS NULL OR (c.ts, c.id) > (s.last_at, s.last_id)) GROUP BY c.account)
SELECT account, tier, csm, acv, last_at, last_channel, last_csm, due,
  CASE WHEN covered THEN 'due' ELSE 'uncovered' END AS state, planned_at, coalesce(attempts, 0) AS attempts
FROM standing LEFT JOIN plan USING (account) LEFT JOIN tried USING (account)
WHERE eligible AND (NOT covered OR due <= getvariable('day') + CAST(? AS INTEGER))
ORDER BY due, acv DESC NULLS LAST, account;

-- name: contact_rate
-- In use: not churned, used in the trailing 30 days; contacted: a counting contact on or after the start.
SELECT count(*) AS in_use, count(*) FILTER (EXISTS (
  SELECT 1 FROM counting c WHERE c.account = s.account AND (s.start IS NULL OR c.day >= s.start))) AS contacted
FROM standing s WHERE NOT churned AND last_day > getvariable('day') - 30;

-- name: cells
SELECT rank, tenure, count(*) AS accounts, coalesce(sum(acv), 0) AS acv,
  count(*) FILTER (eligible) AS eligible, count(*) FILTER (eligible AND covered) AS covered
FROM standing WHERE NOT churned AND rank IS NOT NULL AND tenure IS NOT NULL GROUP BY rank, tenure;

-- name: outside_cells
SELECT count(*) FILTER (tenure IS NOT NULL AND rank IS NULL) AS unranked, count(*) FILTER (tenure IS NULL) AS without_start
FROM standing WHERE NOT churned;

-- name: needs_action
-- The rules that need no score and fire, by account.
SELECT account, list_filter([
  CASE WHEN last_day <= getvariable('day') - 14 AND days_before_14 >= 4 THEN 'silent' END,
  CASE WHEN active_before >= 3 AND active_28 * 2 <= active_before THEN 'usage_drop' END,
  CASE WHEN eligible AND NOT covered THEN 'uncovered' END,
  CASE WHEN eligible AND covered AND due <= getvariable('day') + 7 THEN 'due' END,
  CASE WHEN eligible AND last_at IS NULL AND start + 28 <= getvariable('day') THEN 'never_contacted' END
], lambda rule : rule IS NOT NULL) AS rules FROM standing WHERE NOT churned;

-- name: usage
-- Usage of a trailing window: a person in two accounts counts once, usage that belongs nowhere not at all.
SELECT CAST(coalesce(sum(times), 0) AS BIGINT) AS events, count(DISTINCT person) AS active_users,
  count(DISTINCT account) AS active_accounts
FROM used WHERE account IS NOT NULL AND day <= getvariable('day') AND day > getvariable('day') - CAST(? AS INTEGER);

-- name: accounts
SELECT * FROM standing;

-- name: amounts
SELECT high, low FROM amounts;

-- name: features_used
-- Entitled value features by account, and which of them were used in 28 days. Absent features mean all.
WITH offered AS (SELECT DISTINCT feature FROM value_event WHERE coalesce(released <= getvariable('day'), true)),
entitled AS (SELECT account, feature FROM standing s, offered o
             WHERE s.features IS NULL OR list_contains(from_json(s.features, '["VARCHAR"]'), o.feature)),
opened AS (SELECT DISTINCT account, feature FROM used u JOIN value_event v USING (event)
           WHERE u.day <= getvariable('day') AND u.day > getvariable('day') - 28)
SELECT e.account, count(*) AS entitled, count(o.feature) AS opened
FROM entitled e LEFT JOIN opened o USING (account, feature) GROUP BY e.account;

-- name: gaps
-- 1 − Σ w·min(1, users ÷ (share·seats)) ÷ Σ w over entitled value features; IDs where no seats are told.
WITH offered AS (SELECT DISTINCT feature, weight, share FROM value_event
                 WHERE coalesce(released <= getvariable('day'), true)),
entitled AS (SELECT account, feature, weight, share, coalesce(nullif(seats, 0), nullif(ids, 0)) AS seats
             FROM standing s, offered o
             WHERE s.features IS NULL OR list_contains(from_json(s.features, '["VARCHAR"]'), o.feature)),
opened AS (SELECT account, feature, count(DISTINCT person) AS users FROM used u JOIN value_event v USING (event)
           WHERE u.day <= getvariable('day') AND u.day > getvariable('day') - 28 GROUP BY account, feature)
SELECT account, 1 - sum(weight * least(1, coalesce(users, 0) / (share * seats))) / sum(weight) AS gap
FROM entitled LEFT JOIN opened USING (account, feature) WHERE seats IS NOT NULL GROUP BY account;

-- name: voices
-- Each person's latest scored answer for an account, with its age in whole days.
WITH version AS (
  SELECT * FROM answer WHERE ts <= getvariable('t')
  QUALIFY row_number() OVER (PARTITION BY response ORDER BY ts DESC, id DESC) = 1),
latest AS (
  SELECT * FROM version WHERE score IS NOT NULL AND account IS NOT NULL
  QUALIFY row_number() OVER (PARTITION BY account, person ORDER BY ts DESC, id DESC) = 1)
SELECT account, sum(score * (1 - (getvariable('day') - day) / 180.0)) AS weighted,
  sum(1 - (getvariable('day') - day) / 180.0) AS weight
FROM latest WHERE getvariable('day') - day < 180 GROUP BY account;

-- name: tenant
SELECT (SELECT min(day) FROM used WHERE account IS NOT NULL) <= getvariable('day') AS has_usage,
  (SELECT min(ts) FROM contact) <= getvariable('t') AS has_contacts;
