"""Read ratings from Parquet and JSON lines as Arrow tables."""

import io
from collections.abc import Sequence
from contextlib import closing
from importlib.resources.abc import Traversable

import numpy as np
import pyarrow as pa
from pyarrow import json, parquet

from seeds.files import column_roles, rating_columns
from seeds.files.column_roles import TIME
from seeds.files.rating_cells import DayOrder, Times, day_order_of, year_last
from seeds.files.rating_layouts import Layout
from seeds.files.rating_rows import RatingFormat, ReadRows
from seeds.files.report import Report, SourceError, shown
from seeds.files.text_streams import PARQUET_MARK, open_text

SAMPLE_ROWS = 200
MAX_JSON_BLOCK = 16 << 20  # also the longest line


def is_one(file: Traversable) -> bool:
    """Whether the file is Parquet, or text that begins with a JSON object.

    Raises SourceError for text that begins with a list of JSON objects.
    """
    with file.open("rb") as raw:
        if raw.read(len(PARQUET_MARK)) == PARQUET_MARK:
            return True
    try:
        with open_text(file) as stream:
            head = stream.peek(64).lstrip()
    except SourceError:  # the text reader raises it again
        return False
    if head[:1] == b"[" and head[1:].lstrip()[:1] == b"{":
        raise SourceError(f"{file} is a list in JSON: write each object on a line of its own (JSON lines)")
    return head[:1] == b"{"


def read_rows(file: Traversable, format_: RatingFormat, report: Report) -> ReadRows:
    """Read all rows with valid cells; others are reported. Raises SourceError as the text reader does."""
    table = _table(file)
    columns, notes = column_roles.choose(
        file,
        table.column_names,
        _sample(table),
        wanted=format_.columns,
        optional=format_.optional,
        given=format_.given,
    )
    report.notes.extend(notes)
    layout = Layout("", 0, columns.order, columns.names, len(columns.names))
    found = {role: table.column(at) for role, at in columns.order.items()}
    times = Times(format_.day_order, lambda: _day_order(found[TIME], file, layout))
    return rating_columns.read(
        found,
        np.arange(1, table.num_rows + 1, dtype=np.uint32),
        lambda i: ",".join(str(column[i].as_py()) for column in found.values()),
        layout=layout,
        format_=format_,
        times=times,
        file=file,
        report=report,
    )


def _sample(table: pa.Table) -> list[list[str]]:
    """The first rows as text."""
    if table.num_columns > column_roles.MAX_COLUMNS:
        return []
    columns = [column.to_pylist() for column in table.slice(0, SAMPLE_ROWS).columns]
    return [["" if value is None else str(value) for value in row] for row in zip(*columns, strict=True)]


def _table(file: Traversable) -> pa.Table:
    with file.open("rb") as raw:
        is_parquet = raw.read(len(PARQUET_MARK)) == PARQUET_MARK
        raw.seek(0)
        try:
            if is_parquet:
                return parquet.read_table(raw)
            with open_text(file) as stream, closing(pa.PythonFile(stream, mode="r")) as lines:
                return json.read_json(lines, read_options=json.ReadOptions(block_size=MAX_JSON_BLOCK))
        except (pa.ArrowException, OSError, io.UnsupportedOperation) as error:  # OSError: damage inside
            raise SourceError(f"{file} is damaged: {shown(str(error))}") from None


def _day_order(column: pa.ChunkedArray, file: Traversable, layout: Layout) -> DayOrder:
    """Find the order of day and month from the first date with a number above 12.

    Raises SourceError if there is none.
    """
    texts: Sequence[str] = column.cast(pa.string()).unique().drop_null().to_pylist()
    matches = [match for text in texts if (match := year_last(text))]
    if order := next(filter(None, map(day_order_of, matches)), None):
        return order
    if all(match["mark"] == "." for match in matches):  # dates with points have the day first
        return DayOrder.DMY
    raise SourceError(rating_columns.AMBIGUOUS_DAYS.format(file, shown(layout.name(TIME), 60)))
