"""Read files of up to tens of millions of ratings, in blocks, into NumPy arrays.

A block of plain numbers is parsed by pyarrow with types. Other notations are read as text, and each distinct
text is parsed once. Only a block with malformed rows is read line by line, so invalid rows are reported with
their lines without slowing down valid files.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from recommender.progress import Progress
from seeds.files import rating_columns, rating_layouts
from seeds.files.column_roles import MOVIE, RATING, ROLES, TIME, USER
from seeds.files.rating_cells import TEXT_IDS, DayOrder, Times, day_order_of, year_last
from seeds.files.rating_layouts import SAMPLE_BYTES, SPACES, ByMovie, Layout
from seeds.files.rating_rows import RatingFormat, RatingRows, ReadRows, joined, rows_of
from seeds.files.report import Report, SourceError, shown
from seeds.files.text_streams import open_text

BLOCK_BYTES = 16 << 20
MAX_LINE_BYTES = 1 << 20
MAX_ROW_LINES = 2_000  # of a row with line breaks inside quotes
MAX_UNCLOSED = 20  # unclosed quotes in a block; more are taken for inch marks and the like

FIELD_COUNT = "a different number of fields than the file has"
NOT_UTF8 = "not UTF-8"
OFF_SCALE = "not a rating of the scale: 0.5 to 5 in halves, or 0 to 10 in whole numbers"
RATED_TWICE = "the member rated the movie again later"
REPEATED = "a repeated row"


@dataclass(slots=True)
class _Table:
    """A file of ratings that is being read."""

    file: Traversable
    format: RatingFormat
    layout: Layout
    report: Report
    times: Times
    typed: bool = True  # whether all blocks so far were parsed with types


def read_ratings(file: Traversable, layout: RatingFormat, report: Report, progress: Progress) -> RatingRows:
    """Read all valid ratings, ordered by user and movie; the latest one if a pair is repeated.

    Raises SourceError if a column is missing or not recognized.
    """
    rows = rating_columns.in_seconds(read_rows(file, layout, report, progress), layout, file, report)
    half_stars, off = on_scale(rows.ratings, layout)
    for i in np.flatnonzero(off):
        text = f"{rows.ratings[i]:g} by user {rows.user_ids[i]}, movie {rows.item_ids[i]}"
        report.skip(OFF_SCALE, str(file), int(rows.lines[i]), text)
    usable = as_stars(rows, half_stars)
    return latest(usable.take(~off) if off.any() else usable, file, report)


def as_stars(rows: ReadRows, half_stars: NDArray[np.int16]) -> RatingRows:
    return RatingRows(rows.user_ids, rows.item_ids, half_stars, rows.times.astype(np.int64), rows.lines)


def read_rows(file: Traversable, layout: RatingFormat, report: Report, progress: Progress) -> ReadRows:
    """Read all rows with valid cells in the order of the file, including repeated pairs."""
    parts = []
    with open_rows(file, layout, report.notes.append) as (stream, found, notes):
        report.notes.extend(notes)
        size, done = _size(file), 0
        times = Times(layout.day_order, lambda: _day_order(file, layout, found))
        table = _Table(file, layout, found, report, times)
        for line, block in _blocks(stream, found.skip + 1, file):
            parts.append(_parse(block, line, table))
            done += len(block)
            progress(f"reading {file.name}", min(1.0, done / size))
    return joined(parts, found)


@contextmanager
def open_rows(
    file: Traversable, layout: RatingFormat, note: Callable[[str], None] | None = None
) -> Iterator[tuple[io.BufferedReader, Layout, list[str]]]:
    """Open the file at its first row; yield the stream, its layout and notes."""
    with open_text(file, note) as stream:
        found, notes = rating_layouts.recognize(
            file,
            stream.peek(SAMPLE_BYTES)[:SAMPLE_BYTES],
            separator=layout.separator,
            header=layout.header,
            wanted=layout.columns,
            optional=layout.optional,
            given=layout.given,
        )
        for _ in range(found.skip):
            stream.readline(MAX_LINE_BYTES)
        yield io.BufferedReader(ByMovie(stream), 1 << 20) if found.by_movie else stream, found, notes


def _size(file: Traversable) -> int:
    if isinstance(file, zipfile.Path):
        return max(1, file.root.getinfo(file.at).file_size)
    return max(1, file.stat().st_size) if isinstance(file, Path) else 1


def _blocks(stream: io.BufferedReader, line: int, file: Traversable) -> Iterator[tuple[int, bytes]]:
    """Yield (line of the first row, bytes) of blocks of complete rows."""
    while block := stream.read(BLOCK_BYTES):
        rest = _line(stream, file, line) if not block.endswith(b"\n") else b""
        block += rest
        more: list[bytes] = []
        is_open = block.count(b'"') % 2 == 1
        while is_open and len(more) < MAX_ROW_LINES and (rest := _line(stream, file, line)):
            more.append(rest)
            is_open = rest.count(b'"') % 2 == 0
        block += b"".join(more)
        yield line, block
        line += block.count(b"\n")


def _line(stream: io.BufferedReader, file: Traversable, after: int) -> bytes:
    text = stream.readline(MAX_LINE_BYTES)
    if len(text) == MAX_LINE_BYTES:
        raise SourceError(f"{file}, after line {after}: a line is longer than {MAX_LINE_BYTES} bytes")
    return text


def _parse(block: bytes, line: int, table: _Table) -> ReadRows:
    layout = table.layout
    plain, separator = block, layout.separator
    if separator == SPACES:
        plain, separator = re.sub(rb"[ \t\r]+", b"\t", block), "\t"
        plain = re.sub(rb"(?m)^\t|\t$", b"", plain)
    elif len(separator) > 1:  # pyarrow splits at one character only
        plain, separator = block.replace(separator.encode(), b"\t"), "\t"
    if block.count(b'"') % 2 == 0:
        if table.typed and (rows := _typed(plain, separator, line, table)) is not None:
            return rows
        table.typed = False
        if (columns := _as_text(plain, separator, table)) is not None:
            lines = _row_lines(plain, line)
            if len(lines) == len(next(iter(columns.values()))):
                texts = plain.split(b"\n")
                return _read(
                    columns, lines, lambda i: texts[int(lines[i]) - line].decode("utf-8", "replace"), table
                )
    return _by_line(block, line, table)


def _row_lines(block: bytes, line: int) -> NDArray[np.uint32]:
    """The line of each row, uint32 (n,), if no row spans lines. Empty lines are not rows."""
    if not block:
        return np.empty(0, np.uint32)
    n = block.count(b"\n") + (not block.endswith(b"\n"))
    if b"\n\n" not in block and b"\n\r\n" not in block and not block.startswith((b"\n", b"\r\n")):
        return np.arange(line, line + n, dtype=np.uint32)
    filled = [bool(text.strip(b"\r")) for text in block.split(b"\n")[:n]]
    return (np.flatnonzero(filled) + line).astype(np.uint32)


_TYPES = {USER: pa.int64(), MOVIE: pa.int64(), RATING: pa.float64(), TIME: pa.float64()}


def _typed(block: bytes, separator: str, line: int, table: _Table) -> ReadRows | None:
    """Parse a block with types; None if a cell is neither a plain number nor an ISO 8601 date."""
    if table.format.ids is not None and _has_leading_zeros(block, separator):
        return None
    for time in (pa.float64(), pa.timestamp("s")):
        types = {role: time if role == TIME else _TYPES[role] for role in table.layout.order}
        columns = _parsed(block, separator, types, table, null_values=[""])
        if columns is not None:
            return _plain(columns, _row_lines(block, line), table, dated=time != pa.float64())
        if TIME not in table.layout.order:
            break
    return None


def _plain(
    columns: dict[str, pa.ChunkedArray], lines: NDArray[np.uint32], table: _Table, *, dated: bool
) -> ReadRows | None:
    """Convert typed columns to rows; None if a value is missing or needs another notation."""
    values: dict[str, NDArray[Any]] = {}
    for role, column in columns.items():
        typed = column.cast(pa.int64()) if dated and role == TIME else column
        if role == TIME and role in table.format.optional:
            typed = typed.fill_null(0)
        if typed.null_count or len(typed) != len(lines):
            return None
        values[role] = typed.to_numpy()
        if role in (USER, MOVIE) and (np.abs(values[role]) >= TEXT_IDS).any():
            return None
        if role in (RATING, TIME) and not np.isfinite(values[role]).all():
            return None
    return rows_of(
        values,
        np.full(len(lines), dated) if TIME in values else np.zeros(len(lines), bool),
        lines,
        table.layout,
    )


def _has_leading_zeros(block: bytes, separator: str) -> bool:
    """Whether a field may be an id such as 007, which is different from the number 7."""
    data = np.frombuffer(b"\n" + block, np.uint8)
    zeros = (data[1:-1] == ord("0")) & (data[2:] >= ord("0")) & (data[2:] <= ord("9"))
    at = np.flatnonzero(zeros)
    return bool(np.isin(data[at], np.frombuffer(f'\n"{separator} '.encode(), np.uint8)).any())


def _parsed(
    block: bytes,
    separator: str,
    types: dict[str, pa.DataType],
    table: _Table,
    *,
    null_values: Sequence[str] = (),
) -> dict[str, pa.ChunkedArray] | None:
    """Parse columns by role; None if a row has another number of fields or a value another type."""
    order = table.layout.order
    try:
        parsed = arrow_csv.read_csv(
            io.BytesIO(block),
            read_options=arrow_csv.ReadOptions(
                column_names=list(map(str, range(table.layout.width))), use_threads=False,
                block_size=max(1 << 20, len(block)),
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types={str(at): types[role] for role, at in order.items()},
                include_columns=[str(at) for at in order.values()],
                null_values=list(null_values),
            ),
        )  # fmt: skip
    except pa.ArrowInvalid:
        return None
    return dict(zip(order, parsed.columns, strict=True))


def _as_text(block: bytes, separator: str, table: _Table) -> dict[str, pa.ChunkedArray] | None:
    return _parsed(block, separator, dict.fromkeys(ROLES, pa.string()), table)


def _by_line(block: bytes, line: int, table: _Table) -> ReadRows:
    """Parse a block row by row, with line breaks inside quotes; malformed rows are reported."""
    values: list[list[str]] = []
    texts: list[str] = []
    lines: list[int] = []
    misshapen: list[tuple[int, str, str]] = []
    for number, text in _rows(block, line, table.layout.separator):
        row = rating_layouts.fields(text, table.layout.separator)
        if len(row) != table.layout.width:
            misshapen.append((number, FIELD_COUNT, text))
        elif "\ufffd" in text and any("\ufffd" in row[at] for at in table.layout.order.values()):
            misshapen.append((number, NOT_UTF8, text))
        else:
            values.append([row[at] for at in table.layout.order.values()])
            texts.append(text)
            lines.append(number)
    columns = zip(*values, strict=True) if values else [[] for _ in table.layout.order]
    arrays = [pa.chunked_array([pa.array(list(column), pa.string())]) for column in columns]
    found = dict(zip(table.layout.order, arrays, strict=True))
    return _read(found, np.array(lines, np.uint32), lambda i: texts[i], table, misshapen)


def _rows(block: bytes, line: int, separator: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each non-empty row, which may have line breaks inside quotes."""
    lines = block.split(b"\n")
    at = unclosed = 0
    while at < len(lines):
        first, end = at, at + 1
        if b'"' in lines[at] and len(separator) == 1 and unclosed < MAX_UNCLOSED:
            end = _end_of_row(lines, at, separator.encode())
            unclosed += end == 0
        at = end or at + 1
        if text := b"\n".join(lines[first:at]).strip(b"\r"):
            yield line + first, text.decode("utf-8", "replace")


def _end_of_row(lines: Sequence[bytes], first: int, separator: bytes) -> int:
    """The index after the last line of the row that begins at `first`; 0 if a quote is not closed."""
    marks = re.compile(b'[" ]|' + re.escape(separator) + b'|[^" ' + re.escape(separator) + b"]+")
    is_inside = False
    for at in range(first, min(len(lines), first + MAX_ROW_LINES)):
        is_start = True
        for mark in marks.findall(lines[at]):
            if mark == b'"' and (is_inside or is_start):
                is_inside = not is_inside
                is_start = True  # a quote within quotes is written twice
            else:
                is_start = mark == separator or (is_start and mark == b" ")
        if not is_inside:
            return at + 1
    return 0


def _read(
    columns: dict[str, pa.ChunkedArray],
    lines: NDArray[np.uint32],
    text: Callable[[int], str],
    table: _Table,
    misshapen: Sequence[tuple[int, str, str]] = (),
) -> ReadRows:
    return rating_columns.read(
        columns,
        lines,
        text,
        layout=table.layout,
        format_=table.format,
        times=table.times,
        file=table.file,
        report=table.report,
        misshapen=misshapen,
    )


def _day_order(file: Traversable, layout: RatingFormat, found: Layout) -> DayOrder:
    """Find the order of day and month from the first date in the file with a number above 12.

    Raises:
        SourceError: there is no such date.
    """
    at, all_points = found.order[TIME], True
    with open_rows(file, layout) as (stream, _, _):
        for line, block in _blocks(stream, found.skip + 1, file):
            for _, text in _rows(block, line, found.separator):
                row = rating_layouts.fields(text, found.separator)
                if len(row) > at and (match := year_last(row[at])):
                    if order := day_order_of(match):
                        return order
                    all_points = all_points and match["mark"] == "."
    if all_points:  # dates with points have the day first
        return DayOrder.DMY
    raise SourceError(rating_columns.AMBIGUOUS_DAYS.format(file, shown(found.name(TIME), 60)))


def on_scale(ratings: NDArray[Any], layout: RatingFormat) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Convert ratings to half-stars, int16 (n,); also return which are off the scale, bool (n,), and 0."""
    half_stars = np.asarray(ratings, np.float64) * layout.half_stars_per_unit
    if layout.zero_is_lowest:
        half_stars = np.where(half_stars == 0, 1, half_stars)
    bad = ~np.isin(half_stars, np.arange(1, 11))
    return np.where(bad, 0, half_stars).astype(np.int16), bad


def latest(rows: RatingRows, file: Traversable, report: Report) -> RatingRows:
    """Sort rows by user and movie, and keep the latest of each pair. The others are reported."""
    users, items = rows.user_ids, rows.item_ids
    if ((users[1:] > users[:-1]) | ((users[1:] == users[:-1]) & (items[1:] > items[:-1]))).all():
        return rows
    rows = rows.take(np.lexsort((rows.lines, rows.timestamps, items, users)))
    again = np.zeros(len(rows), dtype=np.bool_)
    again[:-1] = (rows.user_ids[1:] == rows.user_ids[:-1]) & (rows.item_ids[1:] == rows.item_ids[:-1])
    for i in np.flatnonzero(again):
        same = rows.half_stars[i] == rows.half_stars[i + 1] and rows.timestamps[i] == rows.timestamps[i + 1]
        report.put_aside(REPEATED if same else RATED_TWICE, str(file), int(rows.lines[i]), rows.text(i))
    return rows.take(~again)
