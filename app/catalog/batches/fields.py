"""The columns of a file of movies, and their values as fields of a movie."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson

from app.catalog.validation import InvalidMovie, camel
from seeds.files import cells
from seeds.files.cells import CellError
from seeds.files.named_columns import NamedColumns

EXTERNAL_ID = "external_id"
# Names of each field in order of precedence, without case and punctuation.
KNOWN: Mapping[str, Sequence[str]] = {
    EXTERNAL_ID: [
        "id",
        "externalid",
        "sku",
        "movieid",
        "itemid",
        "contentid",
        "titleid",
        "assetid",
        "filmid",
        "productid",
        "uuid",
        "guid",
    ],
    "title": ["title", "name", "movietitle", "filmtitle", "primarytitle"],
    "original_title": ["originaltitle", "originalname"],
    "localized_titles": ["localizedtitles", "localisedtitles", "translatedtitles"],
    "overview": ["overview", "description", "synopsis", "plot", "summary"],
    "genres": ["genres", "genre", "categories", "category"],
    "year": ["year", "releaseyear", "startyear"],
    "release_date": ["releasedate", "released", "premiere", "premieredate"],
    "runtime_minutes": ["runtimeminutes", "runtime", "duration", "durationminutes", "lengthminutes"],
    "original_language": ["originallanguage", "language", "lang"],
    "countries": ["countries", "country", "productioncountries"],
    "keywords": ["keywords", "tags", "themes"],
    "collection": ["collection", "franchise", "series"],
    "directors": ["directors", "director", "directedby"],
    "cast": ["cast", "actors", "actor", "starring", "stars"],
    "popularity": ["popularity"],
    "vote_average": ["voteaverage", "averagevote"],
    "vote_count": ["votecount", "votes", "numvotes"],
    "poster_path": ["posterpath", "posterurl", "poster"],
    "backdrop_path": ["backdroppath", "backdropurl", "backdrop"],
    "trailer_url": ["trailerurl", "trailer"],
    "tagline": ["tagline", "slogan"],
    "certification": ["certification", "agerating", "contentrating"],
    "imdb_id": ["imdbid", "imdb", "tconst"],
    "tmdb_id": ["tmdbid", "tmdb"],
    "movielens_id": ["movielensid", "movielens"],
    "attributes": ["attributes", "metadata", "extra"],
}


def a_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidMovie("it must be a text.")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def a_whole_number(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return cells.whole_number(a_text(value))


def a_number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return cells.number(a_text(value))


def a_day(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else cells.day(a_text(value))


def a_list(value: Any) -> list[str]:
    """Names of a list, of a JSON list, or of a text that bars, semicolons or else commas separate."""
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            return a_list(parsed(value))
        mark = next((mark for mark in "|;" if mark in value), ",")
        return [part.strip() for part in value.split(mark) if part.strip()]
    if not isinstance(value, list | tuple):
        raise InvalidMovie("it must be a list.")
    return [a_text(each) for each in value]


def countries(value: Any) -> list[str]:
    return [cells.country_code(name) or name for name in a_list(value)]


def an_imdb_id(value: Any) -> str:
    return cells.imdb_id(a_text(value))


def a_language(value: Any) -> str:
    return a_text(value).strip().lower()


def an_object(value: Any) -> Any:
    return parsed(value) if isinstance(value, str) else value


def titles(value: Any) -> dict[str, str]:
    """Titles by language, of an object or of its text as JSON."""
    found = an_object(value)
    if not isinstance(found, dict):
        raise InvalidMovie("it must be an object of titles by language.")
    return {a_language(code): a_text(title) for code, title in found.items()}


def parsed(value: str) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise InvalidMovie("it is not JSON.") from None


READ: Mapping[str, Callable[[Any], Any]] = {
    "year": a_whole_number,
    "runtime_minutes": a_whole_number,
    "vote_count": a_whole_number,
    "popularity": a_number,
    "vote_average": a_number,
    "release_date": a_day,
    "genres": a_list,
    "directors": a_list,
    "cast": a_list,
    "keywords": a_list,
    "countries": countries,
    "imdb_id": an_imdb_id,
    "original_language": a_language,
    "localized_titles": titles,
    "attributes": an_object,
}


COLUMNS = NamedColumns(KNOWN, needed=[EXTERNAL_ID])


def fields_of(record: Mapping[str, Any], names: NamedColumns, *, is_text: bool) -> tuple[str, dict[str, Any]]:
    """The external id and the fields of a record. Raises InvalidMovie, which names the field.

    is_text: an empty value is left out. Otherwise null clears the field.
    """
    fields: dict[str, Any] = {}
    for role, column in names.layout(list(record)).items():
        value = record[column]
        if value is None or (is_text and not value.strip()):
            if not is_text and role != EXTERNAL_ID:
                fields[role] = None
            continue
        try:
            read: Callable[[Any], Any] = READ.get(role, a_text)
            fields[role] = read(value)
        except InvalidMovie as error:
            raise InvalidMovie(f"{camel(role)}: {error}") from None
        except CellError as error:
            raise InvalidMovie(f"{camel(role)}: it {error}.") from None
    more = {name: record[name] for name in names.further if record.get(name) not in (None, "")}
    if more:
        fields["attributes"] = {**(fields.get("attributes") or {}), **more}
    return fields.pop(EXTERNAL_ID, ""), fields
