"""Find the files of a data set in a folder or zip, and read their rows with line numbers."""

import csv
import re
import zipfile
from collections import deque
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from importlib.resources.abc import Traversable
from pathlib import Path

from seeds.files.column_roles import listed, plain_name
from seeds.files.report import Report, SourceError, shown
from seeds.files.text_streams import bounded_lines, open_text

NOT_UTF8 = "not UTF-8"
NUL = "a NUL character"
FIELD_COUNT = "a different number of fields than the file has"
OPEN_QUOTE = "a quote that is not closed"

PACKED = ("", ".gz", ".bz2", ".xz", ".zst", ".zip")  # suffixes of compressed files
MAX_FIELD_CHARACTERS = 16 << 20  # the cast of a movie can exceed csv's default of 128 KiB
MAX_ROW_LINES = 1_000
MAX_SMALL_FILE = 256 << 20  # bytes of a list without header
MAX_OPEN_QUOTES = 100  # in a file; after that, quotes do not span lines
csv.field_size_limit(MAX_FIELD_CHARACTERS)


def open_source(path: str | Path) -> Traversable:
    """Open a folder or zip. Raises SourceError if `path` is neither."""
    place = Path(path).expanduser()
    if place.is_dir():
        return place
    if place.is_file() and zipfile.is_zipfile(place):
        return zipfile.Path(place)
    problem = "is neither a folder nor a zip" if place.exists() else "does not exist"
    raise SourceError(f"{place} {problem}")


def find(source: Traversable, *names: str) -> Traversable | None:
    """Find the first of `names`, compressed or not, in the source or its direct subfolders."""
    folders = [source, *sorted((e for e in source.iterdir() if e.is_dir()), key=lambda e: e.name)]
    for name in names:
        for folder in folders:
            if (file := inside(folder, name)) is not None:
                return file
    return None


def inside(folder: Traversable, *names: str) -> Traversable | None:
    """Find the first of `names`, compressed or not, in the folder itself; `*` matches any characters."""
    for name in names:
        if "*" in name:
            found = [e for e in folder.iterdir() if any(fnmatchcase(e.name, name + end) for end in PACKED)]
            files = sorted(found, key=lambda e: e.name, reverse=True)  # the newest version
        else:
            files = [folder.joinpath(name + end) for end in PACKED]
        if file := next((file for file in files if file.is_file()), None):
            return file
    return None


def csv_rows(
    file: Traversable, required: Sequence[str], report: Report
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, text by column) of each row of a CSV with a header. Invalid rows are reported.

    A required column is matched without case and punctuation, and has its name in `required`.

    Raises:
        SourceError: a required column is missing, or the file is not text.
    """
    with open_text(file, report.notes.append) as stream:
        lines = (line.decode("utf-8", "surrogateescape") for line in bounded_lines(stream, file))
        first, header, separator = _header(lines, required)
        if missing := [name for name in required if name not in header]:
            raise SourceError(f"{file}: no column {', '.join(missing)}; there are {listed(header) or 'none'}")
        for line, row, text in _rows(lines, separator, first + 1, len(header), file, report):
            if _usable(file, line, row, len(header), report, text=text):
                yield line, dict(zip(header, row, strict=True))


def separated_rows(
    file: Traversable, separator: str, width: int, report: Report, *, optional: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of each row of a file without header or quotes. Invalid rows are reported.

    Rows have `width` fields; the last `optional` fields may be missing.
    """
    with open_text(file) as stream:
        for line, raw in enumerate(bounded_lines(stream, file), 1):
            row = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
            if not row:
                continue
            values = row.split(separator)
            expected = len(values) if width - optional <= len(values) <= width else width
            if _usable(file, line, values, expected, report, text=row):
                yield line, values


def _header(lines: Iterator[str], required: Sequence[str]) -> tuple[int, list[str], str]:
    """Read the header; return its line, the column names and the separator.

    The separator is a comma unless another one yields more of the required columns.
    """
    separators, number = [",", ";", "\t"], 0
    for number, text in enumerate(lines, 1):  # noqa: B007 - read after the loop
        if match := re.fullmatch(r'"?sep=(.)"?', text.strip(), re.IGNORECASE):
            separators = [match[1]]
        elif text.strip():
            break
    else:
        return number, [], ","
    known = {plain_name(name): name for name in required}
    found = []
    for separator in separators:
        try:
            row = next(csv.reader([text.rstrip("\r\n")], delimiter=separator), [])
        except (csv.Error, TypeError):  # TypeError: sep= with an invalid separator
            continue
        columns = [known.get(plain_name(name), name.strip()) for name in row]
        found.append((sum(name in columns for name in required), columns, separator))
    _, header, separator = max(found, key=lambda candidate: candidate[0], default=(0, [text.strip()], ","))
    return number, header, separator


def _rows(
    lines: Iterator[str], separator: str, line: int, width: int, file: Traversable, report: Report
) -> Iterator[tuple[int, list[str], str]]:
    """Yield (line, fields, text) of each row. A row with an unclosed quote is skipped as one line."""
    waiting: deque[str] = deque()
    n_open = 0
    while True:
        first = waiting.popleft() if waiting else next(lines, None)
        if first is None:
            return
        row, chunk = _fields([first], separator), [first]
        if row is None and n_open < MAX_OPEN_QUOTES:
            row = _longer(chunk, separator, waiting, lines)
        if row is None or (len(chunk) > 1 and len(row) != width):
            n_open += 1
            waiting.extendleft(reversed(chunk[1:]))
            report.skip(OPEN_QUOTE, str(file), line, first)
            chunk = [first]
        elif row and any(row):
            yield line, row, "".join(chunk)
        line += len(chunk)


def _longer(chunk: list[str], separator: str, waiting: deque[str], lines: Iterator[str]) -> list[str] | None:
    """Read further lines of a row into `chunk`; return its fields, or None if its quote is never closed."""
    size = len(chunk[0])
    while len(chunk) < MAX_ROW_LINES and size < MAX_FIELD_CHARACTERS:
        text = waiting.popleft() if waiting else next(lines, None)
        if text is None:
            return None
        chunk.append(text)
        size += len(text)
        if '"' in text and (row := _fields(chunk, separator)) is not None:
            return row
    return None


def _fields(chunk: list[str], separator: str) -> list[str] | None:
    """Split a row into fields; None if a quote is not closed."""
    try:
        return next(csv.reader(chunk, delimiter=separator, strict=True), [])
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
    try:
        return next(csv.reader(chunk[:1], delimiter=separator), [])
    except csv.Error:
        return None


def _usable(file: Traversable, line: int, row: list[str], width: int, report: Report, *, text: str) -> bool:
    """Whether the row is valid; an invalid one is reported."""
    problem = None
    if len(row) != width:
        problem = FIELD_COUNT
    elif "\0" in text:
        problem = NUL
    elif not text.isascii() and any("\udc80" <= char <= "\udcff" for char in text):
        problem = NOT_UTF8
    if problem:
        plain = text[:400].replace("\0", "\\0").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        report.skip(problem, str(file), line, shown(plain.strip()))
    return problem is None
