"""Titles as data sets write them, and which movies are the same."""

from datetime import date

import psycopg
import pytest

from seeds.movies import Credit, Movie, MovieIndex, SourceTitle, merge, titles_from
from seeds.store.movies import store_movies
from seeds.titles import MAX_TITLE, fold, fold_case, parse_title, titles_in


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


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("Seven (a.k.a. Se7en) (1995)", ("Seven", "Se7en")),
        ("Léon: The Professional (a.k.a. The Professional) (Léon) (1994)",
         ("Léon: The Professional", "The Professional", "Léon")),
        ("Bicycle Thieves (a.k.a. The Bicycle Thief) (Ladri di biciclette) (1948)",
         ("Bicycle Thieves", "The Bicycle Thief", "Ladri di biciclette")),
        ("Alien³ (a.k.a. Alien 3) (1992)", ("Alien³", "Alien 3")),
        ("Robin Hood (Robin Hood, The) (1973)", ("Robin Hood", "The Robin Hood")),
        ("Heat (1995)", ("Heat",)),
    ],
)  # fmt: skip
def test_every_title_of_a_movielens_title_is_kept(text: str, titles: tuple[str, ...]) -> None:
    assert titles_in(text) == titles


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Matrix, The", "the matrix"),
        ("Sid & Nancy", "Sid and Nancy"),
        ("Romeo + Juliet", "Romeo & Juliet"),
        ("The Lord of the Rings: The Two Towers", "Lord of the Rings: The Two Towers, The"),
        ("Ocean’s Eleven", "Oceans Eleven"),
        ("E.T. the Extra-Terrestrial", "ET: The Extra Terrestrial"),
        ("M*A*S*H", "MASH"),
        ("Alien³", "Alien 3"),
        ("8½", "8 1/2"),
        ("Smultronstället", "SMULTRONSTALLET"),
        ("Kon-Tiki", "Kon Tiki"),
        ("Bølgen", "Bolgen"),
    ],
)
def test_two_spellings_of_a_title_are_one(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Die Hard", "Hard"),
        ("Rocky", "Rocky II"),
        ("The Thing", "Things"),
        ("A.I.", "I"),
        ("The", "A"),
        ("AB", "A+B"),
    ],
)
def test_two_titles_are_two(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize("unit", ["e\u0301\u0323", "a.", " (a)", " ", "the ", "½", "ﷺ"])
def test_only_the_beginning_of_a_long_text_is_looked_at(unit: str) -> None:
    longest = (unit * MAX_TITLE)[:MAX_TITLE]
    assert fold(longest) == fold(longest + unit * 1_000_000)
    assert fold_case(longest) == fold_case(longest + unit * 1_000_000)
    assert parse_title(longest + "x" + unit * 1_000_000)[1:] == (None, None)


def test_movies_are_the_same_by_id_before_title() -> None:
    index = MovieIndex(
        [Movie("Emma", year=1996, movielens_id=838), Movie("Heat", year=1995, imdb_id="tt0113277")]
    )
    assert index.find(Movie("Anything", movielens_id=838)) == 0
    assert index.find(Movie("heat", year=1995, tmdb_id=949)) == 1
    assert index.find(Movie("Heat", year=1996)) is None
    assert index.find(Movie("Emma", year=1996, movielens_id=26958)) is None, (
        "two movies of one title and year"
    )


def test_an_id_that_another_movie_has_is_not_given_away() -> None:
    index = MovieIndex([Movie("One", year=2000, tmdb_id=1), Movie("Two", year=2001, movielens_id=2)])
    index.update(1, Movie("Two", year=2001, movielens_id=2, tmdb_id=1, imdb_id="tt0000002"), authority=True)
    assert index.movies[1] == Movie("Two", year=2001, movielens_id=2, imdb_id="tt0000002")
    assert index.find(Movie("?", imdb_id="tt0000002")) == 1


def test_another_title_of_a_movie_finds_it_and_the_one_it_goes_by_decides() -> None:
    index = MovieIndex([
        Movie("Cache", year=2005, titles=titles_from("TMDB", "Hidden")),
        Movie("Hidden", year=2005),
        Movie("Se7en", year=1995, titles=titles_from("MOVIELENS", "Seven")),
    ])  # fmt: skip
    assert index.find(Movie("Hidden", year=2005)) == 1
    assert index.find(Movie("Seven", year=1995)) == 2
    assert index.find(Movie("Seven", year=1996)) is None
    assert index.find(Movie("Sieben", year=1995, titles=titles_from("X", "SEVEN"))) == 2


def test_the_order_of_two_sources_does_not_change_the_titles() -> None:
    movielens = Movie("Seven", year=1995, titles=titles_from("MOVIELENS", "Seven", "Se7en"))
    tmdb = Movie("Se7en", year=1995, titles=titles_from("TMDB", "Se7en", "Se7en"))
    one, other = merge(movielens, tmdb, authority=True), merge(tmdb, movielens, authority=False)
    assert one == other
    assert one.title == "Se7en"
    assert one.titles == (
        SourceTitle("Se7en", "MOVIELENS"), SourceTitle("Se7en", "TMDB"), SourceTitle("Seven", "MOVIELENS")
    )  # fmt: skip
    assert merge(one, movielens, authority=False) == one


def test_what_is_too_long_for_a_title_is_none() -> None:
    assert titles_from("TMDB", "x" * (MAX_TITLE + 1), "", None) == ()
    assert len(titles_from("TMDB", *map(str, range(1000)))) == 100


KNOWN = Movie(
    "Seven", year=1995, genres=("Crime",), keywords=("rain",), movielens_id=47,
    cast=(Credit("A", "X"), Credit("B"), Credit("C")), directors=(Credit("D"),),
)  # fmt: skip
OTHER = Movie(
    "Se7en", year=1996, genres=("Crime", "Thriller"), keywords=("sins",), tmdb_id=807, movielens_id=1,
    cast=(Credit("A"),), directors=(Credit("D", tmdb_id=7),), release_date=date(1995, 9, 22),
)  # fmt: skip


def test_a_source_without_authority_only_completes() -> None:
    both = merge(KNOWN, OTHER, authority=False)
    assert both == Movie(
        "Seven", year=1995, genres=("Crime",), keywords=("rain",), movielens_id=47, tmdb_id=807,
        cast=KNOWN.cast, directors=KNOWN.directors, release_date=OTHER.release_date,
    )  # fmt: skip


def test_a_source_with_authority_corrects_and_loses_nothing() -> None:
    both = merge(KNOWN, OTHER, authority=True)
    assert both == Movie(
        "Se7en", year=1995, genres=("Crime", "Thriller"), keywords=("rain", "sins"),
        movielens_id=47, tmdb_id=807,
        cast=KNOWN.cast, directors=OTHER.directors, release_date=OTHER.release_date,
    )  # fmt: skip
    assert merge(both, OTHER, authority=True) == both


def test_formats_and_fillers_are_no_genres(database_url: str) -> None:
    names = ("IMAX", "Drama", "(no genres listed)", "TV Movie", " imax ", "\\N", "Foreign", "Western")
    heat = Movie("Heat", year=1995, genres=names)
    with psycopg.connect(database_url) as connection:
        store_movies(connection, [heat], authority=False, progress=lambda _stage, _fraction: None)
        stored = connection.execute("SELECT name FROM genres ORDER BY name").fetchall()
    assert stored == [("Drama",), ("Western",)]
