"""Load the bundled catalog with its simulated members."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

import numpy as np

from recommender.progress import Progress
from seeds.files.report import Report, SourceError, quiet
from seeds.movies import Credit, Movie, titles_from
from seeds.simulator import DATASET_VERSION, simulate
from seeds.store.bulk_copy import store_ratings
from seeds.store.dataset import record_dataset, store_members, transaction
from seeds.store.movies import store_movies

MOVIELENS_GENRES = frozenset({
    "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
})  # fmt: skip
FIRST_YEAR, MAX_RENOWN, MAX_OVERVIEW = 1888, 5, 260
_REQUIRED = frozenset({
    "title", "original_title", "year", "runtime_minutes", "language", "countries", "genres", "directors",
    "cast", "overview", "keywords", "renown",
})  # fmt: skip
_OPTIONAL = frozenset({"release_date", "tmdb_id", "imdb_id"})


@dataclass(frozen=True, slots=True)
class BundledMovie:
    movie: Movie
    renown: int  # estimate from 1 (known to connoisseurs) to 5 (known to most people)


def load_bundled(conn_url: str, progress: Progress = quiet) -> Report:
    """Load the bundled movies and simulated members with their ratings. Loading again changes nothing."""
    report = Report(dataset=DATASET_VERSION)
    bundled = read_catalogue()
    movies = [entry.movie for entry in bundled]
    progress("simulating members", 0.0)
    simulated = simulate(movies, np.array([entry.renown for entry in bundled]))
    with transaction(conn_url, progress) as connection:
        stored = store_movies(connection, movies, authority=False, progress=progress)
        user_ids, report.members = store_members(
            connection, simulated.usernames, DATASET_VERSION, progress, simulated=True
        )
        report.movies = stored.count
        report.ratings = store_ratings(
            connection,
            user_ids=user_ids[simulated.user_idx],
            movie_ids=np.array(stored.movie_ids, dtype=np.int64)[simulated.item_idx],
            half_stars=simulated.half_stars,
            timestamps=simulated.timestamps,
            progress=progress,
        )
        counts = (len(movies), len(user_ids), len(simulated.half_stars))
        record_dataset(connection, DATASET_VERSION, counts, simulated=True)
    return report


def read_catalogue() -> list[BundledMovie]:
    """Read the bundled movies, ordered by year and title.

    Raises:
        SourceError: a movie lacks a field or has an invalid one.
    """
    folder = files("seeds").joinpath("catalogue")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".jsonl"))
    return [entry for name in names for entry in parse_movies(folder.joinpath(name).read_text("utf-8"), name)]


def parse_movies(text: str, name: str) -> Iterator[BundledMovie]:
    """Parse a file with one JSON object per line. Raises SourceError for an invalid movie."""
    for line, row in enumerate(text.splitlines(), 1):
        values = json.loads(row)
        if problems := list(_problems(values)):
            raise SourceError(f"{name}, line {line}: {'; '.join(problems)}")
        yield _movie(values)


def _movie(values: dict[str, Any]) -> BundledMovie:
    released = values.get("release_date")
    movie = Movie(
        title=values["title"],
        original_title=values["original_title"],
        year=values["year"],
        release_date=date.fromisoformat(released) if released else None,
        runtime_minutes=values["runtime_minutes"],
        original_language=values["language"],
        countries=tuple(values["countries"]),
        genres=tuple(values["genres"]),
        directors=tuple(Credit(name) for name in values["directors"]),
        cast=tuple(Credit(*entry) for entry in values["cast"]),
        overview=values["overview"],
        keywords=tuple(values["keywords"]),
        tmdb_id=values.get("tmdb_id"),
        imdb_id=values.get("imdb_id"),
        titles=titles_from("BUNDLED", values["title"], values["original_title"]),
    )
    return BundledMovie(movie, values["renown"])


def _problems(values: dict[str, Any]) -> Iterator[str]:
    """Yield the faults of a movie."""
    if missing := _REQUIRED - values.keys():
        yield f"missing: {', '.join(sorted(missing))}"
        return
    if unknown := values.keys() - _REQUIRED - _OPTIONAL:
        yield f"unknown: {', '.join(sorted(unknown))}"
    checks = {
        "title": bool(values["title"].strip()),
        "year": isinstance(values["year"], int) and values["year"] >= FIRST_YEAR,
        "release_date": _is_day_of(values.get("release_date"), values["year"]),
        "runtime_minutes": isinstance(values["runtime_minutes"], int) and values["runtime_minutes"] > 0,
        "language": bool(re.fullmatch("[a-z]{2}", values["language"])),
        "countries": bool(values["countries"])
        and all(re.fullmatch("[A-Z]{2}", c) for c in values["countries"]),
        "genres": bool(values["genres"]) and set(values["genres"]) <= MOVIELENS_GENRES,
        "directors": all(isinstance(name, str) and name for name in values["directors"]),
        "cast": all(1 <= len(c) <= 2 and all(isinstance(x, str) and x for x in c) for c in values["cast"]),  # noqa: PLR2004
        "overview": 0 < len(values["overview"]) <= MAX_OVERVIEW,
        "keywords": all(isinstance(word, str) and word == word.lower() for word in values["keywords"]),
        "renown": values["renown"] in range(1, MAX_RENOWN + 1),
        "tmdb_id": isinstance(values.get("tmdb_id", 1), int),
        "imdb_id": bool(re.fullmatch(r"tt\d{7,8}", values.get("imdb_id", "tt0000000"))),
    }
    yield from (f"{name} is invalid" for name, valid in checks.items() if not valid)


def _is_day_of(text: str | None, year: int) -> bool:
    try:
        return text is None or date.fromisoformat(text).year == year
    except ValueError:
        return False
