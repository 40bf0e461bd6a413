"""Compressed files, encodings, and bytes that are no text."""

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from app.offline.rating_files import Reading
from seeds.files import compression
from seeds.files.report import SourceError
from tests.app.offline.test_rating_columns import JANUARY, read, written

PLAIN = "user_id,movie_id,rating,timestamp\n" + "".join(
    f"{u},{m},4.5,1389744000\n" for u in (1, 2) for m in (3, 4)
)


def packed_files() -> dict[str, bytes]:
    data = PLAIN.encode()
    return {
        "r.csv.gz": gzip.compress(data),
        "r.csv.bz2": bz2.compress(data),
        "r.csv.xz": lzma.compress(data),
        "r.csv.zst": pa.Codec("zstd").compress(data).to_pybytes(),
        "r.gz.gz": gzip.compress(gzip.compress(data)),
        "utf16.csv": PLAIN.encode("utf-16"),
        "utf16le.csv": PLAIN.encode("utf-16-le"),
        "bom.csv": b"\xef\xbb\xbf" + data,
        "utf32.csv": PLAIN.encode("utf-32"),
        "carriage_returns.csv": data.replace(b"\n", b"\r"),
        "digits.csv": data.replace(b"1389744000", b"20140115000000"),
    }


@pytest.mark.parametrize("name", packed_files())
def test_compressed_files_and_other_encodings_have_the_same_rows(tmp_path: Path, name: str) -> None:
    rows, _ = read(written(tmp_path, packed_files()[name], name))
    assert rows.user_ids.tolist() == [1, 1, 2, 2]
    assert rows.timestamps.tolist() == [JANUARY] * 4


def test_a_zip_of_one_file_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("whatever.csv", PLAIN)
    assert len(read(tmp_path / "archive.zip")[0]) == 4
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("__MACOSX/whatever.csv", "")
        archive.writestr("folder/whatever.csv", PLAIN)
    assert len(read(tmp_path / "archive.zip")[0]) == 4
    (tmp_path / "archive.zip").rename(tmp_path / "r.csv")
    assert len(read(tmp_path / "r.csv")[0]) == 4


def test_windows_1252_is_read_with_a_note(tmp_path: Path) -> None:
    reading = Reading()
    text = "user_id,movie_id,rating\nJosé,3,4\n".encode("latin-1")
    rows, _ = read(written(tmp_path, text), reading)
    assert reading.ids.text(int(rows.user_ids[0])) == "José"
    assert any("not UTF-8: it is read as Windows-1252" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(PLAIN.encode(), mtime=0)[:-12], "cannot be unpacked"),
        (lzma.compress(PLAIN.encode())[:-20], "cannot be unpacked"),
        (b"SQLite format 3\0" + bytes(100), "an SQLite database"),
        (bytes(range(256)) * 40, "is not text"),
        (b"\x04\x22\x4d\x18" + PLAIN.encode(), "compressed with LZ4"),
        (b"\x1f\x9d\x90" + PLAIN.encode(), "compressed with compress"),
        (b"<!DOCTYPE html><html>" + PLAIN.encode(), "a web page instead of data"),
        (
            gzip.compress(b"r.csv".ljust(257, b"\0") + b"ustar\0" + bytes(600), mtime=0),
            "a tar archive: unpack it",
        ),
        (b"a" * (1 << 18), "line 1: longer than"),
        (b",".join([b"x"] * 2000) + b"\n1,2\n", "more than 1000 columns"),
    ],
)
def test_binary_data_is_refused_without_quoting_it(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message) as refused:
        read(written(tmp_path, content))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 600


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "FREE_BYTES", 1 << 16)
    bomb = gzip.compress(b"user_id,movie_id,rating\n" + b"1,2,3\n" * (1 << 20), 9)
    with pytest.raises(SourceError, match="unpacks to more than 300 times its size"):
        read(written(tmp_path, bomb))


def test_control_characters_of_a_file_never_reach_a_message(tmp_path: Path) -> None:
    text = "user_id,movie_id,sc\x1b[31more\x07\n1,2,3\n"
    with pytest.raises(SourceError) as refused:
        read(written(tmp_path, text))
    assert str(refused.value).isprintable()
    with pytest.raises(SourceError) as refused:
        read(written(tmp_path, "user_id,movie_id,rating\n1,2,\x1b[2J\x07\n"))
    assert str(refused.value).isprintable()
