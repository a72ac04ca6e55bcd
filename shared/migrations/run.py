"""Brings a database to the newest schema: what is shared first, then every service in its own version table."""

from pathlib import Path
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

ROOT: Final = Path(__file__).resolve().parents[2]
HOMES: Final = (
    ("bus", "shared/migrations"),
    ("scoring", "services/scoring/migrations"),
    ("ingest", "services/ingest/migrations"),
    ("nps", "services/nps/migrations"),
    ("gateway", "services/gateway/migrations"),
)
_LOCK: Final = 7_300_001  # advisory: two migrations at once take turns


async def migrate(owner_url: str) -> None:
    """Applies what is missing, as the owner. Safe to run again and from several processes. Raises what SQL raises."""
    for schema, _ in HOMES:
        await _create_schema(owner_url, schema)
    engine = create_async_engine(owner_url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    try:
        for schema, home in HOMES:
            if (ROOT / home / "versions").is_dir():
                async with engine.begin() as connection:
                    await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
                    await connection.run_sync(_upgrade, schema, ROOT / home)
    finally:
        await engine.dispose()


async def _create_schema(owner_url: str, schema: str) -> None:
    conn = await asyncpg.connect(owner_url)
    try:
        await conn.execute(f"SELECT pg_advisory_lock({_LOCK}); CREATE SCHEMA IF NOT EXISTS {schema}")
    finally:
        await conn.close()


def _upgrade(connection: Connection, schema: str, home: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "shared/migrations"))
    config.set_main_option("version_locations", str(home / "versions"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    command.upgrade(config, "head")
