"""Parse a block of ratings: at once with types, each distinct text once, or row by row."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from seeds.files import rating_blocks, rating_columns, rating_layouts
from seeds.files.column_roles import MOVIE, RATING, ROLES, TIME, USER
from seeds.files.rating_blocks import row_lines
from seeds.files.rating_cells import TEXT_IDS, Times
from seeds.files.rating_layouts import SPACES, Layout
from seeds.files.rating_rows import RatingFormat, ReadRows, rows_of
from seeds.files.report import Report

FIELD_COUNT = "a different number of fields than the file has"
NOT_UTF8 = "not UTF-8"


@dataclass(slots=True)
class Table:
    """A file of ratings that is being read."""

    file: Traversable
    format: RatingFormat
    layout: Layout
    report: Report
    times: Times
    typed: bool = True  # whether all blocks so far were parsed with types


def parse(block: bytes, line: int, table: Table) -> ReadRows:
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
            lines = row_lines(plain, line)
            if len(lines) == len(next(iter(columns.values()))):
                texts = plain.split(b"\n")
                return _read(
                    columns, lines, lambda i: texts[int(lines[i]) - line].decode("utf-8", "replace"), table
                )
    return _by_line(block, line, table)


_TYPES = {USER: pa.int64(), MOVIE: pa.int64(), RATING: pa.float64(), TIME: pa.float64()}


def _typed(block: bytes, separator: str, line: int, table: Table) -> ReadRows | None:
    """Parse a block with types; None if a cell is neither a plain number nor an ISO 8601 date."""
    if table.format.ids is not None and _has_leading_zeros(block, separator):
        return None
    for time in (pa.float64(), pa.timestamp("s")):
        types = {role: time if role == TIME else _TYPES[role] for role in table.layout.order}
        columns = _parsed(block, separator, types, table, null_values=[""])
        if columns is not None:
            return _plain(columns, row_lines(block, line), table, dated=time != pa.float64())
        if TIME not in table.layout.order:
            break
    return None


def _plain(
    columns: dict[str, pa.ChunkedArray], lines: NDArray[np.uint32], table: Table, *, dated: bool
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
    table: Table,
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


def _as_text(block: bytes, separator: str, table: Table) -> dict[str, pa.ChunkedArray] | None:
    return _parsed(block, separator, dict.fromkeys(ROLES, pa.string()), table)


def _by_line(block: bytes, line: int, table: Table) -> ReadRows:
    """Parse a block row by row, with line breaks inside quotes; malformed rows are reported."""
    values: list[list[str]] = []
    texts: list[str] = []
    lines: list[int] = []
    misshapen: list[tuple[int, str, str]] = []
    for number, text in rating_blocks.rows(block, line, table.layout.separator):
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


def _read(
    columns: dict[str, pa.ChunkedArray],
    lines: NDArray[np.uint32],
    text: Callable[[int], str],
    table: Table,
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
