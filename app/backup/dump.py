"""Write a dump: all tables of one snapshot as compressed JSON lines, and the files of the active model."""

import os
import shutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psycopg
from psycopg import sql

from app.backup.contents import LEFT_OUT, ROWS, DumpParts
from app.backup.manifest import FORMAT, NAME, BackupError, DumpedFile, DumpedModel, Manifest, Sequence, Table
from app.db import migrations
from app.db.partitions import is_partition
from app.web.zstd import ZstdCompressor
from recommender.progress import Progress

# JSON has no control characters, so that a line of this "CSV" is exactly one object.
LINES = r"""
COPY (SELECT row_to_json(line) FROM ({}) AS line) TO STDOUT (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01')
"""
COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position
"""
KEY = """
SELECT attname FROM pg_index
JOIN LATERAL unnest(indkey::int2[]) WITH ORDINALITY AS key (number, place) ON true
JOIN pg_attribute ON attrelid = indrelid AND attnum = key.number
WHERE indrelid = %s::regclass AND indisprimary ORDER BY place
"""
SEQUENCES = """
SELECT table_name, column_name, (
    SELECT last_value FROM pg_sequences
    WHERE to_regclass(format('%%I.%%I', schemaname, sequencename))
        = pg_get_serial_sequence(format('%%I.%%I', table_schema, table_name), column_name)::regclass)
FROM information_schema.columns
WHERE table_schema = 'public' AND is_identity = 'YES' AND table_name = ANY(%s)
ORDER BY table_name, column_name
"""
MOMENT = "SELECT now(), version_num FROM alembic_version"
FOUND = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
MODEL_FOLDER = "model"


def dump(database_url: str, models: Path, folder: Path, contents: DumpParts, progress: Progress) -> Manifest:
    """Write a dump to a new folder, which appears once it is complete.

    All tables are read in one transaction, so they are of one moment, and writers do not wait. Raises
    BackupError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} is not empty: give a folder that does not exist.")
    if migrations.is_behind(database_url):
        raise BackupError("The database lacks migrations: run `marquee migrate`.")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    try:
        manifest = _write(database_url, models, partial, contents, progress)
        _write_file(partial / NAME, [manifest.model_dump_json(indent=2).encode()])
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def _write(
    database_url: str, models: Path, folder: Path, contents: DumpParts, progress: Progress
) -> Manifest:
    with psycopg.connect(database_url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SET LOCAL timezone = 'UTC'")
        ((taken_at, revision),) = connection.execute(MOMENT).fetchall()
        _refuse_unknown(connection)
        names = contents.tables()
        tables = []
        for done, name in enumerate(names):
            progress(f"writing {name}", done / len(names))
            tables.append(_write_table(connection, folder, name, contents.left_out_of(name)))
        sequences = [
            Sequence(table=table, column=column, last=last)
            for table, column, last in connection.execute(SEQUENCES, (names,))
        ]
        model = _write_model(connection, models, folder) if contents.model else None
    return Manifest(
        format=FORMAT,
        marquee=_release(),
        revision=revision,
        taken_at=taken_at,
        credentials=contents.credentials,
        tables=tables,
        sequences=sequences,
        model=model,
    )


def _refuse_unknown(connection: psycopg.Connection) -> None:
    """Refuse a table that this release does not know, rather than leave it out silently."""
    known = {*DumpParts(credentials=True, model=True).tables(), *LEFT_OUT}
    found = [name for (name,) in connection.execute(FOUND) if name not in known and not is_partition(name)]
    if found:
        raise BackupError(f"This release does not know the tables {', '.join(found)}: dump with a later one.")


def _write_table(connection: psycopg.Connection, folder: Path, name: str, left_out: frozenset[str]) -> Table:
    columns = [column for (column,) in connection.execute(COLUMNS, (name,)) if column not in left_out]
    key = [column for (column,) in connection.execute(KEY, (name,))]
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(name),
        sql.SQL(ROWS.get(name, "true")),
        sql.SQL(", ").join(map(sql.Identifier, key)),
    )
    rows = 0
    compressor = ZstdCompressor()

    def compressed() -> Iterable[bytes]:
        nonlocal rows
        with connection.cursor().copy(sql.SQL(LINES).format(query)) as copy:
            for block in copy:
                rows += bytes(block).count(b"\n")
                yield compressor.compress(block)
        yield compressor.flush()

    file = f"{name}.jsonl.zst"
    _write_file(folder / file, compressed())
    return Table(name=name, columns=columns, rows=rows, file=DumpedFile.of(folder, file))


def _write_model(connection: psycopg.Connection, models: Path, folder: Path) -> DumpedModel | None:
    """Copy the folder of the active model; None if there is none."""
    row = connection.execute("SELECT version FROM model_versions WHERE status = 'ACTIVE'").fetchone()
    if row is None:
        return None
    source = models / row[0]
    try:
        shutil.copytree(source, folder / MODEL_FOLDER)
    except (OSError, shutil.Error):
        raise BackupError(
            f"The active model is not complete in {source}: set MODEL_DIR, or dump without --with-model."
        ) from None
    names = sorted(f"{MODEL_FOLDER}/{path.name}" for path in (folder / MODEL_FOLDER).iterdir())
    return DumpedModel(version=row[0], files=[DumpedFile.of(folder, name) for name in names])


def _write_file(path: Path, blocks: Iterable[bytes]) -> None:
    """Write a file that only its owner reads, and wait until it is on disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.writelines(blocks)
        file.flush()
        os.fsync(file.fileno())


def _release() -> str:
    try:
        return version("marquee")
    except PackageNotFoundError:
        return "unknown"
