"""The bundled movies: their form, their facts, and how they come into a database."""

import ast
import csv
import json
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from seeds.bundled import MOVIELENS_GENRES, BundledMovie, load_bundled, parse_movies, read_catalogue
from seeds.files.report import Count, SourceError
from seeds.movies import Movie
from seeds.titles import fold
from tests.seeds.conftest import content, query

FOLDER = Path(__file__).parents[2] / "seeds" / "catalogue"


@pytest.fixture(scope="module")
def bundled() -> list[BundledMovie]:
    return read_catalogue()


def test_the_catalogue_is_wide(bundled: list[BundledMovie]) -> None:
    movies = [entry.movie for entry in bundled]
    assert len(movies) >= 600
    assert {(movie.year or 0) // 10 * 10 for movie in movies} == set(range(1920, 2030, 10))
    assert {genre for movie in movies for genre in movie.genres} == MOVIELENS_GENRES
    assert len({country for movie in movies for country in movie.countries}) >= 20
    assert sum(movie.original_language != "en" for movie in movies) > len(movies) / 3
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_500_000


def test_no_movie_is_there_twice(bundled: list[BundledMovie]) -> None:
    movies = [entry.movie for entry in bundled]
    for keys in (
        [(fold(movie.title), movie.year) for movie in movies],
        [movie.tmdb_id for movie in movies if movie.tmdb_id],
        [movie.imdb_id for movie in movies if movie.imdb_id],
        [movie.overview for movie in movies],
    ):
        assert [key for key, n in Counter(keys).items() if n > 1] == []


def test_every_movie_is_told_about(bundled: list[BundledMovie]) -> None:
    for movie in (entry.movie for entry in bundled):
        assert movie.directors, movie.title
        assert 40 <= len(movie.overview or "") <= 260, movie.title
        assert 1 <= len(movie.genres) <= 5, movie.title
        assert 3 <= len(movie.keywords) <= 6, movie.title
        assert len(movie.cast) <= 5, movie.title
        assert movie.release_date is None or movie.release_date.year == movie.year, movie.title
        assert 0 < (movie.runtime_minutes or 0) < 900, movie.title


def test_files_hold_their_decade_in_order() -> None:
    for path in FOLDER.iterdir():
        movies = [json.loads(row) for row in path.read_text("utf-8").splitlines()]
        assert {movie["year"] // 10 for movie in movies} == {int(path.name[:3])}
        assert movies == sorted(movies, key=lambda movie: (movie["year"], movie["title"]))


WHOLE = {
    "title": "T", "original_title": "T", "year": 2000, "runtime_minutes": 90, "language": "en",
    "countries": ["US"], "genres": ["Drama"], "directors": ["D"], "cast": [["A", "X"], ["B"]],
    "overview": "O", "keywords": ["k"],
    "renown": 3,
}  # fmt: skip


def test_a_movie_that_is_not_in_form_is_named() -> None:
    assert next(parse_movies(json.dumps(WHOLE), "2000s.jsonl")).movie.title == "T"
    for change, problem in (
        ({"genres": ["Sci Fi"]}, "genres"), ({"renown": 6}, "renown"), ({"language": "eng"}, "language"),
        ({"release_date": "2001-01-01"}, "release_date"), ({"imdb_id": "123"}, "imdb_id"),
        ({"rating": 5}, "rating"), ({"countries": ["usa"]}, "countries"),
        ({"cast": [["A", "B", "C"]]}, "cast"),
    ):  # fmt: skip
        with pytest.raises(SourceError, match=rf"2000s\.jsonl, line 2: .*{problem}"):
            list(parse_movies(f"{json.dumps(WHOLE)}\n{json.dumps(WHOLE | change)}\n", "2000s.jsonl"))
    with pytest.raises(SourceError, match="missing: overview, year"):
        list(parse_movies(json.dumps({k: v for k, v in WHOLE.items() if k not in ("year", "overview")}), "x"))


def test_the_bundle_loads_once_and_says_what_it_is(database_url: str) -> None:
    report = load_bundled(database_url)
    assert report.movies == Count(added=len(read_catalogue()))
    assert report.members == Count(added=2000)
    assert 130_000 < report.ratings.added < 170_000
    assert query(
        database_url, "SELECT bool_and(simulated), bool_and(username LIKE 'simulated-%'), "
        "count(password_hash), count(DISTINCT source), min(source) FROM users"
    ) == [(True, True, 0, 1, "marquee-simulated-2")]  # fmt: skip
    assert query(database_url, "SELECT version, simulated, rating_count FROM dataset_versions") == [
        ("marquee-simulated-2", True, report.ratings.added)
    ]
    assert query(
        database_url, "SELECT title, original_title, ARRAY(SELECT name || ' as ' || character FROM credits "
        "JOIN people ON people.id = person_id WHERE movie_id = movies.id AND kind = 'CAST' "
        "ORDER BY position) FROM movies WHERE imdb_id = 'tt0245429'"
    ) == [(
        "Spirited Away", "千と千尋の神隠し",
        ["Rumi Hiiragi as Chihiro", "Miyu Irino as Haku", "Mari Natsuki as Yubaba"],
    )]  # fmt: skip
    before = content(database_url)
    again = load_bundled(database_url)
    assert (again.movies.unchanged, again.ratings.unchanged) == (report.movies.added, report.ratings.added)
    assert content(database_url) == before


def six_words(text: str) -> set[tuple[str, ...]]:
    words = fold(text).split()
    return {tuple(words[i : i + 6]) for i in range(len(words) - 5)}


def known_to_tmdb(folder: Path) -> dict[int, dict[str, str]]:
    csv.field_size_limit(1 << 30)
    movies: dict[int, dict[str, str]] = {}
    for name in ("tmdb_5000_movies.csv", "movies_metadata.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            movies |= {int(row["id"]): row for row in csv.DictReader(file)}
    with (folder / "credits.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if int(row["id"]) in movies:
                movies[int(row["id"])]["crew"] = row["crew"]
    return movies


def same_person(name: str, other: str) -> bool:
    """Names that differ in order, initials or a second name are the same ("G. W. Pabst")."""
    one, two = fold(name).split(), fold(other).split()
    return bool(set(one) & set(two)) and (
        one[-1] == two[-1] or set(one) <= set(two) or sorted(one) == sorted(two)
    )


def test_facts_agree_with_tmdb_and_no_overview_is_copied(
    bundled: list[BundledMovie], shared_data: Path
) -> None:
    known = known_to_tmdb(shared_data / "tmdb")
    agreed: Counter[str] = Counter()
    checked: Counter[str] = Counter()
    for movie in (entry.movie for entry in bundled):
        row = known.get(movie.tmdb_id or 0)
        if row is None:
            continue
        for fact, holds in compare(movie, row).items():
            checked[fact] += 1
            agreed[fact] += holds
        assert not six_words(movie.overview or "") & six_words(row["overview"]), movie.title
    assert checked["year"] > 500
    assert checked["director"] > 200
    for fact, n in checked.items():
        assert agreed[fact] >= 0.97 * n, f"{fact}: {agreed[fact]} of {n}"


def compare(movie: Movie, row: dict[str, str]) -> dict[str, bool]:
    """Whether each fact that TMDB tells is the same here."""
    facts = {"title": bool({fold(movie.title), fold(movie.original_title or "")} & titles(row))}
    if row.get("imdb_id") and movie.imdb_id:
        facts["imdb_id"] = row["imdb_id"] == movie.imdb_id
    if row["release_date"]:
        facts["year"] = abs(date.fromisoformat(row["release_date"]).year - (movie.year or 0)) <= 1
    directors = [p["name"] for p in ast.literal_eval(row.get("crew", "[]")) if p["job"] == "Director"]
    if directors:
        facts["director"] = any(same_person(d, credit.name) for d in directors for credit in movie.directors)
    return facts


def titles(row: dict[str, str]) -> set[str]:
    return {fold(title) for title in (row["title"], row["original_title"]) if re.search(r"\w", title)}
