"""What TMDB's API appends to a movie: trailers, certifications and translations, and a damaged one."""

import json
from pathlib import Path

import pytest

from seeds.tmdb import load_tmdb
from seeds.tmdb_details import certification, localized_titles, trailer_url
from tests.seeds.conftest import query
from tests.seeds.test_tmdb import MATRIX, movie, write

VIDEOS = {
    "results": [
        {"site": "YouTube", "type": "Teaser", "key": "teaser", "official": True},
        {"site": "YouTube", "type": "Trailer", "key": "of-a-fan", "official": False},
        {"site": "Elsewhere", "type": "Trailer", "key": "x", "official": True},
        {"site": "Vimeo", "type": "Trailer", "key": "12345", "official": True},
        {"site": "YouTube", "type": "Trailer", "key": "later", "official": True},
    ]
}
RELEASES = {
    "results": [
        {"iso_3166_1": "DE", "release_dates": [{"certification": "16", "type": 3}]},
        {"iso_3166_1": "US", "release_dates": [{"certification": ""}, {"certification": "R", "type": 3}]},
    ]
}
TRANSLATIONS = {
    "translations": [
        {"iso_639_1": "fr", "iso_3166_1": "FR", "data": {"title": "Matrice"}},
        {"iso_639_1": "pt", "iso_3166_1": "BR", "data": {"title": "Matrix"}},
        {"iso_639_1": "pt", "iso_3166_1": "PT", "data": {"title": "Matriz"}},
        {"iso_639_1": "de", "iso_3166_1": "DE", "data": {"title": ""}},
        {"iso_639_1": "not a code", "data": {"title": "Nowhere"}},
        {"iso_639_1": "ja", "data": None},
    ]
}


def test_an_official_trailer_comes_first() -> None:
    assert trailer_url(json.dumps(VIDEOS)) == "https://vimeo.com/12345"
    assert trailer_url(json.dumps(VIDEOS["results"][:2])) == "https://www.youtube.com/watch?v=of-a-fan"
    assert trailer_url(json.dumps(VIDEOS["results"][:1])) is None
    strange = [{"site": "YouTube", "type": "Trailer", "key": "a&b=<script>"}]
    assert trailer_url(json.dumps(strange)) is None


def test_a_certification_is_that_of_the_united_states() -> None:
    assert certification(json.dumps(RELEASES)) == "R"
    assert certification(str(RELEASES)) == "R"  # as Python writes it
    assert certification(json.dumps(RELEASES["results"][:1])) is None
    assert certification("PG-13") == "PG-13"
    with pytest.raises(ValueError, match="long"):
        certification("PG-13 " * 10)


def test_the_first_title_of_each_language_is_kept() -> None:
    assert localized_titles(json.dumps(TRANSLATIONS)) == (("fr", "Matrice"), ("pt", "Matrix"))
    assert localized_titles(json.dumps({"translations": []})) == ()
    with pytest.raises(ValueError, match="neither"):
        localized_titles("[{")


def test_they_are_loaded_and_loading_again_changes_nothing(database_url: str, tmp_path: Path) -> None:
    appended = {
        "tagline": "Welcome to the Real World.",
        "backdrop_path": "/fNG7i7RqMErkcqhohV2a6cV1Ehy.jpg",
        "videos": json.dumps(VIDEOS),
        "release_dates": json.dumps(RELEASES),
        "translations": json.dumps(TRANSLATIONS),
    }
    broken = {"id": "604", "imdb_id": "tt0234215", "title": "Reloaded", "videos": "[{", "tagline": "x" * 501}
    write(tmp_path / "movies_metadata.csv", MATRIX | appended, MATRIX | appended | broken)
    report = load_tmdb(database_url, tmp_path)
    columns = "tagline, backdrop_path, trailer_url, certification, localized_titles"
    loaded = movie(database_url, columns)
    assert loaded == (
        "Welcome to the Real World.",
        "/fNG7i7RqMErkcqhohV2a6cV1Ehy.jpg",
        "https://vimeo.com/12345",
        "R",
        {"fr": "Matrice", "pt": "Matrix"},
    )
    assert movie(database_url, "tagline, trailer_url", 604) == (None, None)
    assert set(report.set_aside) >= {
        "the videos is invalid and left empty",
        "the tagline is invalid and left empty",
    }
    titles = query(
        database_url,
        "SELECT movie_titles.title FROM movie_titles JOIN movies ON id = movie_id WHERE tmdb_id = 603",
    )
    assert {title for (title,) in titles} == {"The Matrix", "Matrice", "Matrix"}
    again = load_tmdb(database_url, tmp_path)
    assert (again.movies.added, again.movies.updated, again.movies.unchanged) == (0, 0, 2)
    assert movie(database_url, columns) == loaded
