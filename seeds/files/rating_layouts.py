"""Recognize the layout of a text file of ratings: separator, header and columns."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from seeds.files import column_roles
from seeds.files.column_roles import MAX_COLUMNS, MOVIE, RATING, ROLES, TIME, USER, ColumnNames, recognized
from seeds.files.rating_cells import year_last
from seeds.files.report import SourceError, shown

SEPARATORS = ("::", "\t", ";", "|", ",")
SPACES = " "  # one or more spaces or tabs
SAMPLE_LINES = 200
SAMPLE_BYTES = 1 << 17
_COMMENT = re.compile(r"\s*[#%]\s*(?!\d)")
_MATRIX = re.compile(r"%%MatrixMarket\s+matrix\s+coordinate\b", re.IGNORECASE)
_SIZE = re.compile(r"\s*\d+\s+\d+\s+\d+\s*")
_NETFLIX_MOVIE = re.compile(r"\d{1,9}:\s*")
_EPOCH = re.compile(r"\d{9,19}(\.0*)?")
_IMDB_ID = re.compile(r"tt\d{5,10}")
_ASIN = re.compile(r"B[0-9A-Z]{9}|\d{9}[0-9X]")
_AMAZON_USER = re.compile(r"A[0-9A-Z]{9,20}")


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a file. skip: lines before the first row. width: fields in a row."""

    separator: str
    skip: int
    order: dict[str, int]  # 0-based place of the column by role
    names: list[str]
    width: int
    by_movie: bool = False  # Netflix Prize: a line with the movie above its rows

    def name(self, role: str) -> str:
        """The name of a column in messages."""
        return self.names[self.order[role]] if self.names else f"{self.order[role] + 1} ({role})"


def fields(line: str, separator: str) -> list[str]:
    """Split a line into fields without quotes."""
    if separator == SPACES:
        return line.split()
    if '"' in line and len(separator) == 1:
        try:
            row = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
        except csv.Error:
            row = line.split(separator)
        return [value.strip() for value in row]
    return [value.strip().strip('"') for value in line.split(separator)]


def recognize(
    file: Traversable,
    head: bytes,
    *,
    separator: str | None,
    header: bool | None,
    wanted: Sequence[str],
    optional: frozenset[str],
    given: ColumnNames,
) -> tuple[Layout, list[str]]:
    """Recognize the layout from the first lines; return it and notes. Arguments that are None are detected.

    Raises:
        SourceError: there are no lines, or the columns cannot be recognized.
    """
    lines = _sample(file, head)
    skip, separator, lines = _preamble(lines, separator)
    if not lines:
        raise SourceError(f"{file} is empty")
    if separator is None and _NETFLIX_MOVIE.fullmatch(lines[0]):
        return _netflix(file, skip, wanted), []
    separator = separator or _separator(lines, given, len(wanted))
    rows = [fields(line, separator) for line in lines if line.strip()]
    if len(rows[0]) > MAX_COLUMNS:
        raise SourceError(f"{file}: more than {MAX_COLUMNS} columns")
    if header is None:
        header = _has_header(rows, given, len(wanted))
    if header:
        columns, notes = column_roles.choose(
            file, rows[0], rows[1:], wanted=wanted, optional=optional, given=given
        )
        return Layout(separator, skip + 1, columns.order, rows[0], len(rows[0])), notes
    order = _order_without_names(file, rows, wanted, optional, given)
    width = max(len(rows[0]), 1 + max(order.values()))
    return Layout(separator, skip, order, [], width), _notes_without_header(file, rows[0], order, given)


def _notes_without_header(
    file: Traversable, first: list[str], order: dict[str, int], given: ColumnNames
) -> list[str]:
    if len(order) > 1:
        return [] if given.given else [f"{file} has no header: its columns are taken as {', '.join(order)}"]
    return [] if first[0].isdecimal() else [f"{file} has no header: its first line is taken as an id"]


def _sample(file: Traversable, head: bytes) -> list[str]:
    """The first complete lines."""
    if b"\n" not in head and len(head) >= SAMPLE_BYTES:
        raise SourceError(f"{file}, line 1: longer than {SAMPLE_BYTES} bytes")
    whole = head if len(head) < SAMPLE_BYTES else head[: head.rindex(b"\n")]
    text = whole.decode("utf-8", "replace")
    return [line.rstrip("\r") for line in text.split("\n")[:SAMPLE_LINES]]


def _preamble(lines: list[str], separator: str | None) -> tuple[int, str | None, list[str]]:
    """Skip the lines before header or rows; return their number, the separator and the remaining lines.

    A line `sep=` sets the separator. In a MatrixMarket file, the line with the size of the matrix is skipped.
    """
    skip, has_size = 0, bool(lines) and _MATRIX.match(lines[0]) is not None
    while lines:
        line = lines[0]
        if match := re.fullmatch(r"\ufeff?\"?sep=(.)\"?", line.strip(), re.IGNORECASE):
            separator = separator or match[1]
        elif has_size and _SIZE.fullmatch(line):
            has_size = False
        elif line.strip() and not (_COMMENT.match(line) and recognized(re.split(r"[\s,;|:#%]+", line)) < 2):  # noqa: PLR2004
            break
        lines, skip = lines[1:], skip + 1
    return skip, separator, [without_comment(lines[0]), *lines[1:]] if lines else []


def without_comment(line: str) -> str:
    """Remove the comment mark of a header."""
    mark = _COMMENT.match(line)
    return line[mark.end() :] if mark else line


def _separator(lines: list[str], given: ColumnNames, n_wanted: int) -> str:
    """The separator with most recognized columns, then with most rows of the same number of fields."""
    rows = [line for line in lines if line.strip()]

    def merit(separator: str) -> tuple[int, float, int]:
        first = fields(rows[0], separator)
        named = recognized(first) + sum(name in first for name in given.given.values() if name)
        alike = sum(len(fields(line, separator)) == len(first) for line in rows) / len(rows)
        return named, alike if len(first) > 1 else 0.0, len(first) > 1

    best = max(SEPARATORS, key=merit)  # the first among equals
    named, _, several = merit(best)
    if n_wanted == 1 and not several:
        return ","
    if not several or not named:
        spaced = merit(SPACES)
        if spaced[2] and (not several or spaced[0] > named):
            return SPACES
    return best


def _has_header(rows: list[list[str]], given: ColumnNames, n_wanted: int) -> bool:
    """Whether the first row is a header: it has no number, and a recognized name or only words."""
    first = rows[0]
    if any(name and not name.isdecimal() and name in first for name in given.given.values()):
        return True
    if recognized(first):
        return not any(_is_value(value) for value in first)
    if n_wanted == 1 or any(_is_value(value) for value in first):
        return False
    by_place = any(name.isdecimal() for name in given.given.values())
    return not by_place or any(_is_value(value) for row in rows[1:] for value in row)


def _is_value(text: str) -> bool:
    return re.fullmatch(r"-?\d+([.,]\d+)?", text) is not None or year_last(text) is not None


def _netflix(file: Traversable, skip: int, wanted: Sequence[str]) -> Layout:
    order = {role: at for at, role in enumerate((USER, MOVIE, RATING, TIME)) if role in wanted}
    if len(wanted) < 2:  # noqa: PLR2004 - the movie and the user at least
        raise SourceError(f"{file} is in the layout of the Netflix Prize instead of a list of ids")
    return Layout(",", skip, order, ["user", "movie", "rating", "date"], 4, by_movie=True)


def _order_without_names(
    file: Traversable,
    rows: list[list[str]],
    wanted: Sequence[str],
    optional: frozenset[str],
    given: ColumnNames,
) -> dict[str, int]:
    """The places of columns without a header: those of `given`, else user, movie, rating and time."""
    n = len(rows[0])
    remedy = "Name the columns by their places: --columns user=1,movie=2,rating=3,time=4"
    if given.given:
        order = {}
        for role in wanted:
            place = given.given.get(role, "")
            if place and not (place.isdecimal() and 1 <= int(place) <= n):
                raise SourceError(f"{file} has no header and no column {shown(place)}. {remedy}")
            if place:
                order[role] = int(place) - 1
        if missing := [role for role in wanted if role not in order and role not in optional]:
            raise SourceError(f"{file} has no header, and no column is named for the {missing[0]}. {remedy}")
        return order
    if len(wanted) == len(ROLES) and n > len(wanted):
        raise SourceError(f"{file} has no header and {n} columns. {remedy}")
    order = dict(zip(wanted, range(n), strict=False))
    if missing := [role for role in wanted if role not in order and role not in optional]:
        raise SourceError(
            f"{file} has no recognized header, and no column for the {' and the '.join(missing)}; "
            f"its first line is {shown(','.join(rows[0]))}"
        )
    if RATING in order and TIME not in order and _all(rows, order[RATING], _EPOCH):
        raise SourceError(
            f"{file} has no header, and its third column looks like times, not ratings. {remedy}"
        )
    if MOVIE in order and USER in order and _movie_first(rows):
        raise SourceError(f"{file} has no header, and its first column looks like the movie. {remedy}")
    return order


def _movie_first(rows: list[list[str]]) -> bool:
    """Whether the first column has IMDb ids, or Amazon's product ids before its user ids."""
    return (_all(rows, 0, _IMDB_ID) and not _all(rows, 1, _IMDB_ID)) or (
        _all(rows, 0, _ASIN) and _all(rows, 1, _AMAZON_USER)
    )


def _all(rows: list[list[str]], at: int, pattern: re.Pattern[str]) -> bool:
    values = [row[at] for row in rows if len(row) > at]
    return bool(values) and all(pattern.fullmatch(value) for value in values)


class ByMovie(io.RawIOBase):
    """Convert a stream in the layout of the Netflix Prize to lines `user,movie,rating,date`."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._lines, self._rest = self._rows(stream), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override] # of a BufferedReader
        while len(self._rest) < len(buffer) and (rows := next(self._lines, b"")):
            self._rest += rows
        data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    @staticmethod
    def _rows(stream: io.BufferedReader) -> Iterator[bytes]:
        movie = b"\x01"  # not an id: rows before the first movie are invalid
        while lines := stream.readlines(1 << 20):
            rows = []
            for line in lines:
                plain = line.strip()
                if plain.endswith(b":"):
                    movie = plain[:-1]
                    rows.append(b"\n")
                else:
                    rows.append(plain.replace(b",", b"," + movie + b",", 1) + b"\n")
            yield b"".join(rows)
