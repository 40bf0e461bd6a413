"""Read and write files of ratings, pairs and ids: CSV, MovieLens' layouts, Parquet and JSON lines."""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from app.ingest.loads.scale import DISLIKED, LIKED, TEN, Scale
from recommender.interactions import Interactions
from recommender.progress import Progress
from seeds.files import arrow_tables, column_roles
from seeds.files.archives import find, open_source
from seeds.files.column_roles import MOVIE, RATING, ROLES, TIME, USER, ColumnNames
from seeds.files.rating_cells import LIKE, TEXT_IDS, DayOrder, TextIds
from seeds.files.rating_columns import in_seconds
from seeds.files.rating_rows import RatingFormat, RatingRows, ReadRows
from seeds.files.ratings import OFF_SCALE, as_stars, on_scale, read_rows
from seeds.files.report import Report, SourceError, shown

RATING_FILES = (
    "ratings.csv", "ratings.dat", "u.data", "latest_ratings.dat", "ratings.parquet", "ratings.tsv",
    "rating.csv", "ratings_small.csv", "ratings.jsonl",
)  # fmt: skip
PARQUET = (".parquet", ".pq")
ABOVE_FIVE = 0.1  # smallest share of ratings above five on a scale of ten; fewer are taken for errors
ENOUGH = 100  # ratings that show the highest of their scale
HIGH = 8  # half-stars
MANY = 10  # more ratings than this, all of them 1, are likes and not one star each
STARS_FORMAT = RatingFormat()


@dataclass(frozen=True, slots=True)
class Reading:
    """The options of a command that reads files, the text ids found so far, and notes for the user."""

    columns: ColumnNames = field(default_factory=ColumnNames)
    day_order: DayOrder | None = None
    ids: TextIds = field(default_factory=TextIds)
    notes: list[str] = field(default_factory=list)


def rating_file(path: Path) -> Traversable:
    """The file at `path`; in a folder or zip the file with a name of RATING_FILES.

    The only file of a zip may have any name. Raises SourceError if there is no such file.
    """
    if path.is_file() and path.suffix.lower() != ".zip":
        return path
    source = open_source(path)
    if (file := find(source, *RATING_FILES)) is not None:
        return file
    if isinstance(source, zipfile.Path) and len(names := _files_in(source)) == 1:
        return source.joinpath(names[0])
    raise SourceError(f"{path} has none of {', '.join(RATING_FILES)}; name the file of ratings instead")


def _files_in(archive: zipfile.Path) -> list[str]:
    return [
        name for name in archive.root.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")
    ]


def read_ratings(
    file: Traversable, progress: Progress, *, reading: Reading, scale: Scale | None = None
) -> tuple[RatingRows, Scale]:
    """Read ratings in the order of the file, and their scale. `scale`: that of training, if it is known.

    Raises SourceError if a column is missing or ambiguous, or a row is invalid; the message has the file, the
    line and the rule.
    """
    report = Report(file.name, strict=True)
    format_ = _format(reading, ROLES, frozenset({RATING, TIME}))
    rows = in_seconds(_read(file, format_, report, progress), format_, file, report)
    reading.notes.extend((*report.notes, *_mixed_ids(rows, file)))
    half_stars, found = _stars_of(rows, scale, file, report, reading)
    return as_stars(rows, half_stars), found


def read_pairs(file: Traversable, progress: Progress, *, reading: Reading) -> RatingRows:
    """Read users and movies; other columns are ignored. Raises SourceError as `read_ratings` does."""
    return _read_ids(file, (USER, MOVIE), progress, reading)


def read_ids(file: Traversable, role: str, progress: Progress, *, reading: Reading) -> NDArray[np.int64]:
    """Read the distinct ids of a column, int64 (n,) ascending.

    role: USER or MOVIE. Without a header, the first column is read.
    """
    rows = _read_ids(file, (role,), progress, reading)
    return np.unique(rows.user_ids if role == USER else rows.item_ids)


def interactions(rows: RatingRows, catalogue: NDArray[np.int64]) -> Interactions:
    """Convert rows to Interactions. `catalogue`: ids of further movies, int64."""
    stars = rows.half_stars.astype(np.float32) / 2
    return Interactions.from_arrays(rows.user_ids, rows.item_ids, stars, rows.timestamps, catalog=catalogue)


def write_table(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write CSV or Parquet, according to the suffix, atomically; return the number of rows.

    nan is written as an empty cell.
    """
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
    """Raise SourceError if the suffix is not one of a format that can be written."""
    if path.suffix.lower() not in (".csv", *PARQUET):
        raise SourceError(f"{path} must end in .csv or .parquet")


def column(values: NDArray[Any]) -> pa.Array:
    """Make an Arrow column; nan becomes null."""
    return pa.array(values, from_pandas=True)


def _writer(raw: Any, path: Path, schema: pa.Schema) -> Any:
    if path.suffix.lower() in PARQUET:
        return parquet.ParquetWriter(raw, schema)
    return csv.CSVWriter(raw, schema, write_options=csv.WriteOptions(quoting_header="none"))


def _stars_of(
    rows: ReadRows, scale: Scale | None, file: Traversable, report: Report, reading: Reading
) -> tuple[NDArray[np.int16], Scale]:
    """Convert the rating column to half-stars, int16 (n,); return them and the scale found."""
    if RATING not in rows.layout.order:
        if len(rows):
            reading.notes.append(f"{file} has no ratings: each row is read as a like, five stars")
        return np.full(len(rows), LIKED, np.int16), Scale.LIKES
    column_name = shown(rows.layout.name(RATING), 60)
    only_likes = column_roles.is_of_likes(column_name) and RATING not in reading.columns.given
    if (likes := _likes(rows, scale, file, only_likes=only_likes)) is not None:
        n_disliked = int((~likes).sum())
        reading.notes.append(
            f"{file}, column {column_name}: {len(likes) - n_disliked} likes are read as five stars, "
            f"{n_disliked} dislikes as one star"
        )
        return np.where(likes, LIKED, DISLIKED).astype(np.int16), Scale.LIKES
    half_stars, off = on_scale(rows.ratings, TEN if scale is Scale.TEN else STARS_FORMAT)
    found = Scale.TEN if scale is Scale.TEN else Scale.STARS
    if off.any() and scale is None:
        tens, off_ten = on_scale(rows.ratings, TEN)
        if not off_ten.any() and (tens > 5).mean() >= ABOVE_FIVE:  # noqa: PLR2004 - half-stars are the scale of ten
            reading.notes.extend((*_zeros(rows, file), *_highest(rows, tens, file, Scale.TEN)))
            return tens, Scale.TEN
    for i in np.flatnonzero(off)[:1]:
        text = f"{rows.ratings[i]:g} in column {column_name}"
        report.skip(OFF_SCALE, str(file), int(rows.lines[i]), text)
    reading.notes.extend(_highest(rows, half_stars, file, found))
    return half_stars, found


def _highest(rows: ReadRows, half_stars: NDArray[np.int16], file: Traversable, scale: Scale) -> Iterator[str]:
    """A note if many ratings reach at most HIGH, as on a scale of 4 or 7, which cannot be recognized."""
    if len(rows) >= ENOUGH and half_stars.max() <= HIGH:
        top = 10 if scale is Scale.TEN else 5
        yield f"{file}: no rating is above {rows.ratings.max():g}; they are read on a scale of {top}"


def _zeros(rows: ReadRows, file: Traversable) -> list[str]:
    """A note on ratings of 0 on a scale of ten."""
    n_zero = int((rows.ratings == 0).sum())
    return [f"{file}: {n_zero} ratings of 0 of 10 are read as half a star"] if n_zero else []


def _mixed_ids(rows: ReadRows, file: Traversable) -> list[str]:
    """Notes on columns whose ids are numbers in some rows and texts in others."""
    counts = {
        kind: (int((ids >= TEXT_IDS).sum()), len(ids))
        for kind, ids in (("users", rows.user_ids), ("movies", rows.item_ids))
    }
    return [
        f"{file}: the ids of {kind} are texts in {n_texts} rows and numbers in {n - n_texts}"
        for kind, (n_texts, n) in counts.items()
        if 0 < n_texts < n
    ]


def _likes(
    rows: ReadRows, scale: Scale | None, file: Traversable, *, only_likes: bool
) -> NDArray[np.bool_] | None:
    """Read the column as likes, bool (n,); None if it holds ratings."""
    ratings = rows.ratings
    answers = np.isinf(ratings)
    if answers.any():
        if not answers.all():
            i = int(np.flatnonzero(answers != answers[0])[0])
            raise SourceError(
                f"{file}, line {rows.lines[i]}: column {rows.layout.name(RATING)} holds both numbers and "
                "yes or no"
            )
        return np.asarray(ratings == LIKE)
    values = set(np.unique(ratings).tolist())
    if values in ({0.0, 1.0}, {-1.0, 1.0}) or (values == {0.0} and scale is Scale.LIKES):
        return ratings > 0 if scale is not Scale.TEN else None
    many = scale is Scale.LIKES or (scale is None and len(ratings) > MANY)
    if values == {1.0} and (many or only_likes):
        return np.ones(len(ratings), bool)
    if only_likes and values - {0.0}:
        i = int(np.flatnonzero(~np.isin(ratings, (0, 1)))[0])
        name = shown(rows.layout.name(RATING), 60)
        raise SourceError(
            f"{file}, line {rows.lines[i]}: {ratings[i]:g} in column {name}, where yes or no is expected; "
            f"if the column holds ratings, use --columns rating={name}"
        )
    return np.zeros(len(ratings), bool) if only_likes and len(ratings) else None


def _format(reading: Reading, columns: tuple[str, ...], optional: frozenset[str]) -> RatingFormat:
    return RatingFormat(
        columns=columns,
        optional=optional,
        given=reading.columns,
        day_order=reading.day_order,
        ids=reading.ids,
    )


def _read_ids(
    file: Traversable, columns: tuple[str, ...], progress: Progress, reading: Reading
) -> RatingRows:
    given = {role: name for role, name in reading.columns.given.items() if role in columns}
    report = Report(file.name, strict=True)
    format_ = replace(_format(reading, columns, frozenset()), given=ColumnNames(given))
    rows = _read(file, format_, report, progress)
    reading.notes.extend(report.notes)
    return as_stars(rows, np.zeros(len(rows), np.int16))


def _read(file: Traversable, format_: RatingFormat, report: Report, progress: Progress) -> ReadRows:
    if arrow_tables.is_one(file):
        return arrow_tables.read_rows(file, format_, report)
    return read_rows(file, format_, report, progress)
