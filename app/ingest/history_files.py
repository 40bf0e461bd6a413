"""Read an imported file: CSV or JSON text, or the bytes of either, also gzipped, or of a zip archive of them.

Only the known files of an archive are unpacked, in pieces and up to a limit.
"""

import binascii
import bz2
import gzip
import struct
import zipfile
import zlib
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import PurePosixPath

from app.ingest.csv_rows import read_csv
from app.ingest.json_rows import read_json
from app.ingest.layouts import InvalidHistory
from app.ingest.pieces import Steps
from app.ingest.rows import Contents, History, Order

MAX_CHARACTERS = 3_000_000  # of a file; a body has 3.5 million bytes at most
MAX_MEMBERS = 1_000  # of an archive
MAX_UNPACKED = 12_000_000  # bytes of the members that are read
MAX_ROWS = 60_000  # of the members together
DIRECTORY_BYTES = 300  # average size allowed for a member's directory entry
BYTES_AT_ONCE = 65_536
GZIP, BZIP2 = b"\x1f\x8b", b"BZh"
# Other formats are refused by name. xz and zstd may need hundreds of megabytes for a small file.
OTHER_FORMATS = {
    b"\xfd7zXZ": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"SQLite format 3": "an SQLite database",
}
END_OF_DIRECTORY = struct.Struct("<4s4H2LH")


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """Options to read a file of an archive: the contents of unrated rows, and the rank of its ratings."""

    contents: Contents | None = None
    rank: int = 0


# The files of Letterboxd's and Trakt's archives. Letterboxd's ratings.csv has the current ratings; the diary
# and the reviews also have earlier ones.
LETTERBOXD = {
    "ratings.csv": ArchiveFile(rank=1),
    "watched.csv": ArchiveFile(Contents.WATCHED),
    "watchlist.csv": ArchiveFile(Contents.WATCHLIST),
    "likes/films.csv": ArchiveFile(Contents.LIKED),
    "diary.csv": ArchiveFile(),
    "reviews.csv": ArchiveFile(),
}
TRAKT = {
    "ratings-movies": ArchiveFile(rank=1),
    "watched-movies": ArchiveFile(Contents.WATCHED),
    "watched-history": ArchiveFile(Contents.WATCHED),
    "history": ArchiveFile(Contents.WATCHED),
    "lists-watchlist": ArchiveFile(Contents.WATCHLIST),
    "watchlist": ArchiveFile(Contents.WATCHLIST),
    "lists-favorites": ArchiveFile(Contents.LIKED),
}


def read(csv: str | None, file: str | None, order: Order, now: datetime) -> Steps[History]:
    """Read text, or a file in Base64. Raises InvalidHistory."""
    if (csv is None) == (file is None):
        raise InvalidHistory("Send either the text of the file as `csv`, or its bytes as `file`.")
    if csv is not None:
        return (yield from read_text(csv, order, now))
    assert file is not None
    data = bytes_of(file)
    yield
    if not data.startswith(b"PK\x03\x04"):
        if data.startswith((GZIP, BZIP2)):
            data = yield from decompressed(data)
        text = decoded(data)
        yield
        return (yield from read_text(text, order, now))
    return (yield from read_archive(data, order, now))


def read_text(text: str, order: Order, now: datetime) -> Steps[History]:
    if len(text) > MAX_CHARACTERS:
        raise InvalidHistory(f"The file has more than {MAX_CHARACTERS} characters: send it in parts.")
    is_json = text[:1000].lstrip("\ufeff \t\r\n")[:1] in ("{", "[")
    return (yield from (read_json if is_json else read_csv)(text, order, now))


def decompressed(data: bytes) -> Steps[bytes]:
    """Decompress gzip or bzip2 in pieces, up to MAX_UNPACKED bytes. Raises InvalidHistory."""
    stream = gzip.GzipFile(fileobj=BytesIO(data)) if data.startswith(GZIP) else bz2.BZ2File(BytesIO(data))
    parts, room = [], MAX_UNPACKED
    try:
        while part := stream.read(BYTES_AT_ONCE):
            yield
            parts.append(part)
            room -= len(part)
            if room < 0:
                raise InvalidHistory(f"The file unpacks to more than {MAX_UNPACKED} bytes: send it in parts.")
    except (OSError, EOFError, zlib.error):
        raise InvalidHistory("The compressed file is damaged.") from None
    return b"".join(parts)


def bytes_of(file: str) -> bytes:
    """Decode Base64, with or without line breaks or a data URL. Raises InvalidHistory."""
    try:
        return b64decode("".join(file.rpartition(",")[2].split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidHistory("`file` is not Base64.") from None


def decoded(data: bytes) -> str:
    """Decode UTF-8, UTF-16, UTF-32 or Windows-1252. Raises InvalidHistory."""
    head = data[:1000]
    for mark, name in OTHER_FORMATS.items():
        if head.startswith(mark):
            raise InvalidHistory(f"The file is {name}: send CSV or JSON, or a zip archive of them.")
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        encoding = "utf-32"
    elif head.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in head:
        encoding = "utf-16-le" if b"\0" in head[1::2] else "utf-16-be"
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8-sig":
            raise InvalidHistory("The file is neither text nor a zip archive.") from None
        return data.decode("cp1252", errors="replace")


def read_archive(data: bytes, order: Order, now: datetime) -> Steps[History]:
    """Read the known files of an archive, or its only CSV or JSON file. Raises InvalidHistory."""
    archive = opened(data)
    yield
    members = files_to_read([info.filename for info in archive.infolist() if not info.is_dir()])
    histories = []
    room, rows = MAX_UNPACKED, 0
    for name, member in members.items():
        parts = []
        for part in unpacked(archive, name):
            yield
            parts.append(part)
            room -= len(part)
            if room < 0:
                raise InvalidHistory(
                    f"The archive has more than {MAX_UNPACKED} bytes: send its files one by one."
                )
        contents = member.contents or order.contents
        options = replace(order, contents=contents, file=name[-200:], rank=member.rank)
        text = decoded(b"".join(parts))
        yield
        try:
            history = yield from read_text(text, options, now)
        except InvalidHistory as error:
            raise InvalidHistory(f"{name[-200:]}: {error}") from None
        histories.append(history)
        rows += len(history.rows) + len(history.skipped)
        if rows > MAX_ROWS:
            raise InvalidHistory(f"The archive has more than {MAX_ROWS} rows: send its files one by one.")
    return History(
        histories[0].source,
        [row for history in histories for row in history.rows],
        [row for history in histories for row in history.skipped],
    )


def opened(data: bytes) -> zipfile.ZipFile:
    """Open an archive. Raises InvalidHistory for a damaged one, or one with too long a directory."""
    at = data.rfind(b"PK\x05\x06")
    if at < 0 or len(data) < at + END_OF_DIRECTORY.size:
        raise InvalidHistory("The zip archive is cut off.")
    *_, count, size, _, _ = END_OF_DIRECTORY.unpack_from(data, at)
    if count > MAX_MEMBERS or size > MAX_MEMBERS * DIRECTORY_BYTES:
        raise InvalidHistory(
            f"The archive has more than {MAX_MEMBERS} files: send its lists of movies one by one."
        )
    try:
        return zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise InvalidHistory("The zip archive is damaged.") from None


def files_to_read(names: list[str]) -> dict[str, ArchiveFile]:
    """Choose the files to read: the known ones, in the order of the tables above.

    Raises InvalidHistory if none is known, unless there is a single CSV or JSON file.
    """
    found: dict[str, ArchiveFile] = {}
    # One folder may contain all files. Other folders hold entries that the member deleted.
    folders = {name.partition("/")[0] for name in names}
    folder = f"{folders.pop()}/".casefold() if len(folders) == 1 else ""
    paths = {name.casefold().removeprefix(folder): name for name in names}
    for path_in_archive, member in LETTERBOXD.items():
        if path_in_archive in paths:
            found[paths[path_in_archive]] = member
    for stem, member in TRAKT.items():
        for name in names:
            path = PurePosixPath(name.casefold())
            if path.suffix == ".json" and path.stem.rstrip("-_0123456789") == stem:
                found.setdefault(name, member)
    files = [name for name in names if name.casefold().endswith((".csv", ".json"))]
    if not found and len(files) == 1:
        return {files[0]: ArchiveFile()}
    if not found:
        shown = ", ".join(name[-60:] for name in names[:20]) or "none"
        raise InvalidHistory(
            f"The archive is not a Letterboxd, Trakt or Simkl export. Files found: {shown}. Send its lists "
            "of movies one by one."
        )
    return found


def unpacked(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """Unpack a file in pieces. Raises InvalidHistory."""
    info = archive.getinfo(name)
    # Other methods decompress a whole block at once, however large.
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InvalidHistory(f"{name[-200:]} is encrypted, or not compressed with deflate.")
    try:
        with archive.open(info) as stream:
            while part := stream.read(BYTES_AT_ONCE):
                yield part
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError, RuntimeError, zlib.error):
        raise InvalidHistory(f"{name[-200:]} in the zip archive is damaged.") from None
