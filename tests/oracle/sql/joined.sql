-- What holds at every T: ids that are one, facts that are replaced, the account that usage belongs to.

-- An account fact with merged_into joins two ids; the last word counts, null undoes it, chains are followed. Of the
-- ids that are one, the smallest is shown.
CREATE TABLE account_root AS
WITH RECURSIVE said AS (
  SELECT account, value AS other FROM raw_account WHERE field = 'merged_into'
  QUALIFY row_number() OVER (PARTITION BY account ORDER BY ts DESC, id DESC) = 1),
edge AS (SELECT account AS one, other FROM said WHERE other IS NOT NULL
         UNION SELECT other, account FROM said WHERE other IS NOT NULL),
walk(account, other) AS (
  SELECT one, one FROM edge UNION SELECT w.account, e.other FROM walk w JOIN edge e ON e.one = w.other)
SELECT account, min(other) AS root FROM walk GROUP BY account;

-- alias joins a previous id to a user id for all time.
CREATE TABLE person_root AS
WITH RECURSIVE edge AS (
  SELECT person AS one, previous AS other FROM raw_alias UNION SELECT previous, person FROM raw_alias),
walk(person, other) AS (
  SELECT one, one FROM edge UNION SELECT w.person, e.other FROM walk w JOIN edge e ON e.one = w.other)
SELECT person, min(other) AS root FROM walk GROUP BY person;

CREATE TABLE told AS
SELECT coalesce(r.root, f.account) AS account, ts, id, field, value
FROM raw_account f LEFT JOIN account_root r USING (account);

CREATE TABLE person_told AS
SELECT coalesce(p.root, f.person) AS person, coalesce(r.root, f.account) AS account, ts, day, id, uses, gone
FROM raw_person f LEFT JOIN account_root r USING (account) LEFT JOIN person_root p ON p.person = f.person;

-- Usage without account belongs to the latest membership up to the end of its day, else to the first after it.
CREATE TABLE home AS
WITH wanted AS (
  SELECT DISTINCT coalesce(p.root, u.person) AS person, u.day
  FROM raw_usage u LEFT JOIN person_root p USING (person) WHERE account IS NULL),
choice AS (
  SELECT w.person, w.day, m.account, m.day <= w.day AS before, m.ts, m.id
  FROM wanted w JOIN person_told m USING (person) WHERE m.account IS NOT NULL AND m.gone IS NOT TRUE)
SELECT person, day, account FROM choice
QUALIFY row_number() OVER (PARTITION BY person, day ORDER BY before DESC,
  CASE WHEN before THEN ts END DESC, CASE WHEN before THEN id END DESC, ts, id) = 1;

CREATE TABLE used AS
SELECT coalesce(r.root, u.account, h.account) AS account, coalesce(p.root, u.person) AS person, u.day, event, times,
  u.account IS NOT NULL AS named
FROM raw_usage u LEFT JOIN account_root r USING (account) LEFT JOIN person_root p ON p.person = u.person
LEFT JOIN home h ON u.account IS NULL AND h.person = coalesce(p.root, u.person) AND h.day = u.day;

-- A replaced fact counts nowhere; of several that replace one, the greatest (recorded_at, id) stands.
CREATE TABLE contact AS
WITH heir AS (
  SELECT replaces AS old, id AS heir FROM raw_contact WHERE replaces IS NOT NULL
  QUALIFY row_number() OVER (PARTITION BY replaces ORDER BY recorded_at DESC, id DESC) = 1)
SELECT coalesce(r.root, c.account) AS account, ts, day, id, channel, outcome, csm
FROM raw_contact c LEFT JOIN account_root r USING (account)
WHERE id NOT IN (SELECT old FROM heir) AND (replaces IS NULL OR id IN (SELECT heir FROM heir));

CREATE TABLE contract AS
WITH heir AS (
  SELECT replaces AS old, id AS heir FROM raw_contract WHERE replaces IS NOT NULL
  QUALIFY row_number() OVER (PARTITION BY replaces ORDER BY recorded_at DESC, id DESC) = 1)
SELECT coalesce(r.root, c.account) AS account, contract, ts, day, id, change, acv, term_end
FROM raw_contract c LEFT JOIN account_root r USING (account)
WHERE id NOT IN (SELECT old FROM heir) AND (replaces IS NULL OR id IN (SELECT heir FROM heir));

-- Changes that begin or end being a customer. A churn of one contract ends it only if no other is live that day.
CREATE TABLE turn AS
WITH other AS (
  SELECT c.id, o.contract, first(o.acv ORDER BY o.day DESC, o.id DESC) AS acv
  FROM contract c JOIN contract o ON o.account = c.account AND o.contract <> c.contract AND o.day <= c.day
  WHERE c.change = 'churn' GROUP BY c.id, o.contract)
SELECT account, ts, day, id, change = 'churn' AS churned FROM contract c
WHERE change IN ('new', 'reactivation')
   OR (change = 'churn' AND NOT EXISTS (SELECT 1 FROM other o WHERE o.id = c.id AND o.acv > 0));

-- For a window's length and a contact's day: the first day D with D − window ≥ the contact's day.
CREATE TABLE due AS
WITH calendar AS (
  SELECT CAST(unnest(generate_series(min(day) - 10, max(day) + 600, INTERVAL 1 DAY)) AS DATE) AS day FROM contact),
back AS (SELECT span, c.day, CAST(c.day - to_months(months) - to_days(days) AS DATE) AS back FROM calendar c, span),
touched AS (SELECT DISTINCT day FROM contact)
SELECT b.span, t.day, min(b.day) AS due FROM touched t JOIN back b ON b.back >= t.day AND b.day > t.day AND b.day < t.day + 250
GROUP BY b.span, t.day;

CREATE TABLE answer AS
SELECT response, survey, coalesce(r.root, a.account) AS account,
  coalesce(p.root, a.person, ' ' || response) AS person, ts, day, id, score, invitation
FROM raw_response a LEFT JOIN account_root r USING (account) LEFT JOIN person_root p ON p.person = a.person;

CREATE TABLE invited AS
SELECT invitation, survey, coalesce(r.root, i.account) AS account, ts, day
FROM raw_invitation i LEFT JOIN account_root r USING (account);
