"""Convert the columns of a table of ratings, as text or Arrow types, to ids, ratings and times."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute

from seeds.files.cells import EMPTY, EXACT_IN_FLOATS, NOT_WHOLE, CellError, whole_number
from seeds.files.column_roles import MOVIE, RATING, TIME, USER
from seeds.files.rating_cells import (
    DISLIKE,
    LIKE,
    NOT_A_RATING,
    NOT_A_TIME,
    NOT_AN_ID,
    TEXT_IDS,
    TextIds,
    Times,
    rating,
)
from seeds.files.rating_layouts import Layout
from seeds.files.rating_rows import RatingFormat, ReadRows, rows_of
from seeds.files.report import Report, SourceError, shown

LAST_SECOND = 4_102_444_800  # 2100-01-01
UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
FIRST_CERTAIN_SECOND = 100_000_000  # March 1973; if all times are earlier, they are not in seconds
_DAYS_OR_YEARS = re.compile(r"dat(e|um)|day|year", re.IGNORECASE)
OFF_TIME = "not a time between 1970 and 2100 in {}"
COLUMN = "column {}: {}"
AMBIGUOUS_DAYS = (
    "{}, column {}: dates such as 01/02/2014 are ambiguous, and no date of the file shows the order: "
    "use --dates DMY (day first) or --dates MDY (month first)"
)

Faults = dict[int, str]  # row -> the rule that its cell breaks


def read(
    columns: dict[str, pa.ChunkedArray],
    lines: NDArray[np.uint32],
    text: Callable[[int], str],
    *,
    layout: Layout,
    format_: RatingFormat,
    times: Times,
    file: Traversable,
    report: Report,
    misshapen: Sequence[tuple[int, str, str]] = (),
) -> ReadRows:
    """Convert columns to the rows with valid cells. The others are reported in the order of their lines.

    text: returns the text of a row. misshapen: (line, rule, text) of rows that could not be split into cells.
    """
    values, dated, faults = converted(columns, format_, times, len(lines))
    found = list(misshapen)
    for row in sorted(faults):
        role, rule = faults[row]
        value = shown(str(columns[role][row].as_py()), 60)
        where = f"{value!r} in {text(row)}" if rule != EMPTY else text(row)
        found.append((int(lines[row]), COLUMN.format(shown(layout.name(role), 60), rule), where))
    for line, rule, where in sorted(found):
        report.skip(rule, str(file), line, where)
    rows = rows_of(values, dated, lines, layout)
    if not faults:
        return rows
    good = np.ones(len(lines), bool)
    good[list(faults)] = False
    return rows.take(good)


def converted(
    columns: dict[str, pa.ChunkedArray], format_: RatingFormat, times: Times, n: int
) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_], dict[int, tuple[str, str]]]:
    """Values of the columns, (n,); whether a row has a time, bool (n,); role and rule of its first fault."""
    values: dict[str, NDArray[Any]] = {}
    dated = np.zeros(n, bool)
    faults: dict[int, tuple[str, str]] = {}
    for role, column in columns.items():
        if role in (USER, MOVIE):
            values[role], bad = ids_of(column, format_.ids)
        elif role == RATING:
            values[role], bad = ratings_of(column)
        else:
            values[role], dated, bad = times_of(column, times)
            if role in format_.optional:
                bad = {row: rule for row, rule in bad.items() if rule != EMPTY}
        for row, rule in bad.items():
            faults.setdefault(row, (role, rule))
    return values, dated, faults


def ids_of(column: pa.ChunkedArray, ids: TextIds | None) -> tuple[NDArray[np.int64], Faults]:
    """Parse ids, int64 (n,), 0 for an invalid cell."""
    kind = column.type
    if pa.types.is_integer(kind) and not column.null_count:
        top = compute.max(compute.abs(column.cast(pa.float64()))).as_py() or 0
        if top < TEXT_IDS:
            return np.asarray(column.cast(pa.int64()).to_numpy()), {}
    if pa.types.is_floating(kind):
        return _ids_of_floats(column)
    if _is_nested(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return np.zeros(len(column), np.int64), {0: NOT_AN_ID}
    parse: Callable[[str], int] = whole_number if ids is None else ids.number
    return _each_text(column, parse, np.int64)


def _ids_of_floats(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], Faults]:
    values = np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy())
    whole = (np.abs(values) < EXACT_IN_FLOATS) & (values == np.rint(values))
    faults = {int(row): EMPTY if np.isnan(values[row]) else NOT_WHOLE for row in np.flatnonzero(~whole)}
    return np.where(whole, values, 0).astype(np.int64), faults


def ratings_of(column: pa.ChunkedArray) -> tuple[NDArray[np.float64], Faults]:
    """Parse ratings, float64 (n,): numbers, LIKE or DISLIKE."""
    kind = column.type
    if pa.types.is_boolean(kind):
        empty = np.asarray(column.is_null())
        liked = np.asarray(column.fill_null(False))
        return np.where(liked, LIKE, DISLIKE), {int(row): EMPTY for row in np.flatnonzero(empty)}
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy())
        bad = np.flatnonzero(~np.isfinite(values))
        return values, {int(row): EMPTY if np.isnan(values[row]) else NOT_A_RATING for row in bad}
    if _is_nested(kind) or pa.types.is_temporal(kind):
        return np.full(len(column), np.nan), {0: NOT_A_RATING}
    if (numbers := _all_numbers(column)) is not None:
        return numbers, {}
    return _each_text(column, rating, np.float64)


def times_of(column: pa.ChunkedArray, times: Times) -> tuple[NDArray[np.float64], NDArray[np.bool_], Faults]:
    """Parse times, float64 (n,), 0 for an invalid cell; also return which were dates, bool (n,)."""
    kind = column.type
    n = len(column)
    empty: Faults = {int(row): EMPTY for row in np.flatnonzero(np.asarray(column.is_null()))}
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        seconds = (
            column.cast(pa.timestamp("s", getattr(kind, "tz", None)), safe=False)
            .cast(pa.int64())
            .fill_null(0)
        )
        return np.asarray(seconds.to_numpy()).astype(np.float64), np.ones(n, bool), empty
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy())
        bad = np.flatnonzero(~np.isfinite(values))
        faults = {int(row): EMPTY if np.isnan(values[row]) else NOT_A_TIME for row in bad}
        return np.where(np.isfinite(values), values, 0.0), np.zeros(n, bool), faults
    if _is_nested(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return np.zeros(n), np.zeros(n, bool), {0: NOT_A_TIME}
    if (numbers := _all_numbers(column)) is not None:
        return numbers, np.zeros(n, bool), {}
    dated: dict[str, bool] = {}

    def read_time(text: str) -> float:
        seconds, dated[text] = times.read(text)
        return seconds

    values, faults = _each_text(column, read_time, np.float64)
    dates = (
        _each_text(column, lambda text: dated.get(text, False), np.bool_)[0] if any(dated.values()) else None
    )
    return values, np.zeros(n, bool) if dates is None else dates, faults


def _all_numbers(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """Parse a column of finite numbers at once; None if it has another value."""
    try:
        values = np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return values if np.isfinite(values).all() else None


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_null(kind))


def _each_text(
    column: pa.ChunkedArray, parse: Callable[[str], Any], dtype: Any
) -> tuple[NDArray[Any], Faults]:
    """Parse each distinct text once. An invalid cell is 0 and has a fault. Null is parsed as empty text."""
    if not pa.types.is_dictionary(column.type):
        if not pa.types.is_string(column.type):
            column = column.cast(pa.string())
    else:
        column = column.cast(pa.string())
    encoded = column.fill_null("").combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    indices = np.asarray(encoded.indices.to_numpy(zero_copy_only=False))
    rules: dict[int, str] = {}
    values = np.zeros(len(encoded.dictionary), dtype)
    for at, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            values[at] = parse(text)
        except CellError as error:
            rules[at] = str(error)
    faults = (
        {int(row): rules[int(indices[row])] for row in np.flatnonzero(np.isin(indices, list(rules)))}
        if rules
        else {}
    )
    return values[indices] if len(values) else np.zeros(len(indices), dtype), faults


def in_seconds(rows: ReadRows, format_: RatingFormat, file: Traversable, report: Report) -> ReadRows:
    """Convert times to seconds. Rows with an invalid time are reported and left out.

    All numbers of a file are in one unit, which follows from their median. If times are optional, 0 means
    unknown.
    """
    if TIME not in rows.layout.order or not len(rows):
        return rows
    numbers = ~rows.dated & (rows.times != 0)
    times, unit = _seconds(rows.times, numbers)
    unknown = (rows.times == 0) & (TIME in format_.optional)
    off = ~unknown & ~((times > 0) & (times < LAST_SECOND))
    rule = COLUMN.format(shown(rows.layout.name(TIME), 60), OFF_TIME.format(unit))
    for i in np.flatnonzero(off):
        text = f"{rows.times[i]:.15g} of user {rows.user_ids[i]}, movie {rows.item_ids[i]}"
        report.skip(rule, str(file), int(rows.lines[i]), text)
    if unknown.any():
        report.notes.append(
            f"{file}: {unknown.sum()} of {len(rows)} rows have no time, so they count as the oldest"
        )
    if 0 < times.max() < FIRST_CERTAIN_SECOND and not rows.dated.any():
        _doubt(times.max(), rows.layout.name(TIME), file, report)
    seconds = replace(rows, times=np.where(off, 0, times))
    return seconds.take(~off) if off.any() else seconds


def _doubt(largest: float, column: str, file: Traversable, report: Report) -> None:
    """Report numbers too small for seconds. Raises SourceError if they may be days or years."""
    problem = (
        f"{file}, column {shown(column, 60)}: the largest time is {largest:.15g}, too small for seconds "
        "since 1970"
    )
    if _DAYS_OR_YEARS.search(column):
        raise SourceError(f"{problem}; write dates or seconds, or ignore the column: --columns time=")
    report.notes.append(f"{problem}: the times are used only for their order")


def _seconds(times: NDArray[np.float64], numbers: NDArray[np.bool_]) -> tuple[NDArray[np.float64], str]:
    """Convert numbers to seconds; return them and the name of the unit. -1 for a number in another unit."""
    if not numbers.any():
        return times, "seconds"
    if (days := _as_days(times, numbers)) is not None:
        return days, "days written as 20140131, or 20140131235959"
    middle = float(np.median(times[numbers]))
    unit = next((name for name, n in UNITS.items() if middle < LAST_SECOND * n), "nanoseconds")
    if unit == "seconds":
        return times, unit
    scaled = np.where(times >= LAST_SECOND, times / UNITS[unit], -1)  # a number in seconds is invalid here
    return np.where(numbers, scaled, times), unit


def _as_days(times: NDArray[np.float64], numbers: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Convert numbers that are all days such as 20140131, or all 20140131235959, to seconds, else None."""
    chosen = times[numbers]
    first, last = chosen.min(), chosen.max()
    has_clock = first >= 19_700_101_000_000  # noqa: PLR2004 - with hours, minutes and seconds
    if not (first >= 19_700_101 and last < (21_000_000_000_000 if has_clock else 21_000_000)):  # noqa: PLR2004
        return None
    different, at = np.unique(chosen, return_inverse=True)
    clock = np.zeros(len(different), np.int64)
    whole = different.astype(np.int64)
    if not (whole == different).all():
        return None
    if has_clock:
        whole, clock = np.divmod(whole, 1_000_000)
    year, month, day = whole // 10_000, whole // 100 % 100, whole % 100
    hour, minute, second = clock // 10_000, clock // 100 % 100, clock % 100
    if not ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():  # noqa: PLR2004
        return None
    if not ((hour <= 23) & (minute <= 59) & (second <= 59)).all():  # noqa: PLR2004
        return None
    months = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    seconds = (months.astype("datetime64[D]") + (day - 1)).astype("datetime64[s]").astype(np.int64)
    found = times.copy()
    found[numbers] = (seconds + 3_600 * hour + 60 * minute + second)[at]
    return found
