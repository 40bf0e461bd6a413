"""Events of a stream: a member, from outside, did something with a movie at a time."""

import enum
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from app.activity.feedback import CLOCK_SKEW, EARLIEST

MAX_LINE_BYTES = 16_384
MAX_TIME_LENGTH = 40
SHORTEST_TIME = len("2025-02-15T01:49")
MAX_MINUTES = 1_440  # a day
MAX_RESULTS = 100  # movies of a recommendation line
RATING = "RATING"  # the kind of a rating; other kinds are those of feedback
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Refusal(enum.StrEnum):
    """Why an event is not stored."""

    MALFORMED = "MALFORMED"
    TIME = "TIME"
    FUTURE = "FUTURE"
    MEMBER = "MEMBER"
    MOVIE = "MOVIE"
    UNKNOWN_MOVIE = "UNKNOWN_MOVIE"
    VALUE = "VALUE"


class Refused(NamedTuple):
    """A line that is not stored: the reason, and the rule it breaks, for a person to read."""

    reason: Refusal
    rule: str


class MovieName(NamedTuple):
    """A movie as an event names it: by one id, or by title and year. `external_id`: with its source."""

    movie_id: int | None = None
    imdb_id: str | None = None
    tmdb_id: int | None = None
    movielens_id: int | None = None
    title: str = ""
    year: int | None = None
    external_id: tuple[str, str] | None = None


class StreamEvent(NamedTuple):
    """An event as it arrived. `source` and `external_id` identify the member, `at` is in microseconds.

    `half_stars` is of a rating. A WATCH event has the watched `minutes` or the `fraction`.
    """

    source: str
    external_id: str
    kind: str
    movie: MovieName
    at: int
    half_stars: int | None = None
    minutes: float | None = None
    fraction: float | None = None
    request_id: UUID | None = None
    position: int | None = None
    event_id: str | None = None


class InvalidEvent(Exception):
    """Raised within a parser for a line that breaks a rule."""

    def __init__(self, reason: Refusal, rule: str) -> None:
        super().__init__(rule)
        self.refused = Refused(reason, rule)


def microseconds(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND


EARLIEST_AT = microseconds(EARLIEST)


def latest(now: datetime) -> int:
    """The latest time, in microseconds, that is not in the future."""
    return microseconds(now + CLOCK_SKEW)


def time_of(text: str, latest_at: int) -> int:
    """Parse an ISO 8601 date with time, in UTC if it has no offset. Raises InvalidEvent."""
    try:
        if not SHORTEST_TIME <= len(text) <= MAX_TIME_LENGTH or text[4] != "-":
            raise ValueError  # noqa: TRY301 - one rule for all faults
        time = datetime.fromisoformat(text)
        at = microseconds(time.replace(tzinfo=UTC) if time.tzinfo is None else time)
    except (ValueError, OverflowError):
        raise InvalidEvent(Refusal.TIME, "The time must be ISO 8601, as in 2025-02-15T01:49:06Z.") from None
    if at > latest_at:
        raise InvalidEvent(Refusal.FUTURE, "The time is more than 5 minutes in the future.")
    if at < EARLIEST_AT:
        raise InvalidEvent(Refusal.TIME, "The time is before 2000.")
    return at


def half_stars_of(value: object) -> int:
    """Convert 0.5 to 5 stars, in steps of 0.5. Raises InvalidEvent."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0.5 <= value <= 5:  # noqa: PLR2004
        half_stars = value * 2
        if half_stars == int(half_stars):
            return int(half_stars)
    raise InvalidEvent(Refusal.VALUE, "The rating must be from 0.5 to 5 stars in steps of 0.5.")
