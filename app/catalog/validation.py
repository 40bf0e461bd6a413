"""Validation of a movie's fields."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

FIRST_YEAR = 1870  # before the first movie
YEARS_AHEAD = 10
MAX_ID = 2**31 - 1
MAX_DIGITS = 20  # of an id, with leading zeros
MAX_SPACED = 4  # length of a text with its spaces, in multiples of the limit

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
            facts[name] = ([] if name in MANY else None) if value is None else RULES[name](value)
        except InvalidMovie as error:
            raise InvalidMovie(f"{camel(name)}: {error}") from None
    released, year = facts.get("release_date"), facts.get("year")
    if released is not None:
        if year is not None and year != released.year:
            raise InvalidMovie(f"year: {year} is not the year of the release date, {released.year}.")
        facts["year"] = released.year
    return facts


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


MANY = ("genres", "directors", "cast", "countries", "keywords")
RULES: dict[str, Rule] = {
    "title": a_text(300),
    "original_title": a_text(300),
    "overview": a_text(5_000),
    "collection": a_text(200),
    "year": a_year,
    "release_date": a_day,
    "runtime_minutes": a_number(1, 32_767),
    "original_language": matching("[a-z]{2,3}", "an ISO 639-1 code, such as `en`"),
    "poster_path": matching(
        r"(?:/|https://)[!-~]{1,490}", "a TMDB path, such as `/poster.jpg`, or an https URL"
    ),
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
}
