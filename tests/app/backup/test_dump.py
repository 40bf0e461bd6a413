"""Dumps of a serving database, and what a restored one has: all that is not derived, and the same lists."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backports.zstd import decompress

from app.backup.contents import CREDENTIALS, LEFT_OUT, TABLES, DumpParts, Part
from app.backup.dump import dump
from app.backup.manifest import BackupError
from app.backup.restore import restore
from app.db.engine import create_engine, sessionmaker
from app.db.partitions import is_partition
from app.recommendations.history import history_of
from app.recommendations.recommend import Pick, Wish, recommend
from app.serving import live
from app.settings import Settings
from app.training import data
from seeds.files.report import quiet
from tests.app.backup.filled import checksums, rows

ALL = DumpParts(credentials=True, model=True)
MEMBERS = 100


async def lists(url: str, models: Path, members: list[int]) -> list[list[dict[str, Any]]]:
    """The list of each member, with scores, predictions and reasons, of a freshly started service."""
    engine = create_engine(url, Settings())
    try:
        sessions = sessionmaker(engine)
        served = await live.load(sessions, models)
        assert served.model is not None

        async def list_of(member: int) -> list[Pick]:
            assert served.model is not None
            history = await history_of(sessions, member, shown=True)
            wish = Wish(diversity=0.3)
            return recommend(served.snapshot, served.model, history, wish, signed_in=True, first=20).picks

        return [[asdict(pick) for pick in await list_of(member)] for member in members]
    finally:
        await engine.dispose()


def test_every_table_is_dumped_or_left_out_for_a_reason(database_url: str) -> None:
    found = {
        name for (name,) in rows(database_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    }
    assert {name for name in found if not is_partition(name)} == TABLES.keys() | LEFT_OUT.keys()
    assert not TABLES.keys() & LEFT_OUT.keys()


def test_columns_of_secrets_are_only_in_dumps_with_credentials(database_url: str) -> None:
    secret = rows(
        database_url,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND column_name ~ '(hash|secret|token|password|key)' "
        "AND column_name !~ 'username|idempotency|keywords'",
    )
    assert ("users", "password_hash") in secret
    dumped = [
        (table, column)
        for table, column in secret
        if TABLES.get(table) is Part.DATA and column not in CREDENTIALS.get(table, ())
    ]
    assert dumped == []


@pytest.mark.anyio
async def test_a_restored_database_has_the_same_rows_and_lists(
    source: str, empty_database_url: str, model_dir: Path, tmp_path: Path
) -> None:
    folder, models = tmp_path / "dump", tmp_path / "models"
    written = dump(source, model_dir, folder, ALL, quiet)
    assert {table.name for table in written.tables} == TABLES.keys()
    assert all(table.rows > 0 for table in written.tables), "each table must be tested with a row"
    assert restore(empty_database_url, models, folder, quiet) == written

    whole = [table for table in TABLES if table not in ("model_versions", "training_data")]
    before, after = (checksums(url, whole) for url in (source, empty_database_url))
    assert after == before
    for query in (
        "SELECT user_id, kind, events FROM event_counts ORDER BY 1, 2",
        "SELECT movie_id, rating_count, half_stars_sum FROM movie_stats ORDER BY 1",
        "SELECT version, status, metrics FROM model_versions WHERE status = 'ACTIVE'",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        (
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "ORDER BY 1, 2"
        ),
    ):
        assert rows(empty_database_url, query) == rows(source, query)
    for table in ("sessions", "refresh_tokens"):
        assert checksums(empty_database_url, [table])[table][0] == 0
    # The id of the deleted member is not given again.
    added = "INSERT INTO users (username) VALUES ('next') RETURNING id"
    assert rows(empty_database_url, added) == rows(source, added)

    members = [id_ for (id_,) in rows(source, "SELECT id FROM users ORDER BY id")][:MEMBERS]
    assert len(members) == MEMBERS
    assert await lists(empty_database_url, models, members) == await lists(source, model_dir, members)


def test_a_training_reads_the_same_data_from_a_restored_database(
    source: str, empty_database_url: str, model_dir: Path, tmp_path: Path
) -> None:
    """The same data and seed train the same model; `checksum_of` covers all that a training reads."""
    dump(source, model_dir, tmp_path / "dump", DumpParts(), quiet)
    restore(empty_database_url, tmp_path, tmp_path / "dump", quiet)
    versions = []
    for url in (source, empty_database_url):
        with psycopg.connect(url) as connection:
            movies = data.read_movies(connection)
            interactions = data.read_interactions(connection, movies.item_ids)
            versions.append(data.described(connection, movies, interactions).version)
    assert versions[0] == versions[1]
    assert rows(empty_database_url, "SELECT FROM model_versions") == []


def test_a_dump_without_credentials_has_none(source: str, model_dir: Path, tmp_path: Path) -> None:
    manifest = dump(source, model_dir, tmp_path / "dump", DumpParts(), quiet)
    assert not manifest.credentials
    written = {path.name: path.read_bytes() for path in (tmp_path / "dump").iterdir()}
    text = b"".join(decompress(content) for name, content in written.items() if name.endswith(".zst"))
    assert b"a hash" not in text
    assert b"anna" in text
    assert not {"api_keys.jsonl.zst", "known_networks.jsonl.zst", "sessions.jsonl.zst"} & written.keys()
    for line in decompress(written["movies.jsonl.zst"]).splitlines():
        assert "search" not in json.loads(line)
    assert (tmp_path / "dump").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "dump").iterdir())


def test_a_dump_is_of_one_moment_while_members_write(source: str, model_dir: Path, tmp_path: Path) -> None:
    """After each table, a member and their rating are added: neither is in any later table."""
    before = checksums(source, ["users", "ratings"])
    writes = 0

    def write(_stage: str, _fraction: float) -> None:
        nonlocal writes
        writes += 1
        rows(
            source,
            f"WITH made AS (INSERT INTO users (username) VALUES ('during {writes}') RETURNING id) "  # noqa: S608
            "INSERT INTO ratings (user_id, movie_id, half_stars) "
            "SELECT made.id, (SELECT min(id) FROM movies), 8 FROM made RETURNING user_id",
        )

    written = {
        table.name: table.rows
        for table in dump(source, model_dir, tmp_path / "dump", DumpParts(), write).tables
    }
    assert writes >= len(written)
    assert {name: written[name] for name in before} == {name: count for name, (count, _) in before.items()}


def test_a_folder_with_files_is_not_written(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(BackupError, match="is not empty"):
        dump(database_url, tmp_path, tmp_path, DumpParts(), quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_dump_that_fails_leaves_no_folder(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE of_a_later_release (id bigint PRIMARY KEY)")
    with pytest.raises(BackupError, match="of_a_later_release"):
        dump(database_url, tmp_path, tmp_path / "dump", DumpParts(), quiet)
    assert list(tmp_path.iterdir()) == []
