"""Each migration runs under the previous release: it breaks no statement that the earlier tables allow.

The test compares the tables before and after each revision, so it sees written SQL as well as operations.
"""

from dataclasses import dataclass
from typing import Self

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, text

from app.db import migrations

COLUMNS = """
SELECT table_name || '.' || column_name, data_type, is_nullable = 'YES',
    column_default IS NOT NULL OR is_identity = 'YES' OR is_generated = 'ALWAYS'
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
"""
# Of the rows of one table: they refuse rows, and an upsert names the key that it needs.
CONSTRAINTS = """
SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype IN ('c', 'u', 'x', 'p')
    AND conrelid::regclass::text <> 'alembic_version'
"""
# What a revision takes from the code before it, and why that code does not notice.
EXCEPTIONS = {
    "0005: model_versions.model_versions_status_check is a new constraint": "allows one more status",
    "0025: model_states.model_states_kind_check is a new constraint": "allows one more kind",
    "0020: external_members.external_members_user_id_key is removed": "no statement names it",
}

# Tables that the transaction at its commit keeps all others out of. A request that has written one of two and
# waits for the other one deadlocks with a migration that took them in the other order.
LOCKED = text(
    "SELECT relation::regclass::text FROM pg_locks JOIN pg_class ON relation = pg_class.oid "
    "WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' AND relkind IN ('r', 'p')"
)
DEADLOCKS = {
    "0003": {"users", "movie_stats"},  # released: it came before the first deployment with several processes
    "0023": {"served_lists", "movies"},  # no transaction writes both
}


@dataclass(frozen=True, slots=True)
class Tables:
    """columns: type, whether it is nullable, and whether it has a default, by `table.column`."""

    columns: dict[str, tuple[str, bool, bool]]
    constraints: dict[str, str]

    @classmethod
    def of(cls, url: str) -> Self:
        with psycopg.connect(url) as connection:
            columns = {name: tuple(rest) for name, *rest in connection.execute(COLUMNS)}
            return cls(columns, dict(connection.execute(CONSTRAINTS).fetchall()))

    def breaks(self, after: "Tables") -> set[str]:
        """What `after` refuses to a program that was written for these tables."""
        tables = {name.partition(".")[0] for name in self.columns}
        gone = {f"{name} is removed or renamed" for name in self.columns.keys() - after.columns.keys()}
        for name, (type_, nullable, default) in after.columns.items():
            if name in self.columns:
                old_type, was_nullable, had_default = self.columns[name]
                if type_ != old_type:
                    gone.add(f"{name} has another type")
                if was_nullable and not nullable:
                    gone.add(f"{name} becomes NOT NULL")
                if had_default and not default and not nullable:
                    gone.add(f"{name} loses its default")
            elif name.partition(".")[0] in tables and not nullable and not default:
                gone.add(f"{name} is new and NOT NULL without a default")
        for name, definition in after.constraints.items():
            if name.partition(".")[0] in tables and self.constraints.get(name) != definition:
                gone.add(f"{name} is a new constraint")
        return gone | {f"{name} is removed" for name in self.constraints.keys() - after.constraints.keys()}


def test_no_migration_breaks_the_release_before_it(empty_database_url: str) -> None:
    config = migrations.scripts()
    config.attributes["database_url"] = empty_database_url
    broken: set[str] = set()
    before = Tables({}, {})
    for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions())):
        command.upgrade(config, script.revision)
        after = Tables.of(empty_database_url)
        broken |= {f"{script.revision}: {what}" for what in before.breaks(after)}
        before = after
    assert broken == EXCEPTIONS.keys()


def test_no_migration_can_deadlock_with_a_request(empty_database_url: str) -> None:
    config = migrations.scripts()
    config.attributes["database_url"] = empty_database_url
    found: dict[str, set[str]] = {}
    tables: set[str] = set()

    def note(connection: Connection) -> None:
        locked = set(connection.scalars(LOCKED)) & tables
        if len(locked) > 1:
            found[script.revision] = locked

    event.listen(Engine, "commit", note)
    try:
        for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions())):
            tables = {name.partition(".")[0] for name in Tables.of(empty_database_url).columns}
            command.upgrade(config, script.revision)
    finally:
        event.remove(Engine, "commit", note)
    assert found == DEADLOCKS


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("ALTER TABLE movies ADD note text", set()),
        ("ALTER TABLE movies ADD note text NOT NULL DEFAULT ''", set()),
        ("ALTER TABLE movies ADD note text NOT NULL", {"movies.note is new and NOT NULL without a default"}),
        ("ALTER TABLE movies RENAME title TO name", {"movies.title is removed or renamed"}),
        ("ALTER TABLE movies ALTER year SET NOT NULL", {"movies.year becomes NOT NULL"}),
        ("ALTER TABLE movies ALTER year TYPE bigint", {"movies.year has another type"}),
        ("ALTER TABLE ratings ALTER rated_at DROP DEFAULT", {"ratings.rated_at loses its default"}),
        ("ALTER TABLE movies ADD CONSTRAINT one UNIQUE (title)", {"movies.one is a new constraint"}),
        ("ALTER TABLE ratings DROP CONSTRAINT ratings_pkey", {"ratings.ratings_pkey is removed"}),
    ],
)
def test_changes_that_break_a_release_are_found(database_url: str, change: str, broken: set[str]) -> None:
    before = Tables.of(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(change.encode())
    found = before.breaks(Tables.of(database_url))
    # A new or other type of a column may be in the table's constraints too.
    assert broken <= found
    assert bool(broken) == bool(found)
