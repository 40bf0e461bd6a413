"""Read files of up to tens of millions of ratings, in blocks, into NumPy arrays.

A block of plain numbers is parsed by pyarrow with types. Other notations are read as text, and each distinct
text is parsed once. Only a block with malformed rows is read line by line, so invalid rows are reported with
their lines without slowing down valid files.
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.progress import Progress
from seeds.files import rating_blocks, rating_columns, rating_layouts, rating_parsing
from seeds.files.column_roles import TIME
from seeds.files.rating_cells import DayOrder, Times, day_order_of, year_last
from seeds.files.rating_layouts import SAMPLE_BYTES, ByMovie, Layout
from seeds.files.rating_rows import RatingFormat, RatingRows, ReadRows, joined, order_by_pair
from seeds.files.report import Report, SourceError, shown
from seeds.files.text_streams import open_text

MAX_HALF_STARS = 10
OFF_SCALE = "not a rating of the scale: 0.5 to 5 in halves, or 0 to 10 in whole numbers"
RATED_TWICE = "the member rated the movie again later"
REPEATED = "a repeated row"


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
        table = rating_parsing.Table(file, layout, found, report, times)
        for line, block in rating_blocks.blocks(stream, found.skip + 1, file):
            parts.append(rating_parsing.parse(block, line, table))
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
            stream.readline(rating_blocks.MAX_LINE_BYTES)
        yield io.BufferedReader(ByMovie(stream), 1 << 20) if found.by_movie else stream, found, notes


def _size(file: Traversable) -> int:
    if isinstance(file, zipfile.Path):
        return max(1, file.root.getinfo(file.at).file_size)
    return max(1, file.stat().st_size) if isinstance(file, Path) else 1


def _day_order(file: Traversable, layout: RatingFormat, found: Layout) -> DayOrder:
    """Find the order of day and month from the first date in the file with a number above 12.

    Raises:
        SourceError: there is no such date.
    """
    at, all_points = found.order[TIME], True
    with open_rows(file, layout) as (stream, _, _):
        for line, block in rating_blocks.blocks(stream, found.skip + 1, file):
            for _, text in rating_blocks.rows(block, line, found.separator):
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
    bad = (half_stars != np.rint(half_stars)) | (half_stars < 1) | (half_stars > MAX_HALF_STARS)
    return np.where(bad, 0, half_stars).astype(np.int16), bad


def latest(rows: RatingRows, file: Traversable, report: Report) -> RatingRows:
    """Sort rows by user and movie, and keep the latest of each pair. The others are reported."""
    users, items = rows.user_ids, rows.item_ids
    if ((users[1:] > users[:-1]) | ((users[1:] == users[:-1]) & (items[1:] > items[:-1]))).all():
        return rows
    rows = rows.take(order_by_pair(users, items, rows.timestamps, rows.lines))
    again = np.zeros(len(rows), dtype=np.bool_)
    again[:-1] = (rows.user_ids[1:] == rows.user_ids[:-1]) & (rows.item_ids[1:] == rows.item_ids[:-1])
    for i in np.flatnonzero(again):
        same = rows.half_stars[i] == rows.half_stars[i + 1] and rows.timestamps[i] == rows.timestamps[i + 1]
        report.put_aside(REPEATED if same else RATED_TWICE, str(file), int(rows.lines[i]), rows.text(i))
    return rows.take(~again)
