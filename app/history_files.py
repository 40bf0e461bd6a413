"""What members have rated, watched and listed elsewhere: files of other sites, read.

A layout is known by its header, but what a list of movies is for often is not: Letterboxd's watched.csv,
watchlist.csv and likes/films.csv have the same columns, as all lists of IMDb have, and of Trakt. Columns that
are not named in a layout are not looked at.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.history_layouts import (
    KNOWN,
    MAX_COLUMNS,
    InvalidHistory,
    Source,
    columns_of,
    layout_of,
    shown,
    source_of,
)
from app.history_rows import LONGEST_SHOWN, Contents, DateOrder, Reader, Row
from app.pieces import Steps

MAX_CHARACTERS = 3_000_000  # a body has 3.5 million bytes at most
MAX_ROWS = 20_000
LONGEST_ROW = 100_000  # characters
LINES_BEFORE_HEADER = 20


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row of which nothing is stored, and why."""

    line: int
    shown: str
    reason: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    source: Source
    rows: list[Row]
    skipped: list[Skipped]


@dataclass(frozen=True, slots=True)
class Order:
    """How a caller wants a file read; None where the file shows it."""

    source: Source | None = None
    contents: Contents | None = None
    date_order: DateOrder | None = None
    scale: float | None = None


def read(text: str, order: Order, now: datetime) -> Steps[History]:
    """Read a CSV file, a row at a step.

    Raises InvalidHistory for a file that is too large, of no known layout, or not of the source in `order`;
    and for a list that has movies without a rating, where nothing says what it is for.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidHistory(f"The file has more than {MAX_CHARACTERS} characters: send it in parts.")
    records = records_of(text)
    header, source = header_of(records, order.source)
    columns = columns_of(header)
    layout = layout_of(source, columns)
    contents = order.contents
    if contents is None and columns.keys() & layout.watched:
        contents = Contents.WATCHED
    day_first = None if order.date_order is None else order.date_order is DateOrder.DAY_FIRST
    reader = Reader(
        layout, frozenset(columns), contents, now, order.scale or layout.scale, day_first=day_first
    )
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
            history.skipped.append(Skipped(line, shown_row(values), reason))
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
            history.skipped.append(Skipped(line, shown_row([*named.values()]), row))
    return history


def shown_row(values: Sequence[str]) -> str:
    return ",".join(value[:LONGEST_SHOWN] for value in values[:MAX_COLUMNS])[:LONGEST_SHOWN]


def header_of(records: Iterator[tuple[int, list[str]]], source: Source | None) -> tuple[list[str], Source]:
    """The first line that is the header of a known layout, and the layout's source.

    Letterboxd's lists begin with lines on the list itself, and spreadsheets with `sep=;`.
    """
    first: list[str] = []
    for number, (line, values) in enumerate(records):
        if len(values) > MAX_COLUMNS:
            raise InvalidHistory(f"Line {line} has more than {MAX_COLUMNS} columns.")
        found = source_of(columns_of(values))
        if found is not None and source in (None, found):
            return values, found
        if not first and any(value.strip() for value in values):
            first = values
        if number == LINES_BEFORE_HEADER:
            break
    if first and first[0].lstrip()[:1] in ("{", "["):
        raise InvalidHistory("The text is JSON, not CSV.")
    if any("\0" in name for name in first):
        raise InvalidHistory("The header has NUL characters: the file is UTF-16, read as something else.")
    wanted = "" if source is None else f" of {source.title()}"
    raise InvalidHistory(
        f"No header{wanted} is among the first lines. Columns found: {shown(first)}. "
        f"Known are exports of {KNOWN}."
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
        yield lines.start, record


class Lines:
    """The lines of a text. Raises InvalidHistory for a record that is too long, before it is parsed."""

    def __init__(self, text: str) -> None:
        self.text = io.StringIO(text, newline="")
        self.number = 0
        self.begin()

    def begin(self) -> None:
        self.start, self.room = self.number + 1, LONGEST_ROW

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self.text.readline(self.room + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.room -= len(line)
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
