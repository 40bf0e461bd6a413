"""MovieTweetings: a scale of ten, IMDb ids."""

from pathlib import Path

from seeds.files.archives import FIELD_COUNT
from seeds.files.column_roles import ColumnNames
from seeds.files.rating_rows import RatingFormat
from seeds.files.ratings import OFF_SCALE
from seeds.files.report import Count
from seeds.movietweetings import load_movietweetings
from tests.seeds.conftest import content, query

MOVIES = """0133093::The Matrix (1999)::Action|Sci-Fi
1675434::The Intouchables (2011)::
0002844::Fantômas - À l'ombre de la guillotine (1913)
10872600::Family Movie (2021)::Family|Music
broken
"""
RATINGS = "1::0133093::9::1379466669\n1::10872600::0::1379466669\n2::0002844::10::1379466670\n"


def test_ratings_of_ten_become_half_stars(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "movies.dat").write_text(MOVIES, encoding="utf-8")
    (tmp_path / "ratings.dat").write_text(RATINGS, encoding="utf-8")
    (tmp_path / "users.dat").write_text("1::177651718\n2::32877227\n", encoding="utf-8")
    report = load_movietweetings(database_url, tmp_path)
    assert (report.movies, report.members, report.ratings) == (Count(4), Count(2), Count(2))
    assert {reason: [s.line for s in e.samples] for reason, e in report.skipped.items()} == {
        FIELD_COUNT: [5], OFF_SCALE: [2]
    }  # fmt: skip
    assert query(
        database_url,
        "SELECT username, imdb_id, title, year, half_stars FROM ratings JOIN users ON users.id = user_id "
        "JOIN movies ON movies.id = movie_id ORDER BY 1",
    ) == [
        ("movietweetings-1", "tt0133093", "The Matrix", 1999, 9),
        ("movietweetings-2", "tt0002844", "Fantômas - À l'ombre de la guillotine", 1913, 10),
    ]
    assert query(database_url, "SELECT name FROM genres ORDER BY 1") == [
        ("Action",), ("Children",), ("Musical",), ("Sci-Fi",)
    ]  # fmt: skip
    assert "177651718" not in repr(content(database_url)), "who the members are on Twitter is not stored"
    before = content(database_url)
    load_movietweetings(database_url, tmp_path)
    assert content(database_url) == before


def test_movietweetings_as_it_is_published(database_url: str, shared_data: Path) -> None:
    report = load_movietweetings(database_url, shared_data / "movietweetings")
    assert (report.movies.added, report.members.added, report.ratings.added) == (12_611, 21_081, 141_678)
    assert {reason: entry.count for reason, entry in report.skipped.items()} == {OFF_SCALE: 17}
    assert query(database_url, "SELECT sum(rating_count) FROM movie_stats") == [(141_678,)]


def test_columns_of_the_rating_file_can_be_named(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "movies.dat").write_text(MOVIES.replace("broken\n", ""), encoding="utf-8")
    (tmp_path / "ratings.dat").write_text("9::0133093::1379466669::1\n", encoding="utf-8")
    named = RatingFormat(given=ColumnNames.parse("user=4,movie=2,rating=1,time=3"))
    assert load_movietweetings(database_url, tmp_path, given=named).ratings == Count(1)
    assert query(database_url, "SELECT half_stars FROM ratings") == [(9,)]
