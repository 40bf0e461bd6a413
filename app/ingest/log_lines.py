"""Parse lines of classic movie logs: `TIME,USER,GET /rate/TITLE+YEAR=STARS` and others.

2025-02-15T01:49:06,52141,GET /rate/criminal+2004=4
2025-02-15T01:49:07,52141,GET /data/m/the+matrix+1999/17.mpg
2025-02-15T01:49:08,52141,recommendation request host:8082, status 200, result: alien+1979, heat+1995, 45 ms
"""

import re
from functools import lru_cache
from urllib.parse import unquote_plus

from app.activity.feedback import Kind
from app.ingest.rows import LONGEST_TITLE
from app.ingest.stream_events import (
    MAX_MINUTES,
    MAX_RESULTS,
    RATING,
    InvalidEvent,
    MovieName,
    Refusal,
    StreamEvent,
    half_stars_of,
    time_of,
)
from app.ingest.values import FIRST_YEAR, LAST_YEAR

RATE, WATCH, RECOMMENDATIONS = "GET /rate/", "GET /data/m/", "recommendation request"
MAX_USER_DIGITS = 18
LONGEST_NAME = 3 * LONGEST_TITLE  # with %20 for a space
_NAMED_BY_YEAR = re.compile(r"(.{1,300}) (\d{4})")
_STARS = re.compile(r"\d(?:\.\d)?")
_MINUTE = re.compile(r"(\d{1,6})\.mpg")
_STATUS = re.compile(r"status (\d{3})")
_DURATION = re.compile(r"\d{1,9}(?:\.\d{1,9})? ?ms")
MOVIE_RULE = "The movie must be named by title and year, as in the+matrix+1999."


def events_in(line: str, source: str, latest_at: int) -> list[StreamEvent]:
    """The events of a line; none for a recommendation request that failed. Raises InvalidEvent."""
    parts = line.split(",", 2)
    if len(parts) != 3:  # noqa: PLR2004 - time, user, request
        raise InvalidEvent(Refusal.MALFORMED, "A line must have a time, a user and a request.")
    time, user, request = parts
    at = time_of(time.strip(), latest_at)
    user = valid_user(user)
    request = request.strip()
    if request.startswith(WATCH):
        name, _, piece = request[len(WATCH) :].rpartition("/")
        match = _MINUTE.fullmatch(piece)
        if match is None or int(match[1]) > MAX_MINUTES:
            raise InvalidEvent(
                Refusal.VALUE, f"The minute must be a number of at most {MAX_MINUTES}, as in 17.mpg."
            )
        return [StreamEvent(source, user, Kind.WATCH.value, movie_of(name), at, minutes=int(match[1]))]
    if request.startswith(RATE):
        name, _, stars = request[len(RATE) :].rpartition("=")
        half_stars = half_stars_of(float(stars) if _STARS.fullmatch(stars) else None)
        return [StreamEvent(source, user, RATING, movie_of(name), at, half_stars=half_stars)]
    if request.startswith(RECOMMENDATIONS):
        return [
            StreamEvent(source, user, Kind.IMPRESSION.value, movie, at, position=position)
            for position, movie in enumerate(shown_in(request))
        ]
    raise InvalidEvent(
        Refusal.MALFORMED, "The request must be a rating, a watched minute or recommendations."
    )


def user_in(line: str) -> str:
    """The user of a line that may break other rules. Raises InvalidEvent."""
    return valid_user(line.split(",", 2)[1] if "," in line else "")


def valid_user(text: str) -> str:
    user = text.strip()
    if not (user.isascii() and user.isdigit() and len(user) <= MAX_USER_DIGITS):
        raise InvalidEvent(Refusal.MEMBER, f"The user must be a number of at most {MAX_USER_DIGITS} digits.")
    return user


def movie_of(name: str) -> MovieName:
    """The movie of `the+matrix+1999`. Raises InvalidEvent."""
    movie = _movie_of(name) if len(name) <= LONGEST_NAME else None
    if movie is None:
        raise InvalidEvent(Refusal.MOVIE, MOVIE_RULE)
    return movie


@lru_cache(16_384)
def _movie_of(name: str) -> MovieName | None:
    match = _NAMED_BY_YEAR.fullmatch(unquote_plus(name).strip())
    if match is None or not FIRST_YEAR <= int(match[2]) <= LAST_YEAR:
        return None
    return MovieName(title=match[1].strip(), year=int(match[2]))


def shown_in(request: str) -> list[MovieName]:
    """The movies of a recommendation request; none unless its status is 200. Raises InvalidEvent."""
    status = _STATUS.search(request)
    if status is None:
        raise InvalidEvent(Refusal.MALFORMED, "A recommendation request must have a status.")
    if status[1] != "200":
        return []
    _, found, result = request[status.end() :].partition("result:")
    if not found:
        raise InvalidEvent(Refusal.MALFORMED, "A recommendation request with status 200 must have a result.")
    names = [name for part in result.split(",") if (name := part.strip())]
    if names and _DURATION.fullmatch(names[-1]):
        names.pop()
    if len(names) > MAX_RESULTS:
        raise InvalidEvent(Refusal.VALUE, f"A recommendation request must have at most {MAX_RESULTS} movies.")
    return [movie_of(name) for name in names]
