"""What is read of accounts at T and at earlier moments: one statement a family, whether for one account or for all."""

from typing import Final

PART: Final = "width_bucket(at, $4::timestamptz[])"
# {some}: "AND x.account = ANY($2)" for a few accounts, "AND $2::int[] IS NULL" for all of the tenant.
# {account}, {person} and {joins}: see joins/sql.py.
# {part}: how many of the earlier moments ($4, each a microsecond on, in order) lie before a version. Of the versions
# between two moments only the last can be in force at any.
# The values in force of every field: the greatest (at, id) up to T, and up to each earlier moment.
ATTRIBUTES: Final = f"""
SELECT DISTINCT ON ({{account}}, field, {PART}) {{account}} AS account, field, at, id, value, {PART} AS part
FROM account_attribute x {{joins}} WHERE x.tenant = $1 {{some}} AND at <= $3
ORDER BY {{account}}, field, {PART}, at DESC, id DESC
"""
# First usage day by D, the last one known at all, and how many persons.
SPANS: Final = """
SELECT {account} AS account, min(first_day) AS first_day, max(last_day) AS last_day, {persons} AS users
FROM account_user x {joins} WHERE x.tenant = $1 {some} AND first_day <= $3 GROUP BY 1
"""
# The last usage day by D where later usage is known.
LAST_BEFORE: Final = """
SELECT {account} AS account, max(day) AS last_day FROM usage x {joins}
WHERE x.tenant = $1 {some} AND day <= $3 AND x.account <> 0 GROUP BY 1
"""
# Accounts of which it is said that a person uses the product, or no more: of the others the persons with usage are
# the IDs.
TOLD: Final = """
SELECT DISTINCT {account} AS account FROM person_attribute x {joins}
WHERE x.tenant = $1 {some} AND x.account <> 0 AND field IN ('uses_product', 'deactivated')
"""
# IDs: persons with usage by T, or said to use the product, less those deactivated.
IDS: Final = """
WITH told AS (
  SELECT DISTINCT ON ({account}, {person}, field) {account} AS account, {person} AS person, field, value = 'true' AS yes
  FROM person_attribute x {joins}
  WHERE x.tenant = $1 {some} AND x.account <> 0 AND field IN ('uses_product', 'deactivated') AND at <= $4
  ORDER BY {account}, {person}, field, at DESC, id DESC),
one AS (SELECT {account} AS account, {person} AS person FROM account_user x {joins}
        WHERE x.tenant = $1 {some} AND first_day <= $3
        UNION SELECT account, person FROM told WHERE field = 'uses_product' AND yes)
SELECT account, count(*) AS ids FROM one WHERE NOT EXISTS (
  SELECT 1 FROM told d WHERE d.account = one.account AND d.person = one.person AND d.field = 'deactivated' AND d.yes)
GROUP BY account
"""
# A fact stands unless another replaces it, or replaces the same one and was recorded later.
STANDS: Final = """NOT EXISTS (SELECT 1 FROM {table} r WHERE r.tenant = $1 AND r.replaces = x.{id})
AND (x.replaces IS NULL OR NOT EXISTS (SELECT 1 FROM {table} r WHERE r.tenant = $1 AND r.replaces = x.replaces
     AND (r.recorded_at, r.{id}) > (x.recorded_at, x.{id})))"""
CONTACT_STANDS: Final = STANDS.format(table="contact", id="sent_id")
CONTRACT_STANDS: Final = STANDS.format(table="contract", id="id")
TOUCHES: Final = f"""
SELECT DISTINCT ON ({{account}}, channel, outcome, {PART}) {{account}} AS account, channel, outcome, at, id, csm_id,
  {PART} AS part
FROM contact x {{joins}} WHERE x.tenant = $1 {{some}} AND at <= $3 AND {CONTACT_STANDS}
ORDER BY {{account}}, channel, outcome, {PART}, at DESC, id DESC
"""
PLANNED: Final = f"""
SELECT DISTINCT ON ({{account}}) {{account}} AS account, at, channel, csm_id FROM contact x {{joins}}
WHERE x.tenant = $1 {{some}} AND outcome = 'planned' AND at > $3 AND {CONTACT_STANDS} ORDER BY {{account}}, at, id
"""
# Accounts that a person fact names by T, or a contact or contract, be it replaced.
NAMED: Final = """
SELECT DISTINCT {account} AS account FROM person_attribute x {joins}
WHERE x.tenant = $1 {some} AND x.account <> 0 AND at <= $3
UNION SELECT DISTINCT {account} FROM contact x {joins} WHERE x.tenant = $1 {some} AND at <= $3
UNION SELECT DISTINCT {account} FROM contract x {joins} WHERE x.tenant = $1 {some} AND effective_on <= $4
"""
CONTRACTS: Final = f"""
SELECT {{account}} AS account, contract_id, id, effective_on, change, acv_after, currency, term_end, reason
FROM contract x {{joins}} WHERE x.tenant = $1 {{some}} AND effective_on <= $3 AND {CONTRACT_STANDS}
"""
# Of each answer the version in force at T, scored or not.
RESPONSES: Final = f"""
SELECT DISTINCT ON (response_id, {PART}) {{account}} AS account, {{person}} AS person, at, response_id, score,
  {PART} AS part
FROM response x {{joins}}
WHERE x.tenant = $1 {{some}} AND x.account IS NOT NULL AND at <= $3 ORDER BY response_id, {PART}, at DESC, id DESC
"""
# Manual bands that may hold at T ($3) or at an earlier moment down to $4: the latest of those that hold does.
OVERRIDES: Final = """
SELECT {account} AS account, band, reason, author, expires_at, at, ended_at FROM scoring.health_override x {joins}
WHERE x.tenant = $1 {some} AND at <= $3 AND expires_at > $4 AND (ended_at IS NULL OR ended_at > $4)
ORDER BY {account}, at DESC, override_id DESC
"""
CSMS: Final = """
SELECT DISTINCT ON (csm_id, field) csm_id, field, value FROM csm_attribute
WHERE tenant = $1 AND at <= $2 AND ($3::text[] IS NULL OR csm_id = ANY($3))
ORDER BY csm_id, field, at DESC, id DESC
"""
FEATURES: Final = "SELECT feature, event FROM scoring.feature_key WHERE tenant = $1 AND event = ANY($2)"
NAMES: Final = "SELECT account, account_id FROM scoring.account_key x WHERE tenant = $1 {some}"
SOME: Final = "AND x.account = ANY($2)"
ALL: Final = "AND $2::int[] IS NULL"
