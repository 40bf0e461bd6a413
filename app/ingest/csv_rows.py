"""CSV files of other sites and programs, read.

A layout is known by its header, but what a list of movies is for often is not: Letterboxd's watched.csv,
watchlist.csv and likes/films.csv have the same columns, as all lists of IMDb have, and of Trakt. Columns that
are not named in a layout are not looked at.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime

from app.ingest.layouts import (
    KNOWN,
    MAX_COLUMNS,
    InvalidHistory,
    Layout,
    Source,
    columns_of,
    is_of,
    layout_of,
    shown,
    source_of,
)
from app.ingest.pieces import Steps
from app.ingest.rows import LONGEST_SHOWN, History, Order, Reader, Row, Skipped

MAX_ROWS = 20_000
LONGEST_ROW = 100_000  # characters
LINES_BEFORE_HEADER = 20


def read_csv(text: str, order: Order, now: datetime) -> Steps[History]:
    """Read a CSV file, a row at a step.

    Raises InvalidHistory for a file that is too large, of no known layout, or not of the source in `order`;
    and for a list that has movies without a rating, where nothing says what it is for.
    """
    records = records_of(text)
    header, source, layout = header_of(records, order)
    columns = columns_of(header)
    reader = Reader.of(layout, columns, order, now)
    history = History(source, [], [])
    kept: list[tuple[int, dict[str, str]]] = []
    shown_orders: set[bool] = set()
    for line, values in records:
        yield
        if not any(value.strip() for value in values):
            continue
        if len(kept) + len(history.skipped) == MAX_ROWS:
            raise InvalidHistory(f"The file has more than {MAX_ROWS} rows: send it in parts.")
        if len(values) != len(header):
            reason = f"It has {len(values)} values and the header {len(header)}: quote a value with a comma."
            history.skipped.append(Skipped(line, shown_row(values), reason, order.file))
            continue
        named = {name: values[place] for name, place in columns.items()}
        kept.append((line, named))
        shown_orders |= reader.days(named)
    if reader.day_first is None and len(shown_orders) == 1:
        (reader.day_first,) = shown_orders
    for line, named in kept:
        yield
        row = reader.row(line, named)
        if isinstance(row, Row):
            history.rows.append(row)
        else:
            history.skipped.append(Skipped(line, shown_row([*named.values()]), row, order.file))
    return history


def shown_row(values: Sequence[str]) -> str:
    return ",".join(value[:LONGEST_SHOWN] for value in values[:MAX_COLUMNS])[:LONGEST_SHOWN]


def header_of(records: Iterator[tuple[int, list[str]]], order: Order) -> tuple[list[str], Source, Layout]:
    """The first line that is the header of a known layout, or has the columns that the caller named.

    Letterboxd's lists begin with lines on the list itself, and spreadsheets with `sep=;`.
    """
    named = order.layout
    first: list[str] = []
    for number, (line, values) in enumerate(records):
        if len(values) > MAX_COLUMNS:
            raise InvalidHistory(f"Line {line} has more than {MAX_COLUMNS} columns.")
        columns = columns_of(values)
        if named is not None:
            if is_of(named, columns):
                return values, order.source or Source.OTHER, named
        elif (found := source_of(columns)) is not None and order.source in (None, found):
            return values, found, layout_of(found, columns)
        if not first and any(value.strip() for value in values):
            first = values
        if number == LINES_BEFORE_HEADER:
            break
    if any("\0" in name for name in first):
        raise InvalidHistory("The header has NUL characters: send the file's bytes as `file`.")
    found_columns = f"Columns found: {shown(first)}."
    if named is not None:
        missing = ", ".join(sorted(named.marks[0] - columns_of(first).keys()))
        raise InvalidHistory(
            f"No line has all columns that `columns` names. {found_columns} Missing: {missing}."
        )
    wanted = "" if order.source is None else f" of {order.source.title()}"
    raise InvalidHistory(
        f"No header{wanted} is among the first lines. {found_columns} Known are exports of {KNOWN}. Name the "
        "columns of another file in `columns`."
    )


def records_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file, each with the line on which it begins."""
    lines = Lines(text.removeprefix("\ufeff"))
    reader = csv.reader(lines, delimiter=separator_of(text))
    while True:
        lines.begin()
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise InvalidHistory(f"Line {lines.start} is not CSV.") from None
        if lines.is_open:
            raise InvalidHistory(f"A quote that begins in line {lines.start} is not closed.")
        yield lines.start, record


class Lines:
    """The lines of a text. Raises InvalidHistory for a record that is too long, before it is parsed."""

    def __init__(self, text: str) -> None:
        self.text = io.StringIO(text, newline="")
        self.number = 0
        self.is_over = False
        self.begin()

    def begin(self) -> None:
        self.start, self.room, self.quotes = self.number + 1, LONGEST_ROW, 0

    @property
    def is_open(self) -> bool:
        """Whether the text ended within a record of several lines, and within its quotes."""
        return self.is_over and self.number > self.start and self.quotes % 2 == 1

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self.text.readline(self.room + 1)
        if not line:
            self.is_over = True
            raise StopIteration
        self.number += 1
        self.room -= len(line)
        self.quotes += line.count('"')
        if self.room < 0:
            raise InvalidHistory(f"Line {self.start} has more than {LONGEST_ROW} characters.")
        return line


def separator_of(text: str) -> str:
    """The separator that the first lines have most of, or that `sep=;` names."""
    head = text.removeprefix("\ufeff")[:LONGEST_ROW].lstrip()
    if head[:4].casefold() == "sep=" and len(head) > len("sep=") and head[4] in ",;\t|":
        return head[4]
    first_line = head.partition("\n")[0]
    return max(",;\t|", key=first_line.count)
