"""The tables that the fold fills, and what each does when a row is already there."""

from typing import Final

from services.scoring.facts.store import Target, columns

KEEP: Final = "ON CONFLICT DO NOTHING"

# Returns the ids that are new: of usage (whose day of sight is a real one) also those last seen over 30 days ago.
FACT_SEEN: Final = Target(
    "fact_seen",
    columns("key uuid, tenant int, seen_on date, body bigint"),
    "ON CONFLICT (key) DO UPDATE SET seen_on = excluded.seen_on, body = excluded.body "
    "WHERE fact_seen.seen_on < excluded.seen_on - 30 RETURNING key",
    1,
)
USAGE: Final = Target(
    "usage",
    columns(
        "tenant int, account int, person int, feature int, day date, implied boolean, events bigint,"
        " last_at timestamptz"
    ),
    "ON CONFLICT (tenant, account, person, feature, day, implied) DO UPDATE SET "
    "events = usage.events + excluded.events, last_at = greatest(usage.last_at, excluded.last_at)",
    6,
)
ACCOUNT_USER: Final = Target(
    "account_user",
    columns("tenant int, account int, person int, first_day date, last_day date"),
    "ON CONFLICT (tenant, account, person) DO UPDATE SET first_day = least(account_user.first_day, excluded.first_day),"
    " last_day = greatest(account_user.last_day, excluded.last_day) "
    "WHERE account_user.first_day > excluded.first_day OR account_user.last_day < excluded.last_day",
    3,
)
MEMBERSHIP: Final = Target(
    "membership",
    columns(
        'tenant int, person int, day date, first_at timestamptz, first_id text COLLATE "C", first_account int,'
        ' last_at timestamptz, last_id text COLLATE "C", last_account int'
    ),
    "ON CONFLICT (tenant, person, day) DO UPDATE SET first_at = excluded.first_at, first_id = excluded.first_id,"
    " first_account = excluded.first_account, last_at = excluded.last_at, last_id = excluded.last_id,"
    " last_account = excluded.last_account",
    3,
)
ACCOUNT_ATTRIBUTE: Final = Target(
    "account_attribute",
    columns('tenant int, account int, field text COLLATE "C", at timestamptz, id text COLLATE "C", value jsonb'),
    KEEP,
    5,
)
PERSON_ATTRIBUTE: Final = Target(
    "person_attribute",
    columns(
        'tenant int, account int, person int, field text COLLATE "C", at timestamptz, id text COLLATE "C", value jsonb'
    ),
    KEEP,
    6,
)
CSM_ATTRIBUTE: Final = Target(
    "csm_attribute",
    columns(
        'tenant int, csm_id text COLLATE "C", field text COLLATE "C", at timestamptz, id text COLLATE "C", value jsonb'
    ),
    KEEP,
    5,
)
CONTACT: Final = Target(
    "contact",
    columns(
        "tenant int, account int, at timestamptz, id text, sent_id text, channel text, outcome text, csm_id text,"
        " person_ids text[], direction text, playbook text, note text, voices jsonb, replaces text,"
        " recorded_at timestamptz"
    ),
    KEEP,
    4,
)
CONTRACT: Final = Target(
    "contract",
    columns(
        "tenant int, account int, id text, contract_id text, effective_on date, change text, acv_after bigint,"
        " currency text, term_end date, reason text, replaces text, recorded_at timestamptz"
    ),
    KEEP,
    3,
)
ALIAS: Final = Target(
    "alias",
    columns('tenant int, person int, previous int, at timestamptz, id text COLLATE "C"'),
    "ON CONFLICT (tenant, person, previous) DO UPDATE SET at = excluded.at, id = excluded.id "
    "WHERE (excluded.at, excluded.id) < (alias.at, alias.id)",
    3,
)
ACCOUNT_MERGE: Final = Target(
    "account_merge", columns('tenant int, account int, at timestamptz, id text COLLATE "C", target int'), KEEP, 4
)
RESPONSE: Final = Target(
    "response",
    columns(
        "tenant int, id text, response_id text, survey_id text, account int, person int, at timestamptz,"
        " score smallint, comment text, invitation_id text"
    ),
    KEEP,
    2,
)
INVITATION: Final = Target(
    "invitation",
    columns(
        "tenant int, invitation_id text, kind text, survey_id text, account int, person int, at timestamptz,"
        ' id text COLLATE "C"'
    ),
    "ON CONFLICT (tenant, invitation_id, kind) DO UPDATE SET survey_id = excluded.survey_id,"
    " account = excluded.account, person = excluded.person, at = excluded.at, id = excluded.id "
    "WHERE (excluded.at, excluded.id) < (invitation.at, invitation.id)",
    3,
)
DIRTY: Final = Target(
    "dirty", columns("shard smallint, tenant int, account int, received timestamptz, since date"), "", 3
)
DUE: Final = Target("due", columns("at timestamptz, tenant int, kind text, key text"), KEEP, 4)
RECHECK: Final = Target("recheck", columns("tenant int, kind text, key text, since date, received timestamptz"), "", 3)
