"""The one row-level policy, as SQL: a transaction sees the tenants it has named and no other."""

from shared.postgres import APP_ROLE, POLICY, WORKER_ROLE


def policy(table: str, app: str = "SELECT, INSERT, UPDATE, DELETE") -> list[str]:
    """Statements that put `schema.table` (with its `tenant int` column) under the policy and grant it: `app` are the
    request role's rights ("" for none), the workers get all. Partitions get no grants of their own."""
    statements = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant ON {table} USING ({POLICY}) WITH CHECK ({POLICY})",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {WORKER_ROLE}",
    ]
    if app:
        statements.append(f"GRANT {app} ON {table} TO {APP_ROLE}")
    return statements


def worker_only(table: str) -> list[str]:
    """Statements for a table outside the policy: the workers' alone, without any grant to the request role."""
    return [f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {WORKER_ROLE}"]
