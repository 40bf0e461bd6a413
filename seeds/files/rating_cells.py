"""Parse the cells of rating files: ids, ratings and times."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from hashlib import blake2b

from seeds.files.cells import EMPTY, EXACT_IN_FLOATS, INEXACT, MISSING, WHOLE_AS_FLOAT, CellError, yes_or_no
from seeds.titles import fold_case

MAX_ID_CHARACTERS = 200
TEXT_IDS = 1 << 62  # ids from this number on stand for texts
LIKE, DISLIKE = math.inf, -math.inf  # ratings that are yes or no

NOT_AN_ID = "is neither a whole number nor a name"
LONG_ID = f"is longer than {MAX_ID_CHARACTERS} characters"
NOT_A_RATING = "is neither a number nor yes or no"
NOT_A_TIME = "is neither seconds nor a date"
TWO_DAY_ORDERS = "is a date with the month first, while others have the day first"

_WHOLE = re.compile(r"-?(0|[1-9]\d{0,18})")
_FRACTION = re.compile(r"[-+]?\d*[.,]\d*")
_DECIMAL = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d{1,3})?")
_STARS = re.compile("(★{0,5})(½?)☆{0,5}")


@dataclass(slots=True)
class TextIds:
    """Map text ids to numbers that depend on the text alone, so that all files and models share them.

    texts: text by number. Integers are mapped to themselves.
    """

    texts: dict[int, str] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """The number of an id. Raises CellError."""
        text = text.strip()
        if _WHOLE.fullmatch(text) and text != "-0" and abs(number := int(text)) < TEXT_IDS:
            return number
        if match := WHOLE_AS_FLOAT.fullmatch(text):
            if abs(number := int(match[1])) >= EXACT_IN_FLOATS:
                raise CellError(INEXACT)
            return number
        if text in MISSING:
            raise CellError(EMPTY)
        if (
            _FRACTION.fullmatch(text)
            or text.lower().lstrip("+-") in ("inf", "infinity")
            or not text.isprintable()
        ):
            raise CellError(NOT_AN_ID)
        if len(text) > MAX_ID_CHARACTERS:
            raise CellError(LONG_ID)
        digest = int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest())
        number = TEXT_IDS | (digest & (TEXT_IDS - 1))
        if self.texts.setdefault(number, text) != text:
            raise CellError("has the same hash as another id: rename it")
        return number

    def text(self, number: int) -> str:
        return self.texts.get(number) or str(number)


def rating(text: str) -> float:
    """Parse a rating: a number, LIKE or DISLIKE. Raises CellError."""
    text = text.strip()
    if _DECIMAL.fullmatch(text):
        return float(text.replace(",", "."))
    if text in MISSING:
        raise CellError(EMPTY if text in ("", "\\N") else NOT_A_RATING)
    if (answer := yes_or_no(text)) is not None:
        return LIKE if answer else DISLIKE
    if text and (match := _STARS.fullmatch(text)):
        return len(match[1]) + 0.5 * len(match[2])
    raise CellError(NOT_A_RATING)


class DayOrder(StrEnum):
    """The order of day and month in dates such as 01/02/2014."""

    DMY = "DMY"
    MDY = "MDY"


# The names of the months in English, German, French, Spanish, Italian, Portuguese and Dutch, without accents.
_MONTHS = {
    name: number
    for number, names in enumerate((
        "jan january januar janner janvier janv enero ene gennaio gen janeiro januari",
        "feb february februar fevrier fevr febrero febbraio fevereiro fev februari",
        "mar march marz mrz mars marzo marco maart mrt",
        "apr april avril avr abril abr aprile",
        "may mai mayo maggio mag maio mei",
        "jun june juni juin junio giugno giu junho",
        "jul july juli juillet juil julio luglio lug julho",
        "aug august aout agosto ago augustus",
        "sep sept september septembre septiembre set settembre setembro",
        "oct october okt oktober octobre octubre ottobre ott outubro out",
        "nov november novembre noviembre novembro",
        "dec december dez dezember decembre diciembre dic dicembre dezembro",
    ), 1)
    for name in names.split()
}  # fmt: skip
_CLOCK = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d{1,9})?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?"
)
_ZONE = r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}})(?:[-/.年] ?)(?P<month>\d{{1,2}})(?:[-/.月] ?)(?P<day>\d{{1,2}})[.日]?{_CLOCK}{_ZONE}"
)
_YEAR_LAST = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<other>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d{{2}}){_CLOCK}{_ZONE}"
)
_WORD = r"[^\W\d_]"
_WEEKDAY = rf"(?:{_WORD}{{2,14}}\.?,?\s+)?"
_MONTH = rf"(?P<name>{_WORD}{{3,10}})\.?"
_DAY_MONTH = re.compile(
    rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|º|\.)?[- ]+(?:de )?{_MONTH}[-, ]+(?:de )?"
    rf"(?P<year>\d{{4}}|\d{{2}}){_CLOCK}{_ZONE}",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    rf"{_WEEKDAY}{_MONTH}[- ]+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[-, ]+(?P<year>\d{{4}}){_CLOCK}{_ZONE}",
    re.IGNORECASE,
)
# The format of C's `ctime` and of Twitter, with the year after the time of day.
_C_TIME = re.compile(
    rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})\s+(?P<hour>\d{{2}}):(?P<minute>\d{{2}}):(?P<second>\d{{2}})"
    r"\s+(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?\s*(?P<year>\d{4})(?P<half>)",
    re.IGNORECASE,
)
_AMAZON = re.compile(rf"(?P<month>\d{{1,2}}) (?P<day>\d{{1,2}}), (?P<year>\d{{4}}){_CLOCK}{_ZONE}")
_NAMED = (_YEAR_FIRST, _DAY_MONTH, _MONTH_DAY, _C_TIME, _AMAZON)
MAX_TIME_CHARACTERS = 64
_PIVOT = 70  # two-digit years from 70 on are in the 20th century


@dataclass(slots=True)
class Times:
    """Parses dates to seconds since 1970, and numbers unchanged.

    order: of day and month, if it is known. At the first ambiguous date, `find_order` finds it in the file,
    or raises an error.
    """

    order: DayOrder | None
    find_order: Callable[[], DayOrder]

    def read(self, text: str) -> tuple[float, bool]:
        """Parse a time; return it and whether it was a date. Raises CellError."""
        text = text.strip()
        if _DECIMAL.fullmatch(text):
            return float(text.replace(",", ".")), False
        if text in MISSING:
            raise CellError(EMPTY)
        if len(text) > MAX_TIME_CHARACTERS:
            raise CellError(NOT_A_TIME)
        try:
            if match := _YEAR_LAST.fullmatch(text):
                return self._year_last(match), True
            return date_in(text).timestamp(), True
        except (ValueError, OverflowError) as error:
            raise error if isinstance(error, CellError) else CellError(NOT_A_TIME) from None

    def _year_last(self, match: re.Match[str]) -> float:
        found = day_order_of(match)
        if self.order is None:
            self.order = found or self.find_order()
        if found is not None and found != self.order:
            raise CellError(TWO_DAY_ORDERS if found is DayOrder.MDY else NOT_A_TIME)
        day, month = (1, 3) if self.order is DayOrder.DMY else (3, 1)
        return time_of(match, day=int(match[day]), month=int(match[month])).timestamp()


def date_in(text: str) -> datetime:
    """Parse a date that shows the order of its parts, with or without a time of day; in UTC without a zone.

    Raises ValueError for other texts.
    """
    if len(text) > MAX_TIME_CHARACTERS:
        raise ValueError(NOT_A_TIME)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        for pattern in _NAMED:
            if match := pattern.fullmatch(text):
                return time_of(match)
        raise
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def is_date(text: str) -> bool:
    if year_last(text) is not None:
        return True
    try:
        date_in(text)
    except (ValueError, OverflowError):
        return False
    return True


def year_last(text: str) -> re.Match[str] | None:
    """Match a numeric date with the year last. Groups 1 and 3 are day and month in either order."""
    return _YEAR_LAST.fullmatch(text.strip()) if len(text) <= MAX_TIME_CHARACTERS else None


def day_order_of(match: re.Match[str]) -> DayOrder | None:
    """The order that one date shows by a number above 12; None without one."""
    first, other = int(match["first"]), int(match["other"])
    if first > 12 >= other:  # noqa: PLR2004 - months
        return DayOrder.DMY
    if other > 12 >= first:  # noqa: PLR2004 - months
        return DayOrder.MDY
    return None


def time_of(match: re.Match[str], *, day: int | None = None, month: int | None = None) -> datetime:
    """Convert the match of a date to a time with a zone. Raises ValueError."""
    parts = match.groupdict()
    year = int(parts["year"])
    if len(parts["year"]) == 2:  # noqa: PLR2004 - digits
        year += 1900 if year >= _PIVOT else 2000
    if month is None:
        name = parts.get("name")
        month = int(parts["month"]) if name is None else _MONTHS.get(fold_case(name), 0)
    hour = int(parts.get("hour") or 0)
    if half := parts.get("half"):
        if not 1 <= hour <= 12:  # noqa: PLR2004 - hours with am or pm
            raise ValueError(match[0])
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    return datetime(
        year, month, day or int(parts["day"]),
        hour, int(parts.get("minute") or 0), int(parts.get("second") or 0), tzinfo=_zone(parts.get("zone")),
    )  # fmt: skip


def _zone(text: str | None) -> timezone:
    if text is None or text[0] not in "+-":
        return UTC
    minutes = 60 * int(text[1:3]) + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
