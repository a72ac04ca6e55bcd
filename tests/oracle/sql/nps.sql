-- Net promoter score of a period. Variables as in moment.sql (the accounts stand at the period's end), and
-- seen_until (µs): T; first and last: the days of the period.

-- name: standing_answers
-- Each answer as last changed by T, when that lies in the period.
CREATE OR REPLACE TEMP TABLE spoken AS
WITH version AS (
  SELECT * FROM answer WHERE ts <= getvariable('seen_until')
  QUALIFY row_number() OVER (PARTITION BY response ORDER BY ts DESC, id DESC) = 1)
SELECT v.*, p.tier, p.csm FROM version v LEFT JOIN standing p USING (account)
WHERE v.score IS NOT NULL AND v.day BETWEEN getvariable('first') AND getvariable('last');

-- name: invitations
-- Invitations sent in the period that did not bounce, and whether a scored answer came by T.
CREATE OR REPLACE TEMP TABLE sent AS
SELECT i.*, p.tier, p.csm, EXISTS (
  SELECT 1 FROM answer a WHERE a.invitation = i.invitation AND a.score IS NOT NULL AND a.ts <= getvariable('seen_until')
) AS answered
FROM invited i LEFT JOIN standing p USING (account)
WHERE i.day BETWEEN getvariable('first') AND getvariable('last') AND i.ts <= getvariable('seen_until')
  AND NOT EXISTS (SELECT 1 FROM raw_bounce b WHERE b.invitation = i.invitation AND b.ts <= getvariable('seen_until'));

-- name: groups
-- One score for each unit: the latest by at, ties by id.
WITH unit AS (
  SELECT * FROM spoken QUALIFY row_number() OVER (PARTITION BY {unit} ORDER BY ts DESC, id DESC) = 1),
score AS (
  SELECT {key} AS key, count(*) AS n, count(*) FILTER (score >= 9) AS promoters,
    count(*) FILTER (score BETWEEN 7 AND 8) AS passives, count(*) FILTER (score <= 6) AS detractors
  FROM unit GROUP BY 1),
mailed AS (SELECT {key} AS key, count(*) AS sent, count(*) FILTER (answered) AS answered FROM sent GROUP BY 1)
SELECT coalesce(s.key, m.key) AS key, coalesce(n, 0) AS n, coalesce(promoters, 0) AS promoters,
  coalesce(passives, 0) AS passives, coalesce(detractors, 0) AS detractors, coalesce(sent, 0) AS sent,
  coalesce(answered, 0) AS answered
FROM score s FULL JOIN mailed m ON s.key IS NOT DISTINCT FROM m.key;
