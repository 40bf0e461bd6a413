"""Files of a data set, in a folder or inside a zip, read row by row with the line each row begins on."""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path

from seeds.report import Report, SourceError

NOT_UTF8 = "not UTF-8"
NUL = "a NUL character"
FIELD_COUNT = "not the number of fields that the file has"

PACKED = ("", ".gz", ".bz2", ".xz", ".zst", ".zip")  # what may stand behind a name
csv.field_size_limit(16 << 20)  # the cast of one film can pass the default of 128 KiB


def open_source(path: str | Path) -> Traversable:
    """The folder or zip at `path`.

    Raises:
        SourceError: nothing is there, or it is neither.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        return place
    if place.is_file() and zipfile.is_zipfile(place):
        return zipfile.Path(place)
    problem = "is neither a folder nor a zip" if place.exists() else "does not exist"
    raise SourceError(f"{place} {problem}")


def find(source: Traversable, *names: str) -> Traversable | None:
    """The first of `names`, packed or not, that is in the source or in a folder directly under it."""
    folders = [source, *sorted((e for e in source.iterdir() if e.is_dir()), key=lambda e: e.name)]
    for name in names:
        for folder in folders:
            if (file := inside(folder, name)) is not None:
                return file
    return None


def inside(folder: Traversable, *names: str) -> Traversable | None:
    """The first of `names`, packed or not, that is in the folder itself."""
    files = (folder.joinpath(name + ending) for name in names for ending in PACKED)
    return next((file for file in files if file.is_file()), None)


def csv_rows(
    file: Traversable, required: Sequence[str], report: Report
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column -> text) of each row of a UTF-8 csv with a header, with or without a BOM.

    Raises:
        SourceError: a required column is missing.
    """
    with file.open("rb") as raw:
        lines = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(lines)
        header = [name.strip() for name in next(reader, [])]
        if missing := [name for name in required if name not in header]:
            raise SourceError(
                f"{file}: no column {', '.join(missing)}; there are {', '.join(header) or 'none'}"
            )
        while True:
            line = reader.line_num + 1
            row = next(reader, None)
            if row is None:
                return
            if row and _usable(file, line, row, len(header), report):
                yield line, dict(zip(header, row, strict=True))


def separated_rows(
    file: Traversable, separator: str, width: int, report: Report, *, optional: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of a file without header or quotes, UTF-8 or, as the older sets are, Latin-1.

    Rows have `width` fields; the last `optional` of them may be missing.
    """
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    for line, row in enumerate(text.split("\n"), 1):
        if not (row := row.rstrip("\r")):
            continue
        values = row.split(separator)
        expected = len(values) if width - optional <= len(values) <= width else width
        if _usable(file, line, values, expected, report, text=row):
            yield line, values


def _usable(
    file: Traversable, line: int, row: list[str], width: int, report: Report, *, text: str | None = None
) -> bool:
    joined = ",".join(row) if text is None else text
    problem = None
    if len(row) != width:
        problem = FIELD_COUNT
    elif "\0" in joined:
        problem = NUL
    elif not joined.isascii() and any("\udc80" <= c <= "\udcff" for c in joined):
        problem = NOT_UTF8
    if problem:
        shown = joined.replace("\0", "\\0").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        report.skip(problem, str(file), line, shown)
    return problem is None
