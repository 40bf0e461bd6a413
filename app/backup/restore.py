"""Restore a dump into an empty database: check all files first, then load all tables in one transaction."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from app.backup.contents import LEFT_OUT, DumpParts
from app.backup.dump import COLUMNS, MODEL_FOLDER
from app.backup.manifest import BackupError, Manifest, Sequence, Table, check_files, read
from app.db import migrations
from app.web.zstd import ZstdError, decompressor
from recommender.progress import Progress

BLOCK = 1 << 20
MAX_CHUNK = 64 << 20
CHUNK = 16 << 20  # bytes of lines that are loaded by one statement; triggers queue its rows in memory

STAGE = "CREATE TEMPORARY TABLE lines (line json NOT NULL) ON COMMIT DROP"
COPY_LINES = r"COPY lines FROM STDIN (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01')"
INSERT_LINES = (
    "INSERT INTO {table} ({columns}) SELECT {columns} FROM lines, json_populate_record(NULL::{table}, line)"
)
# Foreign keys are checked, and indexes built, once all rows are there.
FOREIGN_KEYS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND conrelid = ANY(%s::regclass[]) ORDER BY conrelid::regclass::text, conname
"""
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = ANY(%s::regclass[]) AND NOT indisprimary
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
ORDER BY 1
"""


def restore(database_url: str, models: Path, folder: Path, progress: Progress) -> Manifest:
    """Load a dump into an empty database, and migrate it to this release. All or nothing.

    The rows are loaded at the revision of the dump, so that migrations change them as they changed those of a
    database that was upgraded. Raises BackupError.
    """
    manifest = read(folder)
    if not migrations.is_known(manifest.revision):
        raise BackupError(
            f"The dump is of revision {manifest.revision}, which this release does not know: restore it with "
            f"release {manifest.marquee} or a later one."
        )
    progress("checking the files", 0.0)
    check_files(folder, manifest)
    _migrate_to(database_url, manifest)
    try:
        with psycopg.connect(database_url) as connection:
            _load(connection, folder, manifest, progress)
            placed = _place_model(manifest, folder, models)
            try:
                connection.commit()
            except BaseException:
                shutil.rmtree(placed or "", ignore_errors=True)
                raise
    finally:
        migrations.upgrade(database_url)
    return manifest


def _migrate_to(database_url: str, manifest: Manifest) -> None:
    """Bring an empty database to the revision of the dump."""
    found = migrations.revision_of(database_url)
    if found is not None:
        if not migrations.is_known(found):
            raise BackupError(f"The database is at revision {found}, which only a later release knows.")
        with psycopg.connect(database_url) as connection:
            _require_empty(connection)
    known = migrations.revisions()
    if found is not None and known.index(found) < known.index(manifest.revision):
        migrations.downgrade(database_url, manifest.revision)
    else:
        migrations.upgrade(database_url, manifest.revision)


def _require_empty(connection: psycopg.Connection) -> None:
    for name in DumpParts(credentials=True, model=True).tables():
        if connection.execute("SELECT to_regclass(%s)", (name,)).fetchone() == (None,):
            continue
        query = sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(name))
        if connection.execute(query).fetchone() is not None:
            raise BackupError(f"The database is not empty: {name} has rows. Restore into a new database.")


def _load(connection: psycopg.Connection, folder: Path, manifest: Manifest, progress: Progress) -> None:
    names = [table.name for table in manifest.tables]
    for table in manifest.tables:
        _require_columns(connection, table)
    everything = sql.SQL(", ").join(map(sql.Identifier, names))
    connection.execute("SET LOCAL statement_timeout = 0")
    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(everything))
    _require_empty(connection)
    remaking = _without_indexes(connection, names)
    connection.execute(STAGE)
    for done, table in enumerate(manifest.tables):
        progress(f"loading {table.name}", done / len(names))
        _load_table(connection, folder, table)
    try:
        for done, statement in enumerate(remaking):
            progress("indexing", done / len(remaking))
            connection.execute(statement)
    except psycopg.IntegrityError as error:
        raise BackupError(f"The dump does not fit together: {error}. Nothing is restored.") from None
    for sequence in manifest.sequences:
        _continue(connection, sequence)
    progress("analyzing", 0.0)
    connection.execute(sql.SQL("ANALYZE {}").format(everything))


def _require_columns(connection: psycopg.Connection, table: Table) -> None:
    columns = {column for (column,) in connection.execute(COLUMNS, (table.name,))}
    if table.name in LEFT_OUT or not set(table.columns) <= columns:
        raise BackupError(f"The manifest is damaged: no table {table.name} has all of its columns.")


def _without_indexes(connection: psycopg.Connection, tables: list[str]) -> list[sql.SQL | sql.Composed]:
    """Drop the foreign keys and further indexes of the tables; return the statements that make them again."""
    remaking: list[sql.SQL | sql.Composed] = []
    for table, name, definition in connection.execute(FOREIGN_KEYS, (tables,)).fetchall():
        alter = sql.SQL("ALTER TABLE {} {{}} CONSTRAINT {}").format(sql.SQL(table), sql.Identifier(name))
        connection.execute(sql.SQL(alter.as_string(connection)).format(sql.SQL("DROP")))
        add = sql.SQL(alter.as_string(connection)).format(sql.SQL("ADD"))
        remaking.append(add + sql.SQL(" ") + sql.SQL(definition))
    indexes = []
    for name, definition in connection.execute(INDEXES, (tables,)).fetchall():
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(name)))
        indexes.append(sql.SQL(definition))
    return [*indexes, *remaking]  # foreign keys are checked with the indexes


def _load_table(connection: psycopg.Connection, folder: Path, table: Table) -> None:
    """Load the rows of a table, chunk by chunk. Triggers count them and so make derived tables again."""
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    insert = sql.SQL(INSERT_LINES).format(table=sql.Identifier(table.name), columns=columns)
    rows = 0
    try:
        for chunk in _chunks(folder / table.file.name):
            with connection.cursor().copy(COPY_LINES) as copy:
                copy.write(chunk)
            rows += connection.execute(insert).rowcount
            connection.execute("TRUNCATE lines")
    except (ZstdError, psycopg.DataError, psycopg.IntegrityError) as error:
        raise BackupError(f"{table.file.name} cannot be loaded: {error}. Nothing is restored.") from None
    if rows != table.rows:
        raise BackupError(f"{table.file.name} has {rows} rows, not {table.rows}. Nothing is restored.")


def _chunks(path: Path) -> Iterator[bytes]:
    """Whole lines, about CHUNK bytes at a time."""
    left = bytearray()
    with path.open("rb") as file:
        unpack = decompressor()
        while not unpack.eof:
            block = file.read(BLOCK) if unpack.needs_input else b""
            if unpack.needs_input and not block:
                raise BackupError(f"{path} ends too early. Nothing is restored.")
            left += unpack.decompress(block, BLOCK)
            if len(left) >= CHUNK and (end := left.rfind(b"\n") + 1):
                yield bytes(left[:end])
                del left[:end]
            if len(left) > MAX_CHUNK:
                raise BackupError(f"{path} has a row of more than {MAX_CHUNK} bytes. Nothing is restored.")
    if left:
        yield bytes(left)


def _continue(connection: psycopg.Connection, sequence: Sequence) -> None:
    """Continue the numbers of a column where the dumped database was, so that no number is given twice."""
    connection.execute(
        "SELECT setval(pg_get_serial_sequence(%s, %s), %s, %s)",
        (sequence.table, sequence.column, sequence.last or 1, sequence.last is not None),
    )


def _place_model(manifest: Manifest, folder: Path, models: Path) -> Path | None:
    """Copy the model into the folder of models; the copy appears at once. None without a copy."""
    if manifest.model is None or (target := models / manifest.model.version).exists():
        return None
    hidden = models / f".{manifest.model.version}.{uuid4().hex}"
    try:
        models.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder / MODEL_FOLDER, hidden)
        hidden.rename(target)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise BackupError(f"{models} cannot hold the model: {error.strerror}. Nothing is restored.") from None
    return target
