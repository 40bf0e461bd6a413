"""Ratings, pairs and users as files: csv, MovieLens' own layouts, Parquet; read and written."""

import enum
import re
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from recommender.interactions import Interactions
from seeds.files import find, open_source
from seeds.rating_files import (
    BOM,
    FIELDS,
    NOT_A_RATING,
    NOT_A_TIME,
    OFF_SCALE,
    RatingFormat,
    RatingRows,
    column_name,
    off_time,
    on_scale,
    read_rows,
)
from seeds.report import Progress, Report, SourceError, UnusableRowError

RATING_FILES = (
    "ratings.csv", "ratings.dat", "u.data", "latest_ratings.dat", "ratings.parquet", "ratings.tsv",
)  # fmt: skip
PARQUET = (".parquet", ".pq")
LIKE = 10  # half-stars
ABOVE_FIVE = 0.1  # of the ratings of a scale of ten are at least above five: fewer are mistakes
NUMBER = re.compile(rb"-?\d+(\.0*)?")  # an id: a file that begins with one has no header
MANY = 10  # ratings, all of them 1, that are likes rather than one star each


class Scale(enum.StrEnum):
    """What the rating column says."""

    STARS = "stars"  # 0.5 to 5 in halves
    TEN = "ten"  # 0 to 10, read as half-stars, and 0 as half a star
    LIKES = "likes"  # no rating, or always 1: read as five stars


def rating_file(path: Path) -> Traversable:
    """The file itself at `path`, or of a folder or zip the one that has a name of RATING_FILES."""
    if path.is_file() and path.suffix != ".zip":
        return path
    source = open_source(path)
    if (file := find(source, *RATING_FILES)) is None:
        raise SourceError(f"{path} has none of {', '.join(RATING_FILES)}; name the file of ratings itself")
    return file


def read_ratings(
    file: Traversable, progress: Progress, *, scale: Scale | None = None
) -> tuple[RatingRows, Scale]:
    """The ratings in the order of the file, and their scale; `scale` says what it was in training.

    Raises:
        SourceError: a column is missing, or a row cannot be used; the message has file, line and rule.
    """
    optional = frozenset({"rating", "timestamp"})
    if scale is Scale.TEN:
        return _read(file, optional, progress, ten=True), scale
    try:
        rows = _read(file, optional, progress)
    except UnusableRowError:
        if scale is not None or (tens := _as_ten(file, optional, progress)) is None:
            raise
        return tens, Scale.TEN
    if not _are_likes(rows.half_stars, scale):
        return rows, Scale.STARS
    rows.half_stars[:] = LIKE
    return rows, Scale.LIKES


def read_pairs(file: Traversable, progress: Progress) -> RatingRows:
    """Users and films, whatever else the file has. Raises SourceError as `read_ratings` does."""
    return _read(file, frozenset({"rating", "timestamp"}), progress, columns=("userId", "movieId"))


def read_ids(file: Traversable, column: str, progress: Progress) -> NDArray[np.int64]:
    """int64 (n,), ascending, each once: the column `userId` or `movieId`, or the first of a bare list."""
    rows = _read(file, frozenset(FIELDS) - {column}, progress, columns=(column,))
    return np.unique(rows.user_ids if column == "userId" else rows.item_ids)


def interactions(rows: RatingRows, catalogue: NDArray[np.int64]) -> Interactions:
    """The rows as the recommender takes them; `catalogue` names further films."""
    stars = rows.half_stars.astype(np.float32) / 2
    return Interactions.from_arrays(rows.user_ids, rows.item_ids, stars, rows.timestamps, catalogue=catalogue)


def write_table(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write csv or Parquet, as the name ends, whole or not at all; the number of rows. nan is left empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    n_rows = 0
    try:
        with unfinished.open("wb") as raw, _writer(raw, path, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
                n_rows += batch.num_rows
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return n_rows


def check_output(path: Path) -> None:
    """Raises SourceError for a name that ends in neither of the formats that can be written."""
    if path.suffix.lower() not in (".csv", *PARQUET):
        raise SourceError(f"{path} must end in .csv or .parquet")


def column(values: NDArray[Any]) -> pa.Array:
    """An Arrow column in which nan is null."""
    return pa.array(values, from_pandas=True)


def _writer(raw: Any, path: Path, schema: pa.Schema) -> Any:
    if path.suffix.lower() in PARQUET:
        return parquet.ParquetWriter(raw, schema)
    return csv.CSVWriter(raw, schema, write_options=csv.WriteOptions(quoting_header="none"))


def _are_likes(half_stars: NDArray[np.int16], scale: Scale | None) -> bool:
    told = np.unique(half_stars).tolist()
    return told == [0] or (told == [2] and (len(half_stars) > MANY or scale is Scale.LIKES))


def _as_ten(file: Traversable, optional: frozenset[str], progress: Progress) -> RatingRows | None:
    try:
        rows = _read(file, optional, progress, ten=True)
    except UnusableRowError:
        return None
    above = (rows.half_stars > 5).mean()  # noqa: PLR2004 - half-stars are the scale of ten
    return rows if above >= ABOVE_FIVE else None


def _read(
    file: Traversable,
    optional: frozenset[str],
    progress: Progress,
    *,
    columns: tuple[str, ...] = FIELDS,
    ten: bool = False,
) -> RatingRows:
    report = Report(file.name, strict=True)
    layout = RatingFormat(columns=columns, optional=optional)
    if ten:
        layout = replace(layout, half_stars_per_unit=1, zero_is_lowest=True)
    if Path(file.name).suffix.lower() in PARQUET:
        return _read_parquet(file, layout, report)
    with file.open("rb") as raw:
        first = raw.readline().removeprefix(BOM)
    if not first.strip():
        raise SourceError(f"{file} is empty")
    separator = next((mark for mark in (b"::", b"\t", b";", b"|") if mark in first), b",")
    header = NUMBER.fullmatch(first.split(separator)[0].strip().strip(b'"')) is None
    return read_rows(file, replace(layout, separator=separator, header=header), report, progress)


def _read_parquet(file: Traversable, layout: RatingFormat, report: Report) -> RatingRows:
    with file.open("rb") as raw:
        try:
            table = parquet.read_table(raw)
        except (pa.ArrowException, OSError) as error:  # OSError too is told of what is damaged inside
            raise SourceError(f"{file}: {error}") from None
    names = {column_name(name): name for name in reversed(table.column_names)}
    found = {name: names[name.lower()] for name in layout.columns if name.lower() in names}
    if missing := [name for name in layout.columns if name not in found and name not in layout.optional]:
        raise SourceError(
            f"{file}: no column {', '.join(missing)}; there are {', '.join(table.column_names)}"
        )
    values = {name: _numbers(table[at], name, file, report) for name, at in found.items()}
    absent = np.zeros(table.num_rows, np.int64)
    users, items, ratings, times = (values.get(name, absent) for name in FIELDS)
    half_stars, off = on_scale(ratings, layout) if "rating" in values else (absent, absent)
    for wrong, rule in ((off, OFF_SCALE), (off_time(times, layout), NOT_A_TIME)):
        for row in np.flatnonzero(wrong)[:1]:
            text = ",".join(str(values[name][row]) for name in found)
            report.skip(rule, str(file), int(row) + 1, text)
    lines = np.arange(1, table.num_rows + 1, dtype=np.uint32)
    return RatingRows(users, items, half_stars.astype(np.int16), times.astype(np.int64), lines)


def _numbers(chunks: pa.ChunkedArray, name: str, file: Traversable, report: Report) -> NDArray[Any]:
    if pa.types.is_timestamp(chunks.type) or pa.types.is_date(chunks.type):
        chunks = chunks.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    if name == "timestamp":
        chunks = chunks.fill_null(0)
    for row in np.flatnonzero(np.asarray(chunks.is_null()))[:1]:
        report.skip(NOT_A_RATING, str(file), int(row) + 1, f"{name} is empty")
    whole = name in ("userId", "movieId")
    try:
        return np.asarray(chunks.cast(pa.int64() if whole else pa.float64()).to_numpy())
    except pa.ArrowException as error:
        raise SourceError(f"{file}, column {name}: {error}") from None
