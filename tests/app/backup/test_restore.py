"""Restores: all or nothing, only into an empty database, also of a dump of an earlier release."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports.zstd import compress, decompress
from typer.testing import CliRunner

from app.backup import restore as restoring
from app.backup.contents import TABLES
from app.backup.dump import COLUMNS
from app.backup.manifest import NAME, BackupError, Manifest
from app.backup.restore import restore
from app.cli.commands import app
from app.db import migrations
from seeds.files.report import quiet
from tests.app.backup.filled import checksums, rows


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest of a dump."""
    manifest = json.loads((folder / NAME).read_text())
    change(manifest)
    (folder / NAME).write_text(json.dumps(manifest))


def sign(folder: Path, name: str) -> None:
    """Set the size and checksum of a file in the manifest to those that it has."""

    def change(manifest: dict[str, Any]) -> None:
        content = (folder / name).read_bytes()
        (file,) = [table["file"] for table in manifest["tables"] if table["file"]["name"] == name]
        file |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    edited(folder, change)


def damage(folder: Path) -> None:
    content = bytearray((folder / "ratings.jsonl.zst").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "ratings.jsonl.zst").write_bytes(content)


def cut(folder: Path) -> None:
    content = (folder / "ratings.jsonl.zst").read_bytes()
    (folder / "ratings.jsonl.zst").write_bytes(content[:-100])
    sign(folder, "ratings.jsonl.zst")


def replace(folder: Path, name: str, content: bytes, rows: int) -> None:
    """Replace a table of the dump, with a checksum."""
    (folder / f"{name}.jsonl.zst").write_bytes(compress(content))
    sign(folder, f"{name}.jsonl.zst")

    def change(manifest: dict[str, Any]) -> None:
        (table,) = [table for table in manifest["tables"] if table["name"] == name]
        table["rows"] = rows

    edited(folder, change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage, "checksum differs"),
        (lambda folder: (folder / "people.jsonl.zst").unlink(), "cannot be read"),
        (lambda folder: (folder / NAME).unlink(), "is not a dump"),
        (lambda folder: (folder / NAME).write_text('{"format": 1}'), "is damaged"),
        (lambda folder: edited(folder, lambda found: found.update(format=2)), "format 2"),
        (lambda folder: edited(folder, lambda found: found.update(revision="9999")), "revision 9999"),
        (
            lambda folder: edited(folder, lambda found: found["tables"][0]["file"].update(name="../secret")),
            "is damaged",
        ),
        (
            lambda folder: edited(folder, lambda found: found["tables"][0].update(name="sessions")),
            "is damaged",
        ),
        (
            lambda folder: edited(folder, lambda found: found["tables"][0]["columns"].append("search")),
            "is damaged",
        ),
        (cut, "ends too early"),
        (lambda folder: replace(folder, "people", b'{"id": 1}\n', 1), "people.jsonl.zst cannot be loaded"),
        (lambda folder: replace(folder, "people", b"not JSON\n", 1), "people.jsonl.zst cannot be loaded"),
        (lambda folder: replace(folder, "people", b"", 1), "has 0 rows, not 1"),
        (lambda folder: replace(folder, "people", b"", 0), "does not fit together.*credits"),
    ],
)
def test_a_dump_that_is_damaged_restores_nothing(
    source_dump: Path, database_url: str, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "dump"
    shutil.copytree(source_dump, folder)
    change(folder)
    with pytest.raises(BackupError, match=message):
        restore(database_url, tmp_path / "models", folder, quiet)
    assert not migrations.is_behind(database_url)
    assert {count for count, _ in checksums(database_url, list(TABLES)).values()} == {0}
    assert not (tmp_path / "models").exists()


def test_a_database_with_rows_is_refused(source_dump: Path, database_url: str, tmp_path: Path) -> None:
    rows(database_url, "INSERT INTO genres (name) VALUES ('Horror') RETURNING id")
    with pytest.raises(BackupError, match="genres has rows"):
        restore(database_url, tmp_path, source_dump, quiet)
    assert rows(database_url, "SELECT name FROM genres") == [("Horror",)]


def test_a_dump_of_an_earlier_release_is_restored_and_migrated(
    source_dump: Path, database_url: str, tmp_path: Path
) -> None:
    """The dump is taken back to the revision before; its database had no such later revision."""
    newest, before = migrations.revisions()[:2]
    folder = tmp_path / "dump"
    migrations.downgrade(database_url, before)
    columns = {}
    for name in TABLES:
        found = rows(database_url, COLUMNS.replace("%s", f"'{name}'"))
        columns[name] = [column for (column,) in found]
    migrations.upgrade(database_url)
    shutil.copytree(source_dump, folder)

    def change(manifest: dict[str, Any]) -> None:
        manifest["revision"] = before
        manifest["tables"] = [table for table in manifest["tables"] if columns[table["name"]]]
        for table in manifest["tables"]:
            table["columns"] = [column for column in table["columns"] if column in columns[table["name"]]]

    edited(folder, change)
    written = restore(database_url, tmp_path, folder, quiet)
    assert migrations.revision_of(database_url) == newest
    stored = checksums(database_url, [table.name for table in written.tables])
    assert {name: count for name, (count, _) in stored.items()} == {t.name: t.rows for t in written.tables}


def test_a_dump_reads_each_table_once_and_a_restore_is_chunked(
    source_dump: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of any size give the same rows, and none is longer than its limit and one block."""
    monkeypatch.setattr(restoring, "CHUNK", 1_000)
    monkeypatch.setattr(restoring, "BLOCK", 500)
    longest = 0
    for path in source_dump.glob("*.zst"):
        chunks = list(restoring._chunks(path))
        assert b"".join(chunks) == decompress(path.read_bytes())
        assert all(chunk.endswith(b"\n") for chunk in chunks)
        longest = max(longest, *map(len, chunks), 0)
    assert 0 < longest <= 1_500
    restore(database_url, tmp_path, source_dump, quiet)


def test_the_commands_dump_and_restore(source_dump: Path, empty_database_url: str, tmp_path: Path) -> None:
    """The rows and the manifest are the same after a second dump, but for its moment."""
    environment = {"DATABASE_URL": empty_database_url, "SECRET_KEY": "s" * 32, "MODEL_DIR": str(tmp_path)}
    for arguments in (["restore", str(source_dump)], ["dump", str(tmp_path / "again")]):
        ended = CliRunner().invoke(app, arguments, env=environment)
        assert ended.exit_code == 0, ended.output
        assert "ratings: " in ended.output
    first, second = (
        Manifest.model_validate_json((folder / NAME).read_text())
        for folder in (source_dump, tmp_path / "again")
    )
    assert second.tables == first.tables
    assert second.sequences == first.sequences
    refused = CliRunner().invoke(app, ["restore", str(source_dump)], env=environment)
    assert refused.exit_code == 1
    assert "is not empty" in refused.output
