"""Read CSV files of other sites and programs.

The header shows the layout, but often not the purpose of a list of movies: Letterboxd's watched.csv,
watchlist.csv and likes/films.csv have the same columns; so have all IMDb lists, and all Trakt lists. Columns
that the layout does not name are ignored.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    translated,
)
from app.ingest.pieces import Steps
from app.ingest.rows import LONGEST_SHOWN, History, Order, Reader, Row, Skipped

MAX_ROWS = 20_000
LONGEST_ROW = 100_000  # characters
LINES_BEFORE_HEADER = 20


def read_csv(text: str, order: Order, now: datetime) -> Steps[History]:
    """Read a CSV file, one row a step.

    Raises InvalidHistory for a file that is too large, has no known layout or is not of the source in
    `order`, and for movies without a rating whose contents are unknown.
    """
    records = records_of(text)
    header = header_of(records, order)
    width, columns = len(header.values), header.columns
    reader = Reader.of(header.layout, columns, order, now)
    history = History(header.source, [], [])
    kept: list[tuple[int, dict[str, str]]] = []
    shown_orders: set[bool] = set()
    for line, values in records:
        yield
        if not any(value.strip() for value in values):
            continue
        if len(kept) + len(history.skipped) == MAX_ROWS:
            raise InvalidHistory(f"The file has more than {MAX_ROWS} rows: send it in parts.")
        if len(values) != width:
            reason = f"It has {len(values)} values, the header has {width}: quote values with a comma."
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


@dataclass(frozen=True, slots=True)
class Header:
    """A header: its values, the index of each column by name, and its layout."""

    values: list[str]
    columns: dict[str, int]
    source: Source
    layout: Layout


def header_of(records: Iterator[tuple[int, list[str]]], order: Order) -> Header:
    """Find the header: the first line of a known layout, or with the columns that the client named.

    Letterboxd's lists begin with lines about the list, and some spreadsheets with `sep=;`. Raises
    InvalidHistory if no line among the first is a header.
    """
    named = order.layout
    first: list[str] = []
    for number, (line, values) in enumerate(records):
        if len(values) > MAX_COLUMNS:
            raise InvalidHistory(f"Line {line} has more than {MAX_COLUMNS} columns.")
        columns = columns_of(values)
        if named is not None:
            if is_of(named, columns):
                return Header(values, columns, order.source or Source.OTHER, named)
        else:
            columns = translated(columns)
            if (found := source_of(columns)) is not None and order.source in (None, found):
                return Header(values, columns, found, layout_of(found, columns))
        if not first and any(value.strip() for value in values):
            first = values
        if number == LINES_BEFORE_HEADER:
            break
    if any("\0" in name for name in first):
        raise InvalidHistory("The header contains NUL characters: send the file's bytes as `file`.")
    found_columns = f"Columns found: {shown(first)}."
    if named is not None:
        missing = ", ".join(sorted(named.marks[0] - columns_of(first).keys()))
        raise InvalidHistory(
            f"No line has all the columns named in `columns`. {found_columns} Missing: {missing}."
        )
    kind = "known" if order.source is None else order.source.title()
    raise InvalidHistory(
        f"The first lines contain no {kind} header. {found_columns} Known exports: {KNOWN}. For any other "
        "file, name its columns in `columns`."
    )


def records_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a CSV file, each with the number of its first line. Raises InvalidHistory."""
    lines = Lines(text.removeprefix("\ufeff"))
    reader = csv.reader(lines, delimiter=separator_of(text))
    while True:
        lines.begin()
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise InvalidHistory(f"Line {lines.start} is not valid CSV.") from None
        if lines.is_open:
            raise InvalidHistory(f"A quote opened on line {lines.start} is not closed.")
        yield lines.start, record


class Lines:
    """Iterator of lines. Raises InvalidHistory for a record that is too long, before it is parsed."""

    def __init__(self, text: str) -> None:
        self.text = io.StringIO(text, newline="")
        self.number = 0
        self.is_over = False
        self.begin()

    def begin(self) -> None:
        self.start, self.room, self.quotes = self.number + 1, LONGEST_ROW, 0

    @property
    def is_open(self) -> bool:
        """Whether the text ended inside a quoted value that spans lines."""
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
    """The most frequent separator of the first line, or the one that `sep=;` names."""
    head = text.removeprefix("\ufeff")[:LONGEST_ROW].lstrip()
    if head[:4].casefold() == "sep=" and len(head) > len("sep=") and head[4] in ",;\t|":
        return head[4]
    first_line = head.partition("\n")[0]
    return max(",;\t|", key=first_line.count)
