"""The schema of the derived state as statements, so that a rebuild can make it again under another name."""

from importlib.resources import files
from typing import Final

from services.scoring.accounts.classes import DIGITS
from shared.migrations.policy import policy, worker_only

FIRST_YEAR: Final = 2005
LAST_YEAR: Final = 2045
SEEN_PARTITIONS: Final = 16
WORKER_ONLY: Final = ("dirty", "due", "recheck")
ISOLATED: Final = (
    "fact_seen", "usage", "account_user", "membership", "account_attribute", "person_attribute", "csm_attribute",
    "contact", "contract", "alias", "account_merge", "account_join", "person_join", "response", "invitation",
    "newest_fact", "account_state", "standing", "amounts", "first_facts", "tenant_day", "counter", "stream_head",
    "stream", "stream_told",
)  # fmt: skip


# What lists are read by, beside the default order of all: the default order and ACV of a class or a CSM (the class and
# the place give priority and band), health and renewal of all, of a class, of a CSM; and what the home screen counts as
# due. Each costs every assessment that changes an account.
LIST_INDEXES: Final = {
    "account_state_class_acv": "(tenant, class, acv_order, account_id)",
    "account_state_class_score": "(tenant, class, score, account_id)",
    "account_state_class_renewal": "(tenant, class, renewal_on, account_id)",
    "account_state_score": "(tenant, score, account_id) WHERE NOT churned",
    "account_state_renewal": "(tenant, renewal_on, account_id) WHERE NOT churned",
    "account_state_owner": "(tenant, csm_id, churned, priority_order, band_order, acv_order, account_id)",
    "account_state_owner_score": "(tenant, csm_id, score, account_id) WHERE NOT churned",
    "account_state_owner_renewal": "(tenant, csm_id, renewal_on, account_id) WHERE NOT churned",
    "account_state_due": "(tenant, due_at, tier, csm_id) WHERE covered",
}


def list_indexes(schema: str) -> list[str]:
    """Statements that make the indexes of lists, where they are missing."""
    return [
        f"CREATE INDEX IF NOT EXISTS {name} ON {schema}.account_state {told}" for name, told in LIST_INDEXES.items()
    ]


def class_sql() -> str:
    """The class of a row of account_state as an expression; see accounts/classes.py."""
    orders = {"priority": "priority_order", "effective_band": "band_order"}
    told = "0"
    for name, digits in DIGITS.items():
        cases = " ".join(f"WHEN '{one}' THEN {n}" for n, one in enumerate(digits) if one is not None)
        value = orders.get(name) or f"CASE {name} {cases} ELSE 0 END"
        told = f"({told}) * {len(digits)} + {value}"
    return f"({told})::smallint"


def state_statements(schema: str) -> list[str]:
    """Everything that makes an empty derived state in `schema`, grants and row-level security included."""
    home = files("services.scoring")
    texts = (home.joinpath("state.sql"), home.joinpath("stream", "stream.sql"))
    sql = "\n".join(text.read_text() for text in texts)
    sql = sql.replace("{indexes}", ";\n".join(list_indexes(schema)) + ";")
    sql = sql.replace("{class}", class_sql()).replace("{schema}", schema)
    statements = [part.strip() for part in sql.split(";\n") if part.strip()]
    statements += [
        f"CREATE TABLE {schema}.fact_seen_{part} PARTITION OF {schema}.fact_seen "
        f"FOR VALUES WITH (MODULUS {SEEN_PARTITIONS}, REMAINDER {part})"
        for part in range(SEEN_PARTITIONS)
    ]
    statements += [
        f"CREATE TABLE {schema}.usage_{year} PARTITION OF {schema}.usage "
        f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
        for year in range(FIRST_YEAR, LAST_YEAR + 1)
    ]
    statements.append(f"CREATE TABLE {schema}.usage_other PARTITION OF {schema}.usage DEFAULT")
    for table in ISOLATED:
        app = "" if table in ("fact_seen", "stream_told") else "SELECT"
        statements += policy(f"{schema}.{table}", app)
    for table in WORKER_ONLY:
        statements += worker_only(f"{schema}.{table}")
    return statements
