"""What alembic runs for every service: one connection handed in, one version table per schema."""

from alembic import context

connection = context.config.attributes["connection"]
schema = context.config.attributes["schema"]
context.configure(connection=connection, version_table="migration", version_table_schema=schema)
with context.begin_transaction():
    context.run_migrations()
