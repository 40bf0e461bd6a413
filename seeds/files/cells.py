"""Parse cells of data sets: numbers, ids, booleans, dates and lists, in various notations.

Every parser raises CellError with the rule that the cell breaks.
"""

import math
import re
import tomllib
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files

EXACT_IN_FLOATS = 1 << 53
MAX_INTEGER = (1 << 31) - 1  # of a column in Postgres
MAX_NUMBER = 1e9  # of popularity and similar values
MAX_NAME = 200  # characters of a name of a person, genre, keyword or collection
MAX_TEXT = 20_000  # characters of an overview
MAX_LIST = 300  # genres, keywords or countries of one movie

EMPTY = "is empty"
NOT_WHOLE = "is not a whole number"
NOT_A_NUMBER = "is not a number"
INEXACT = "is a whole number that lost digits as a float"
OUT_OF_RANGE = "is out of range"
NOT_YES_OR_NO = "is neither yes nor no"
NOT_A_DAY = "is not a date"
NOT_AN_IMDB_ID = "is not an IMDb id"
NOT_A_LIST = "is not a list of names"
TOO_LONG = "is too long"

MISSING = frozenset({"", "nan", "NaN", "NAN", "null", "NULL", "None", "<NA>", "NA", "N/A", "\\N"})
WHOLE_AS_FLOAT = re.compile(r"(-?\d{1,19})[.,]0*")
_YES = frozenset(
    {"true", "t", "yes", "y", "like", "liked", "likes", "up", "positive", "thumbs up", "recommended"}
)
_NO = frozenset(
    {
        "false",
        "f",
        "no",
        "n",
        "dislike",
        "disliked",
        "dislikes",
        "down",
        "negative",
        "thumbs down",
        "not recommended",
    }
)
_IMDB_ID = re.compile(r"(?:https?://(?:\w+\.)?imdb\.com/title/)?tt(\d{1,10})/?")
_DAY = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].{0,30})?")
_DAY_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?:[T ].{0,30})?")


class CellError(ValueError):
    """The cell is invalid. The message is the rule that it breaks."""


def whole_number(text: str) -> int:
    """Parse an integer, also written as `007`, or as `7.0` by pandas."""
    text = text.strip()
    if text in MISSING:
        raise CellError(EMPTY)
    if re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        return int(text)
    if match := WHOLE_AS_FLOAT.fullmatch(text):
        if abs(int(match[1])) >= EXACT_IN_FLOATS:
            raise CellError(INEXACT)
        return int(match[1])
    raise CellError(NOT_WHOLE)


def row_id(text: str) -> int:
    """Parse the id of a movie: positive, and at most MAX_INTEGER."""
    number = whole_number(text)
    if not 0 < number <= MAX_INTEGER:
        raise CellError(OUT_OF_RANGE)
    return number


def number(text: str) -> float:
    """Parse a number: finite, and at most MAX_NUMBER."""
    try:
        value = float(text.strip())
    except ValueError:
        raise CellError(NOT_A_NUMBER) from None
    if not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise CellError(OUT_OF_RANGE)
    return value


def yes_or_no(text: str) -> bool | None:
    """Parse yes or no in words; None for other text."""
    plain = " ".join(text.strip().lower().replace("_", " ").split())
    return True if plain in _YES else False if plain in _NO else None


def truth(text: str) -> bool:
    """Parse yes or no in words, or 1 or 0."""
    if (answer := yes_or_no(text)) is not None:
        return answer
    if text.strip() in ("1", "1.0", "0", "0.0"):
        return text.strip()[0] == "1"
    raise CellError(NOT_YES_OR_NO)


def imdb_id(text: str) -> str:
    """Parse an IMDb id: `tt0114709`, its URL, or its number alone."""
    text = text.strip()
    if match := _IMDB_ID.fullmatch(text):
        digits = int(match[1])
    else:
        try:
            digits = whole_number(text)
        except CellError:
            raise CellError(NOT_AN_IMDB_ID) from None
    if not 0 < digits <= MAX_INTEGER:
        raise CellError(NOT_AN_IMDB_ID)
    return f"tt{digits:07d}"


def day(text: str) -> date:
    """Parse a date, or date and time, with the year first.

    The year may be last if only one order of day and month is possible.
    """
    text = text.strip()
    try:
        if match := _DAY.fullmatch(text):
            return date(int(match[1]), int(match[2]), int(match[3]))
        if match := _DAY_LAST.fullmatch(text):
            first, second = int(match[1]), int(match[2])
            if min(first, second) <= 12 < max(first, second) or first == second:  # noqa: PLR2004 - months
                return date(int(match[3]), min(first, second), max(first, second))
        elif re.fullmatch(r"\d{8}", text, re.ASCII):
            return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        pass
    raise CellError(NOT_A_DAY)


def name(value: object) -> str:
    """Normalize a name to one line of printable characters; "" for a value that is not text."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    plain = one_line(str(value)[: MAX_NAME + 1])
    if len(plain) > MAX_NAME:
        raise CellError(TOO_LONG)
    return plain


def one_line(value: str) -> str:
    """Replace control characters and repeated spaces by single spaces."""
    plain = "".join(char if char.isprintable() else " " for char in value)
    return " ".join(plain.split())


def text(value: str) -> str:
    """Normalize text with line breaks: remove what Postgres cannot store."""
    if len(value) > MAX_TEXT:
        raise CellError(TOO_LONG)
    return value.replace("\0", "").encode("utf-8", "ignore").decode()


def plain_list(value: str) -> tuple[str, ...]:
    """Split distinct names at commas, bars or semicolons. Every name must have a letter."""
    mark = "|" if "|" in value else ";" if ";" in value else ","
    found = tuple(dict.fromkeys(part for part in map(name, value.split(mark)) if part))
    if len(found) > MAX_LIST or not all(any(char.isalpha() for char in part) for part in found):
        raise CellError(NOT_A_LIST)
    return found


@cache
def _country_codes() -> dict[str, str]:
    source = files("seeds").joinpath("countries.toml").read_text(encoding="utf-8")
    return {country.casefold(): code for country, code in tomllib.loads(source).items()}


def country_code(value: str) -> str | None:
    """The ISO 3166-1 alpha-2 code of a code or English name; None for an unknown one."""
    plain = value.strip()
    if re.fullmatch(r"[A-Z]{2}", plain):
        return plain
    return _country_codes().get(plain.casefold())
