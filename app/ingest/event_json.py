"""Parse JSON events, version 1, as docs/events.schema.json describes them."""

import math
from base64 import b64decode
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from app.accounts.external_members import MAX_ID_LENGTH, MAX_SOURCE_LENGTH, is_external_id, is_source
from app.activity.feedback import MAX_KEY_LENGTH, MAX_POSITION, Kind
from app.ingest.rows import LONGEST_TITLE
from app.ingest.stream_events import (
    MAX_MINUTES,
    RATING,
    InvalidEvent,
    MovieName,
    Refusal,
    StreamEvent,
    half_stars_of,
    time_of,
)
from app.ingest.values import FIRST_YEAR, LARGEST_ID, LAST_YEAR, LONGEST_VALUE, imdb_id_of

VERSION = 1
KINDS = {"rating": RATING, **{kind.value.lower(): kind.value for kind in Kind}}
KIND_RULE = f"The kind must be one of {', '.join(KINDS)}."
MOVIE_RULE = "The movie must have an id, externalId, imdbId, tmdbId or movielensId, or a title with a year."
USER_RULE = (
    f"The user must be an integer or a text of 1 to {MAX_ID_LENGTH} characters without control characters "
    "and outer spaces."
)
KEY_RULE = f"The id must be a text of 1 to {MAX_KEY_LENGTH} printable characters."
MOST_DIGITS = 18
MAX_EXTERNAL_ID = 200


@lru_cache(1024)
def known_source(text: str) -> bool:
    return is_source(text)


def events_in(line: str | bytes, source: str, latest_at: int) -> list[StreamEvent]:
    """The event of a line, which belongs to the stream's source unless it names one. Raises InvalidEvent."""
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent(Refusal.MALFORMED, f"It is not JSON: {error.msg[:LONGEST_VALUE]}.") from None
    if not isinstance(data, dict) or data.get("version") != VERSION or data["version"] is True:
        raise InvalidEvent(Refusal.MALFORMED, f"It must be an object with the version {VERSION}.")
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidEvent(Refusal.MALFORMED, KIND_RULE)
    own_source = data.get("source", source)
    if not isinstance(own_source, str) or not known_source(own_source[: MAX_SOURCE_LENGTH + 1]):
        raise InvalidEvent(
            Refusal.MALFORMED,
            "The source must have 1 to 64 lower-case letters, digits and `.`, `_` or `-`.",
        )
    time = data.get("time")
    if not isinstance(time, str):
        raise InvalidEvent(Refusal.TIME, "The time must be a text.")
    half_stars = minutes = fraction = None
    if kind == "rating":
        half_stars = half_stars_of(data.get("value"))
    elif kind == "watch":
        minutes, fraction = watched_in(data)
    return [
        StreamEvent(
            own_source,
            member_of(data.get("user")),
            KINDS[kind],
            movie_of(data.get("movie"), own_source),
            time_of(time, latest_at),
            half_stars,
            minutes,
            fraction,
            request_id_of(data.get("requestId")),
            position_of(data.get("position")),
            event_id_of(data.get("id")),
        )
    ]


def pair_in(line: str, source: str) -> tuple[str, str]:
    """The source and user of a line that may break other rules. Raises InvalidEvent."""
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError:
        data = {}
    own_source = data.get("source", source)
    known = isinstance(own_source, str) and known_source(own_source[: MAX_SOURCE_LENGTH + 1])
    return own_source if known else source, member_of(data.get("user"))


def member_of(user: object) -> str:
    if isinstance(user, int) and not isinstance(user, bool) and abs(user) < 10**MOST_DIGITS:
        return str(user)
    if not is_external_id(user):
        raise InvalidEvent(Refusal.MEMBER, USER_RULE)
    return str(user)


def is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most and value.isprintable()


def event_id_of(value: object) -> str | None:
    if value is not None and not is_text(value, MAX_KEY_LENGTH):
        raise InvalidEvent(Refusal.MALFORMED, KEY_RULE)
    return None if value is None else str(value)


def request_id_of(value: object) -> UUID | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and len(value) == len(str(UUID(int=0))):
            return UUID(value)
    except ValueError:
        pass
    raise InvalidEvent(Refusal.MALFORMED, "The requestId must be that of a list.")


def position_of(value: object) -> int | None:
    if value is None or (is_integer(value) and 0 <= value <= MAX_POSITION):  # type: ignore[operator]
        return value  # type: ignore[return-value]
    raise InvalidEvent(Refusal.VALUE, f"The position must be from 0 to {MAX_POSITION}.")


def is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def watched_in(data: dict[str, Any]) -> tuple[float | None, float | None]:
    """The watched minutes and fraction; one is None. Raises InvalidEvent."""
    minutes, fraction = data.get("minutes"), data.get("fraction")
    if (minutes is None) == (fraction is None):
        raise InvalidEvent(Refusal.VALUE, "A watch event must have either minutes or a fraction.")
    value, most = (fraction, 1) if minutes is None else (minutes, MAX_MINUTES)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        name = "fraction" if minutes is None else "minutes"
        raise InvalidEvent(Refusal.VALUE, f"The {name} must be from 0 to {most}.")
    assert math.isfinite(value)
    return minutes, fraction


def movie_of(value: object, source: str) -> MovieName:
    """The movie that the object names: by the first id it has, else by title and year."""
    if not isinstance(value, dict):
        raise InvalidEvent(Refusal.MOVIE, MOVIE_RULE)
    if value.get("id") is None and value.get("externalId") is not None:
        return MovieName(external_id=(source, external_id(value["externalId"])))
    for name, read in IDS.items():
        if value.get(name) is not None:
            return read(value[name])
    title, year = value.get("title"), value.get("year")
    if not is_text(title, LONGEST_TITLE) or not is_integer(year):
        raise InvalidEvent(Refusal.MOVIE, MOVIE_RULE)
    if not FIRST_YEAR <= year <= LAST_YEAR:  # type: ignore[operator]
        raise InvalidEvent(Refusal.MOVIE, f"The year must be from {FIRST_YEAR} to {LAST_YEAR}.")
    return MovieName(title=str(title), year=year)


def external_id(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MOST_DIGITS:
        return str(value)
    if is_text(value, MAX_EXTERNAL_ID):
        return str(value)
    raise InvalidEvent(
        Refusal.MOVIE,
        f"The externalId must be an integer or a text of 1 to {MAX_EXTERNAL_ID} characters.",
    )


def own_id(value: object) -> MovieName:
    if isinstance(value, str) and (movie_id := _own_id(value[: LONGEST_VALUE + 1])):
        return MovieName(movie_id=movie_id)
    raise InvalidEvent(Refusal.MOVIE, "The movie's id must be an id of the API.")


@lru_cache(65_536)
def _own_id(text: str) -> int | None:
    """The number in a global id of the API, the Base64 of `Movie:12`; None for other texts."""
    try:
        kind, _, digits = b64decode(text, validate=True).decode("ascii").partition(":")
    except ValueError:
        return None
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS
    return int(digits) if kind == "Movie" and is_number else None


def imdb_id(value: object) -> MovieName:
    found = imdb_id_of(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidEvent(Refusal.MOVIE, "The imdbId must be as in tt0133093.")
    return MovieName(imdb_id=found)


def number_of(value: object, name: str) -> int:
    if is_integer(value) and 0 < value < LARGEST_ID:  # type: ignore[operator]
        return value  # type: ignore[return-value]
    raise InvalidEvent(Refusal.MOVIE, f"The {name} must be a positive integer.")


IDS: dict[str, Callable[[object], MovieName]] = {
    "id": own_id,
    "imdbId": imdb_id,
    "tmdbId": lambda value: MovieName(tmdb_id=number_of(value, "tmdbId")),
    "movielensId": lambda value: MovieName(movielens_id=number_of(value, "movielensId")),
}
