"""Files of ratings, up to tens of millions of rows, read in blocks into numpy arrays.

A block is parsed by pyarrow. Only a block with a row that cannot be used is gone through again row by row, so
that each such row is reported with its line, at no cost where all is well.
"""

import zipfile
from collections.abc import Iterator
from csv import reader
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources.abc import Traversable
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from seeds.report import Progress, Report, SourceError

BLOCK_BYTES = 16 << 20
BOM = b"\xef\xbb\xbf"
FIELDS = ("userId", "movieId", "rating", "timestamp")
# What the columns are called elsewhere, in small letters without underscores.
OTHER_NAMES = {
    "user": "userid",
    "itemid": "movieid",
    "item": "movieid",
    "movie": "movieid",
    "stars": "rating",
}
LAST_SECOND = 4_102_444_800  # 2100-01-01: what lies beyond is not in seconds
_INT64_MAX = (1 << 63) - 1
_EXACT_IN_FLOATS = 1 << 53

NOT_A_RATING = "not user, film, rating and time in numbers"
OFF_SCALE = "not a rating of the scale"
NOT_A_TIME = "not a time between 1970 and 2100 in seconds"
RATED_TWICE = "the member rated the film again later"
REPEATED = "the same row again"


@dataclass(frozen=True, slots=True)
class RatingFormat:
    """How a file of ratings is laid out."""

    separator: bytes = b","
    header: bool = True
    half_stars_per_unit: int = 2  # 2 for stars, 1 for a scale of ten
    columns: tuple[str, ...] = FIELDS  # what is read; the rest is 0
    optional: frozenset[str] = frozenset()  # of `columns`: 0 where the file does not have them
    zero_is_lowest: bool = False  # a rating of 0 is half a star, instead of off the scale


@dataclass(frozen=True, slots=True)
class RatingRows:
    """n usable ratings, ordered by member and film, no pair of them twice; ids are the file's."""

    user_ids: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    half_stars: NDArray[np.int16]
    timestamps: NDArray[np.int64]  # seconds
    lines: NDArray[np.uint32]  # 1-based line of the file

    def __len__(self) -> int:
        return len(self.user_ids)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "RatingRows":
        return RatingRows(*(column[chosen] for column in self.columns()))

    def text(self, i: int | np.integer[Any]) -> str:
        stars = self.half_stars[i] / 2
        return f"user {self.user_ids[i]}, film {self.item_ids[i]}, {stars:g} stars, time {self.timestamps[i]}"

    def columns(self) -> tuple[NDArray[Any], ...]:
        return self.user_ids, self.item_ids, self.half_stars, self.timestamps, self.lines


_NONE = np.empty(0, dtype=np.int64)
_EMPTY = RatingRows(_NONE, _NONE, _NONE.astype(np.int16), _NONE, _NONE.astype(np.uint32))


@dataclass(frozen=True, slots=True)
class _Table:
    """A file of ratings that is being read."""

    file: Traversable
    layout: RatingFormat
    report: Report
    order: dict[str, int]  # where each of FIELDS stands that the file has
    width: int  # fields in a row


def read_ratings(file: Traversable, layout: RatingFormat, report: Report, progress: Progress) -> RatingRows:
    """All ratings of the file that can be used; of a film rated twice by one member the latest counts.

    Raises:
        SourceError: the header lacks a column.
    """
    return latest(read_rows(file, layout, report, progress), file, report)


def read_rows(file: Traversable, layout: RatingFormat, report: Report, progress: Progress) -> RatingRows:
    """All rows that can be used, in the order of the file, pairs that stand there twice too."""
    parts = [_EMPTY]
    with file.open("rb") as raw:
        size, done = _size(file), 0
        order, width = _columns(raw, file, layout)
        table = _Table(file, layout, report, order, width)
        for line, block in _blocks(raw, 2 if layout.header else 1):
            parts.append(_parse_whole(block, line, table) or _parse_by_row(block, line, table))
            done += len(block)
            progress(f"reading {file.name}", min(1.0, done / size))
    return RatingRows(*(np.concatenate(c) for c in zip(*(part.columns() for part in parts), strict=True)))


def _size(file: Traversable) -> int:
    if isinstance(file, zipfile.Path):
        return file.root.getinfo(file.at).file_size
    return file.stat().st_size if isinstance(file, Path) else 1


def _columns(raw: IO[bytes], file: Traversable, layout: RatingFormat) -> tuple[dict[str, int], int]:
    """Where each of FIELDS stands, and the number of columns; the header, if there is one, is read past."""
    line = raw.readline().removeprefix(BOM).decode("utf-8", "replace").rstrip("\r\n")
    names = [name.strip().strip('"') for name in line.split(layout.separator.decode())]
    if not layout.header:
        raw.seek(0)
        least = sum(name not in layout.optional for name in layout.columns)
        width = max(len(names), least) if layout.optional else len(layout.columns)
        return dict(zip(layout.columns, range(width), strict=False)), width
    known = [column_name(name) for name in names]
    order = {name: known.index(name.lower()) for name in layout.columns if name.lower() in known}
    if missing := [name for name in layout.columns if name not in order and name not in layout.optional]:
        raise SourceError(f"{file}: no column {', '.join(missing)}; there are {', '.join(names)}")
    return order, len(names)


def column_name(text: str) -> str:
    """In small letters, the one of FIELDS that a name stands for; else the name itself."""
    plain = text.strip().lower().replace("_", "")
    return OTHER_NAMES.get(plain, plain)


def _blocks(raw: IO[bytes], line: int) -> Iterator[tuple[int, bytes]]:
    """(line of its first row, bytes) of each block of whole lines."""
    bom = BOM
    while block := raw.read(BLOCK_BYTES):
        block = (block + raw.readline()).removeprefix(bom)
        bom = b""
        yield line, block
        line += block.count(b"\n")


def _parse_whole(block: bytes, line: int, table: _Table) -> RatingRows | None:
    """The block at once; None when anything in it is not as it should be."""
    separator = table.layout.separator
    if len(separator) > 1:  # pyarrow splits at one character only
        block, separator = block.replace(separator, b"\t"), b"\t"
    tried = (_columns_parsed(block, separator.decode(), types, table) for types in _TYPES)
    if (columns := next(filter(None, tried), None)) is None:
        return None
    absent = np.zeros(len(next(iter(columns.values()))), np.int64)
    users, items, ratings, times = (columns.get(name, absent) for name in FIELDS)
    half_stars, off = on_scale(ratings, table.layout) if "rating" in columns else (absent, absent)
    if off.any() or off_time(times, table.layout).any():
        return None
    lines = np.arange(line, line + len(users), dtype=np.uint32)
    return RatingRows(users, items, half_stars.astype(np.int16), times.astype(np.int64), lines)


# As they should be; ids that went through a table with gaps, as `7.0`; times as dates.
_AS_NUMBERS = {"userId": pa.int64(), "movieId": pa.int64(), "rating": pa.float64(), "timestamp": pa.float64()}
_AS_FLOATS = {**_AS_NUMBERS, "userId": pa.float64(), "movieId": pa.float64()}
_TYPES = (_AS_NUMBERS, _AS_FLOATS, {**_AS_FLOATS, "timestamp": pa.timestamp("s")})


def _columns_parsed(
    block: bytes, separator: str, types: dict[str, pa.DataType], table: _Table
) -> dict[str, NDArray[Any]] | None:
    """By the names of FIELDS; None when a value is missing or not of its type."""
    chosen = {str(at): types[name] for name, at in table.order.items()}
    try:
        parsed = csv.read_csv(
            BytesIO(block),
            read_options=csv.ReadOptions(column_names=list(map(str, range(table.width))), use_threads=False),
            parse_options=csv.ParseOptions(delimiter=separator, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(column_types=chosen, include_columns=list(chosen)),
        )
    except pa.ArrowInvalid:
        return None
    columns: dict[str, NDArray[Any]] = {}
    for name, column in zip(table.order, parsed.columns, strict=True):
        told = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        if name == "timestamp" and name in table.layout.optional:
            told = told.fill_null(0)
        values = told.to_numpy()
        if told.null_count or (name in ("userId", "movieId") and not _are_whole(values)):
            return None
        columns[name] = values.astype(np.int64) if name in ("userId", "movieId") else values
    return columns


def _are_whole(ids: NDArray[Any]) -> bool:
    return ids.dtype.kind == "i" or bool(((np.abs(ids) < _EXACT_IN_FLOATS) & (ids == np.rint(ids))).all())


def on_scale(ratings: NDArray[Any], layout: RatingFormat) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Half-stars int16 (n,), and bool (n,) of what is off the scale and 0 there."""
    half_stars = np.asarray(ratings, np.float64) * layout.half_stars_per_unit
    if layout.zero_is_lowest:
        half_stars = np.where(half_stars == 0, 1, half_stars)
    bad = ~np.isin(half_stars, np.arange(1, 11))
    return np.where(bad, 0, half_stars).astype(np.int16), bad


def off_time(times: NDArray[Any], layout: RatingFormat) -> NDArray[np.bool_]:
    """bool (n,): no time in seconds. Where times are optional, 0 is one that is not known."""
    unknown = (times == 0) & ("timestamp" in layout.optional)
    return np.asarray(~unknown & ~((times > 0) & (times < LAST_SECOND)))


def _parse_by_row(block: bytes, line: int, table: _Table) -> RatingRows:
    rows: list[tuple[int, int, int, int, int]] = []
    for number, raw in enumerate(block.split(b"\n"), line):
        if not (text := raw.rstrip(b"\r").decode("utf-8", "replace")).strip():
            continue
        row = _parse_row(text, table)
        if isinstance(row, str):
            table.report.skip(row, str(table.file), number, text)
        else:
            rows.append((*row, number))
    columns = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    return RatingRows(
        columns[0], columns[1], columns[2].astype(np.int16), columns[3], columns[4].astype(np.uint32)
    )


def _parse_row(text: str, table: _Table) -> tuple[int, int, int, int] | str:
    """User, film, half-stars and time; or what is wrong with the row."""
    values = _values(text, table.layout.separator.decode())
    if len(values) != table.width:
        return NOT_A_RATING
    texts = {name: values[at] for name, at in table.order.items()}
    try:
        user, item = (_whole(texts.get(name, "0")) for name in ("userId", "movieId"))
        rating, time = float(texts.get("rating", "nan")), _seconds(texts.get("timestamp") or "0")
    except ValueError:
        return NOT_A_RATING
    if max(abs(user), abs(item)) > _INT64_MAX:
        return NOT_A_RATING
    (half_stars,), (off,) = on_scale(np.array([rating]), table.layout)
    if off and "rating" in texts:
        return OFF_SCALE
    if off_time(np.array([time]), table.layout).any():
        return NOT_A_TIME
    return user, item, int(half_stars), int(time)


def _values(text: str, separator: str) -> list[str]:
    if '"' in text and len(separator) == 1:
        return [value.strip() for value in next(reader([text], delimiter=separator, skipinitialspace=True))]
    return [value.strip().strip('"') for value in text.split(separator)]


def _whole(text: str) -> int:
    """Also of `7.0`. Raises ValueError."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer() or abs(number) >= _EXACT_IN_FLOATS:
            raise
        return int(number)


def _seconds(text: str) -> float:
    """Also of a date and time, which are UTC unless they say otherwise. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def latest(rows: RatingRows, file: Traversable, report: Report) -> RatingRows:
    """The rows by member and film; of those that rate a film once more the latest."""
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
