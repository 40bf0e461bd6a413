"""Validation of a movie's fields."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import orjson

FIRST_YEAR = 1870  # before the first movie
YEARS_AHEAD = 10
MAX_ID = 2**31 - 1
MAX_DIGITS = 20  # of an id, with leading zeros
MAX_SPACED = 4  # length of a text with its spaces, in multiples of the limit
MAX_ATTRIBUTES = 50
MAX_ATTRIBUTE_NAME = 50  # characters
MAX_ATTRIBUTE_DEPTH = 4  # of lists and objects, with the attributes themselves
MAX_ATTRIBUTE_CHARACTERS = 4_000  # of all attributes as JSON
MAX_EXTERNAL_ID = 200  # characters
MAX_LANGUAGES = 100  # of the title

NO_TITLE = "title: a movie needs a title."

Rule = Callable[[Any], Any]


class InvalidMovie(Exception):
    """An expected failure; its message is shown to the client and names the field and the rule."""


def checked(fields: Mapping[str, Any], *, complete: bool = False) -> dict[str, Any]:
    """Validate a movie's fields and normalize them: trim texts, deduplicate names, set the release year.

    fields: any of RULES by name; None is an unknown value. complete: requires a title. Raises InvalidMovie.
    """
    if complete and "title" not in fields:
        raise InvalidMovie(NO_TITLE)
    facts: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None and name == "title":
            raise InvalidMovie(NO_TITLE)
        try:
            facts[name] = empty(name) if value is None else RULES[name](value)
        except InvalidMovie as error:
            raise InvalidMovie(f"{camel(name)}: {error}") from None
    released, year = facts.get("release_date"), facts.get("year")
    if released is not None:
        if year is not None and year != released.year:
            raise InvalidMovie(f"year: {year} is not the year of the release date, {released.year}.")
        facts["year"] = released.year
    return facts


def empty(name: str) -> Any:
    """The value of a field that is cleared."""
    return [] if name in MANY else {} if name in OBJECTS else None


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def a_text(most: int) -> Rule:
    def rule(value: str) -> str:
        text = " ".join(value.split()) if len(value) <= MAX_SPACED * most else value
        if not text:
            raise InvalidMovie("it is empty.")
        if len(text) > most:
            raise InvalidMovie(f"it has {len(text):,} characters; the limit is {most:,}.")
        if not text.isprintable():  # Postgres stores neither NUL nor lone surrogates
            raise InvalidMovie("it has unprintable characters.")
        return text

    return rule


def names(most: int, of: Rule) -> Rule:
    def rule(values: list[str]) -> list[str]:
        if len(values) > most:
            raise InvalidMovie(f"there are {len(values):,}; the limit is {most}.")
        return list(dict.fromkeys(map(of, values)))

    return rule


def matching(pattern: str, wording: str) -> Rule:
    def rule(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise InvalidMovie(f"it must be {wording}.")
        return value

    return rule


def a_number(low: float, high: float) -> Rule:
    def rule(value: float) -> float:
        if not math.isfinite(value) or not low <= value <= high:
            raise InvalidMovie(f"it must be a number from {low:,} to {high:,}.")
        return value

    return rule


def a_year(value: int) -> int:
    last = datetime.now(UTC).year + YEARS_AHEAD
    if not FIRST_YEAR <= value <= last:
        raise InvalidMovie(f"it must be a year from {FIRST_YEAR} to {last}.")
    return value


def a_day(value: date) -> date:
    a_year(value.year)
    return value


def an_id(value: str) -> int:
    if len(value) > MAX_DIGITS or not (value.isascii() and value.isdigit() and 0 < int(value) <= MAX_ID):
        raise InvalidMovie(f"it must be a whole number from 1 to {MAX_ID}.")
    return int(value)


def localized_titles(value: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """Check titles by language."""
    pairs = list(value.items() if isinstance(value, Mapping) else value)
    if len(pairs) > MAX_LANGUAGES:
        raise InvalidMovie(f"there are {len(pairs):,}; the limit is {MAX_LANGUAGES}.")
    found: dict[str, str] = {}
    for code, title in pairs:
        if LANGUAGE(code) in found:
            raise InvalidMovie(f"the language {code} has two titles.")
        found[code] = TITLE(title)
    return found


def attributes(value: Any) -> dict[str, Any]:
    """Check attributes: an object of bounded size and depth, of values that Postgres can store."""
    if not isinstance(value, dict):
        raise InvalidMovie("it must be an object.")
    if len(value) > MAX_ATTRIBUTES:
        raise InvalidMovie(f"there are {len(value):,}; the limit is {MAX_ATTRIBUTES}.")
    if any(not 0 < len(name) <= MAX_ATTRIBUTE_NAME for name in value):
        raise InvalidMovie(f"a name must have 1 to {MAX_ATTRIBUTE_NAME} characters.")
    left: list[tuple[Any, int]] = [(value, 1)]
    size = 0
    while left:
        part, depth = left.pop()
        size += len(part) if isinstance(part, str) else 1
        if size > MAX_ATTRIBUTE_CHARACTERS:
            raise InvalidMovie(TOO_LARGE)
        left += [(each, depth + 1) for each in _inner(part, depth)]
    try:
        whole = orjson.dumps(value)
    except (TypeError, ValueError):  # an integer beyond 64 bits
        raise InvalidMovie("it has a value that is not JSON.") from None
    if len(whole.decode()) > MAX_ATTRIBUTE_CHARACTERS:
        raise InvalidMovie(TOO_LARGE)
    return value


def _inner(part: Any, depth: int) -> list[Any]:
    """The parts of a list or an object. Raises InvalidMovie for a value that Postgres cannot store."""
    if isinstance(part, str) and not part.replace("\n", "").isprintable():
        raise InvalidMovie("it has unprintable characters.")
    if isinstance(part, float) and not math.isfinite(part):
        raise InvalidMovie("it has a number that is not finite.")
    if not isinstance(part, dict | list):
        return []
    if depth > MAX_ATTRIBUTE_DEPTH:
        raise InvalidMovie(f"it is nested deeper than {MAX_ATTRIBUTE_DEPTH} levels.")
    return [*part, *part.values()] if isinstance(part, dict) else part


TOO_LARGE = f"it has more than {MAX_ATTRIBUTE_CHARACTERS:,} characters as JSON."


def external_id(value: str) -> str:
    text = value.strip() if len(value) <= MAX_SPACED * MAX_EXTERNAL_ID else value
    if not 0 < len(text) <= MAX_EXTERNAL_ID or not text.isprintable():
        raise InvalidMovie(f"externalId: it must have 1 to {MAX_EXTERNAL_ID} printable characters.")
    return text


def source(value: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", value) is None:
        raise InvalidMovie("source: it must have 1 to 64 lower-case letters, digits and `.`, `_` or `-`.")
    return value


PICTURE = r"(?:/|https://)[!-~]{1,490}"
MANY = ("genres", "directors", "cast", "countries", "keywords")
OBJECTS = ("localized_titles", "attributes")
TITLE = a_text(300)
LANGUAGE = matching("[a-z]{2,3}", "an ISO 639-1 code, such as `en`")
RULES: dict[str, Rule] = {
    "title": TITLE,
    "original_title": TITLE,
    "localized_titles": localized_titles,
    "overview": a_text(5_000),
    "collection": a_text(200),
    "year": a_year,
    "release_date": a_day,
    "runtime_minutes": a_number(1, 32_767),
    "original_language": LANGUAGE,
    "poster_path": matching(PICTURE, "a TMDB path, such as `/poster.jpg`, or an https URL"),
    "backdrop_path": matching(PICTURE, "a TMDB path, such as `/backdrop.jpg`, or an https URL"),
    "trailer_url": matching(r"https://[!-~]{1,490}", "an https URL"),
    "tagline": a_text(300),
    "certification": a_text(20),
    "popularity": a_number(0, 1e6),
    "vote_average": a_number(0, 10),
    "vote_count": a_number(0, MAX_ID),
    "imdb_id": matching("tt[0-9]{7,10}", "an IMDb id, such as `tt0133093`"),
    "tmdb_id": an_id,
    "movielens_id": an_id,
    "genres": names(10, a_text(50)),
    "directors": names(20, a_text(200)),
    "cast": names(100, a_text(200)),
    "countries": names(30, matching("[A-Z]{2}", "ISO 3166-1 codes, such as `FR`")),
    "keywords": names(100, a_text(100)),
    "attributes": attributes,
}
