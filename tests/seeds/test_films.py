"""Titles as data sets write them, and which films are the same."""

from datetime import date

import pytest

from app.titles import fold, parse_title
from seeds.films import Credit, Film, FilmIndex, merge


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Matrix, The (1999)", ("The Matrix", None, 1999)),
        ("City of Lost Children, The (Cité des enfants perdus, La) (1995)",
         ("The City of Lost Children", "La Cité des enfants perdus", 1995)),
        ("Avventura, L' (Adventure, The) (1960)", ("L'Avventura", "The Adventure", 1960)),
        ("Seven (a.k.a. Se7en) (1995)", ("Seven", None, 1995)),
        ("Léon: The Professional (a.k.a. The Professional) (Léon) (1994)",
         ("Léon: The Professional", "Léon", 1994)),
        ("(500) Days of Summer (2009)", ("(500) Days of Summer", None, 2009)),
        ("Frontière(s) (2007)", ("Frontière(s)", None, 2007)),
        ("Birdman: Or (The Unexpected Virtue of Ignorance) (2014)",
         ("Birdman: Or (The Unexpected Virtue of Ignorance)", None, 2014)),
        ("Death Note: Desu nôto (2006–2007)", ("Death Note: Desu nôto", None, 2006)),
        ("Doubtful Series, A (2011- )", ("A Doubtful Series", None, 2011)),
        (" 1984 (1984) ", ("1984", None, 1984)),
        ("Babylon 5", ("Babylon 5", None, None)),
        ("unknown", ("unknown", None, None)),
        ("Me, Myself & I", ("Me, Myself & I", None, None)),
        ("(1994)", ("(1994)", None, 1994)),
    ],
)  # fmt: skip
def test_a_title_is_read_as_a_person_would(text: str, expected: tuple[str, str | None, int | None]) -> None:
    assert parse_title(text) == expected


def test_titles_are_compared_without_case_accents_and_punctuation() -> None:
    assert fold("Amélie!") == fold("AMELIE")
    assert fold("千と千尋の神隠し")
    assert fold("乱") != fold("七人の侍")


def test_films_are_the_same_by_id_before_title() -> None:
    index = FilmIndex(
        [Film("Emma", year=1996, movielens_id=838), Film("Heat", year=1995, imdb_id="tt0113277")]
    )
    assert index.find(Film("Anything", movielens_id=838)) == 0
    assert index.find(Film("heat", year=1995, tmdb_id=949)) == 1
    assert index.find(Film("Heat", year=1996)) is None
    assert index.find(Film("Emma", year=1996, movielens_id=26958)) is None, "two films of one title and year"


def test_an_id_that_another_film_has_is_not_given_away() -> None:
    index = FilmIndex([Film("One", year=2000, tmdb_id=1), Film("Two", year=2001, movielens_id=2)])
    index.update(1, Film("Two", year=2001, movielens_id=2, tmdb_id=1, imdb_id="tt0000002"), authority=True)
    assert index.films[1] == Film("Two", year=2001, movielens_id=2, imdb_id="tt0000002")
    assert index.find(Film("?", imdb_id="tt0000002")) == 1


KNOWN = Film(
    "Seven", year=1995, genres=("Crime",), keywords=("rain",), movielens_id=47,
    cast=(Credit("A", "X"), Credit("B"), Credit("C")), directors=(Credit("D"),),
)  # fmt: skip
OTHER = Film(
    "Se7en", year=1996, genres=("Crime", "Thriller"), keywords=("sins",), tmdb_id=807, movielens_id=1,
    cast=(Credit("A"),), directors=(Credit("D", tmdb_id=7),), release_date=date(1995, 9, 22),
)  # fmt: skip


def test_a_source_without_authority_only_completes() -> None:
    both = merge(KNOWN, OTHER, authority=False)
    assert both == Film(
        "Seven", year=1995, genres=("Crime",), keywords=("rain",), movielens_id=47, tmdb_id=807,
        cast=KNOWN.cast, directors=KNOWN.directors, release_date=OTHER.release_date,
    )  # fmt: skip


def test_a_source_with_authority_corrects_and_loses_nothing() -> None:
    both = merge(KNOWN, OTHER, authority=True)
    assert both == Film(
        "Se7en", year=1995, genres=("Crime", "Thriller"), keywords=("rain", "sins"),
        movielens_id=47, tmdb_id=807,
        cast=KNOWN.cast, directors=OTHER.directors, release_date=OTHER.release_date,
    )  # fmt: skip
    assert merge(both, OTHER, authority=True) == both
