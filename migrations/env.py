"""Runs migrations: one migrator at a time, and never one that waits long for a lock or runs for ever."""

import os
import time

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from app.db import (  # their tables are compared too
    account_tables,  # noqa: F401
    activity_tables,  # noqa: F401
    experiment_tables,  # noqa: F401
    provenance_tables,  # noqa: F401
    steering_tables,  # noqa: F401
    stream_tables,  # noqa: F401
    training_tables,  # noqa: F401
)
from app.db.engine import LOCK_POLL_SECONDS, engine_arguments
from app.db.partitions import is_partition
from app.db.tables import Base

# Any number, as long as it is always this one.
MIGRATION_LOCK = 7_312_054


def migrate(connection: Connection) -> None:
    timeouts = context.config.attributes
    # The advisory lock is waited for without limit: another migrator may have a long index to build. It is
    # asked for again and again, because an index that is built concurrently waits for statements that wait.
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}):
        connection.commit()
        time.sleep(LOCK_POLL_SECONDS)
    connection.execute(text(f"SET lock_timeout = '{timeouts.get('lock_timeout', '5s')}'"))
    connection.execute(text(f"SET statement_timeout = '{timeouts.get('statement_timeout', '10min')}'"))
    connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            compare_server_default=True,
            include_name=lambda name, kind, _: not (kind == "table" and is_partition(name or "")),
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()


def database_url() -> str:
    url = context.config.attributes.get("database_url") or os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit(
            "alembic: set DATABASE_URL to the database to migrate (`marquee migrate` also migrates the embedded one)"
        )
    return str(url)


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(**engine_arguments(database_url()), poolclass=pool.NullPool)
    with engine.connect() as connection:
        migrate(connection)
