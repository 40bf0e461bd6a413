"""Every layout of MovieLens into a real database, twice, damaged, and beside what is there already."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seeds.files.archives import FIELD_COUNT, NOT_UTF8, NUL
from seeds.files.column_roles import ColumnNames
from seeds.files.rating_cells import DayOrder
from seeds.files.rating_rows import RatingFormat
from seeds.files.ratings import OFF_SCALE
from seeds.files.report import Count, SourceError, UnusableRowError
from seeds.movielens import LINK_WITHOUT_MOVIE, NO_TITLE, NOT_AN_ID, SAME_ID, load_movielens
from seeds.store.dataset import UNKNOWN_MOVIE
from tests.seeds.conftest import content, query

RATED = [(1, 1, "4.5", 9001), (1, 2, "0.5", 9002), (2, 2, "3.0", 9003), (2, 3, "5.0", 9004)]
WHOLE_STARS = [(user, item, str(int(float(stars) + 0.5)), time) for user, item, stars, time in RATED]


def lines(rows: list[tuple[int, int, str, int]], separator: str) -> bytes:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows).encode()


def csv_layout(folder: Path) -> None:
    (folder / "movies.csv").write_bytes(
        '\ufeffmovieId,title,genres\r\n1,"Matrix, The (1999)",Action|Sci-Fi\r\n'
        '2,"Amélie (Fabuleux destin d\'Amélie Poulain, Le) (2001)",Comedy\r\n'
        '3,"Some ""Quoted"" Thing",(no genres listed)\r\n'.encode()
    )
    (folder / "links.csv").write_bytes(b"movieId,imdbId,tmdbId\n1,0133093,603\n2,0211915,194\n3,0000003,\n")
    (folder / "ratings.csv").write_bytes(b"userId,movieId,rating,timestamp\n" + lines(RATED, ","))


def dat_layout(folder: Path) -> None:
    (folder / "movies.dat").write_bytes(
        "1::Matrix, The (1999)::Action|Sci-Fi\n"
        "2::Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)::Children's|Comedy\n"
        '3::Some "Quoted" Thing::Drama\n'.encode("latin-1")
    )
    (folder / "ratings.dat").write_bytes(lines(RATED, "::"))


def u_layout(folder: Path) -> None:
    def item(number: int, title: str, day: str, *genres: int) -> str:
        flags = ("1" if genre in genres else "0" for genre in range(19))
        return "|".join([str(number), title, day, "", "", *flags]) + "\n"

    (folder / "u.item").write_bytes(
        (
            item(1, "Matrix, The (1999)", "31-Mar-1999", 1, 15)
            + item(2, "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)", "01-Jan-2001", 5)
            + item(3, 'Some "Quoted" Thing', "", 0)
        ).encode("latin-1")
    )
    (folder / "u.data").write_bytes(lines(WHOLE_STARS, "\t"))


LAYOUTS = pytest.mark.parametrize("layout", [csv_layout, dat_layout, u_layout])


@LAYOUTS
@pytest.mark.parametrize("zipped", [False, True])
def test_each_layout_loads_and_a_second_time_changes_nothing(
    database_url: str, tmp_path: Path, layout: Callable[[Path], None], zipped: bool
) -> None:
    source = tmp_path / "ml-test"
    source.mkdir()
    layout(source)
    if zipped:
        with zipfile.ZipFile(tmp_path / "ml-test.zip", "w") as archive:
            for file in source.iterdir():
                archive.write(file, f"ml-inner/{file.name}")
        source = tmp_path / "ml-test.zip"
    report = load_movielens(database_url, source, strict=True)
    assert (report.dataset, report.movies, report.members, report.ratings) == (
        "ml-test", Count(3), Count(2), Count(4)
    )  # fmt: skip
    assert query(database_url, "SELECT title, original_title, year FROM movies ORDER BY id") == [
        ("The Matrix", None, 1999),
        ("Amélie", "Le Fabuleux destin d'Amélie Poulain", 2001),
        ('Some "Quoted" Thing', None, None),
    ]
    rated = WHOLE_STARS if layout is u_layout else RATED
    assert query(
        database_url,
        "SELECT username, title, half_stars / 2.0, extract(epoch FROM rated_at)::int, "
        "password_hash, simulated, source FROM ratings JOIN users ON users.id = user_id "
        "JOIN movies ON movies.id = movie_id ORDER BY username, movie_id",
    ) == [
        (f"movielens-{user}", title, float(stars), time, None, False, "ml-test")
        for user, item, stars, time in rated
        for title in [("The Matrix", "Amélie", 'Some "Quoted" Thing')[item - 1]]
    ]
    assert query(database_url, "SELECT rating_count FROM movie_stats ORDER BY movie_id") == [(1,), (2,), (1,)]
    before = content(database_url)
    again = load_movielens(database_url, source, strict=True)
    assert (again.movies, again.members, again.ratings) == (Count(0, 0, 3), Count(0, 0, 2), Count(0, 0, 4))
    assert content(database_url) == before


def test_links_genres_and_release_days(database_url: str, tmp_path: Path) -> None:
    u_layout(tmp_path)
    load_movielens(database_url, tmp_path)
    (tmp_path / "u.item").unlink()
    csv_layout(tmp_path)
    (tmp_path / "ratings.csv").write_bytes(b"userId,movieId,rating,timestamp\n")
    report = load_movielens(database_url, tmp_path)
    assert report.movies == Count(updated=3), "the same movies, now with their numbers"
    assert query(
        database_url,
        "SELECT movielens_id, tmdb_id, imdb_id, release_date::text, "
        "ARRAY(SELECT name FROM genres JOIN movie_genres ON genre_id = id WHERE movie_id = movies.id "
        "ORDER BY name) FROM movies ORDER BY id",
    ) == [
        (1, 603, "tt0133093", "1999-03-31", ["Action", "Sci-Fi"]),
        (2, 194, "tt0211915", None, ["Comedy"]),
        (3, None, "tt0000003", None, []),
    ]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    csv_layout(tmp_path)
    with (tmp_path / "movies.csv").open("ab") as file:
        file.write(
            b'4,"Two\r\nLines (2000)",Drama\r\nfive,Five,Drama\r\n6,,Drama\r\n1,Again,Drama\r\n7,short\r\n'
            b"8,Latin \xe9t\xe9,Drama\r\n9,Nothing\0,Drama\r\n"
        )
    with (tmp_path / "links.csv").open("ab") as file:
        file.write(b"77,0000077,77\n4,tt4x,\n")
    with (tmp_path / "ratings.csv").open("ab") as file:
        file.write(b"3,1,9.0,964982703\n3,77,4.0,964982703\n3,4,4.0,964982703\n")
    return tmp_path


def test_nothing_is_dropped_without_being_counted(database_url: str, damaged: Path) -> None:
    report = load_movielens(database_url, damaged)
    assert report.movies == Count(4)
    assert report.ratings == Count(len(RATED) + 1)
    found = {(reason, Path(s.file).name, s.line) for reason, e in report.skipped.items() for s in e.samples}
    assert found == {
        (NOT_AN_ID, "movies.csv", 7),  # the row before it has two lines
        (NO_TITLE, "movies.csv", 8),
        (SAME_ID, "movies.csv", 9),
        (FIELD_COUNT, "movies.csv", 10),
        (NOT_UTF8, "movies.csv", 11),
        (NUL, "movies.csv", 12),
        (LINK_WITHOUT_MOVIE, "links.csv", 5),
        (NOT_AN_ID, "links.csv", 6),
        (OFF_SCALE, "ratings.csv", 6),
        (UNKNOWN_MOVIE, "ratings.csv", 7),
    }
    assert report.skipped_count == len(found)


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_kaggle_names_and_numbers_of_pandas(database_url: str, tmp_path: Path, packed: str) -> None:
    files = {
        "movie.csv": '"movieId","title","genres"\n1.0,"Matrix, The (1999)",Action\n2.0,Heat (1995),Crime\n',
        "link.csv": "movieId,imdbId,tmdbId\n1,0133093,603.0\n2,113277.0,\n",
        "rating.csv": '"userId","movieId","rating","timestamp"\n'
        '1,1,3.5,"2005-04-02 23:53:47"\n7,2,4,2005-04-03\n',
        "tag.csv": "userId,movieId,tag,timestamp\n",
    }
    for name, text in files.items():
        data = gzip.compress(text.encode()) if packed else text.encode()
        (tmp_path / (name + packed)).write_bytes(data)
    report = load_movielens(database_url, tmp_path)
    assert (report.dataset, report.skipped) == ("ml-20m", {})
    assert query(database_url, "SELECT movielens_id, imdb_id, tmdb_id FROM movies ORDER BY id") == [
        (1, "tt0133093", 603), (2, "tt0113277", None)
    ]  # fmt: skip
    assert query(database_url, "SELECT half_stars, rated_at::text FROM ratings ORDER BY user_id") == [
        (7, "2005-04-02 23:53:47+00"), (8, "2005-04-03 00:00:00+00")
    ]  # fmt: skip


def test_ratings_and_links_beside_tmdb_are_a_data_set(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "movies_metadata.csv").write_text(
        "adult,id,imdb_id,title,release_date\nFalse,949,tt0113277,Heat,1995-12-15\n"
        "True,950,,Hidden,1995-12-15\n"
    )
    (tmp_path / "links_small.csv").write_text("movieId,imdbId,tmdbId\n6,0113277,949.0\n7,0,950\n")
    (tmp_path / "ratings_small.csv").write_text(
        "userId,movieId,rating,timestamp\n1,6,4.5,964982703\n1,7,1,964982703\n"
    )
    report = load_movielens(database_url, tmp_path)
    assert report.skipped[UNKNOWN_MOVIE].count == 1
    assert query(database_url, "SELECT title, year, movielens_id, tmdb_id, imdb_id FROM movies") == [
        ("Heat", 1995, 6, 949, "tt0113277")
    ]


def test_strict_stores_nothing(database_url: str, damaged: Path) -> None:
    before = content(database_url)
    with pytest.raises(
        UnusableRowError, match=r"movies\.csv, line 7: the id is not a number: five,Five,Drama"
    ):
        load_movielens(database_url, damaged, strict=True)
    assert content(database_url) == before


def test_a_failure_at_the_end_takes_everything_back(database_url: str, tmp_path: Path) -> None:
    csv_layout(tmp_path)
    query_before = content(database_url)
    taken = "INSERT INTO users (username) VALUES ('MovieLens-2') RETURNING username"
    assert query(database_url, taken) == [("MovieLens-2",)]
    with pytest.raises(SourceError, match="MovieLens-2 signed up here"):
        load_movielens(database_url, tmp_path)
    after = content(database_url)
    assert {t: rows for t, rows in after.items() if t != "users"} == {
        t: rows for t, rows in query_before.items() if t != "users"
    }
    assert len(after["users"]) == 1


def test_members_of_two_data_sets_are_not_taken_for_each_other(database_url: str, tmp_path: Path) -> None:
    for name in ("ml-one", "ml-two"):
        (tmp_path / name).mkdir()
        csv_layout(tmp_path / name)
    load_movielens(database_url, tmp_path / "ml-one")
    with pytest.raises(SourceError, match="movielens-1 was loaded with ml-one"):
        load_movielens(database_url, tmp_path / "ml-two")


def test_two_numbers_of_one_movie_become_one_movie(database_url: str, tmp_path: Path) -> None:
    csv_layout(tmp_path)
    (tmp_path / "links.csv").write_bytes(b"movieId,imdbId,tmdbId\n1,0133093,603\n2,0211915,603\n")
    report = load_movielens(database_url, tmp_path)
    assert (report.movies, report.ratings) == (Count(2), Count(3))
    assert [(e.count, e.samples[0].line) for e in report.set_aside.values()] == [(1, 2)]
    assert query(database_url, "SELECT rating_count, half_stars_sum FROM movie_stats ORDER BY movie_id") == [
        (2, 7), (1, 10)
    ]  # fmt: skip


def test_ratings_given_here_stay_and_are_counted(database_url: str, tmp_path: Path) -> None:
    csv_layout(tmp_path)
    load_movielens(database_url, tmp_path)
    query(
        database_url,
        "WITH someone AS (INSERT INTO users (username) VALUES ('someone') RETURNING id) "
        "INSERT INTO ratings (user_id, movie_id, half_stars) "
        "SELECT someone.id, movies.id, 1 FROM someone, movies RETURNING 1",
    )
    with (tmp_path / "ratings.csv").open("ab") as file:
        file.write(b"1,1,1.0,964999999\n3,1,2.0,964999999\n")
    report = load_movielens(database_url, tmp_path)
    assert report.ratings == Count(added=1, updated=1, unchanged=3)
    assert query(database_url, "SELECT rating_count, half_stars_sum FROM movie_stats ORDER BY movie_id") == [
        (3, 2 + 4 + 1), (3, 1 + 6 + 1), (2, 10 + 1)
    ]  # fmt: skip


def test_what_is_no_data_set_is_said_to_be_none(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="it is not a MovieLens data set"):
        load_movielens(database_url, tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        load_movielens(database_url, tmp_path / "ml-nothing")
    csv_layout(tmp_path)
    (tmp_path / "ratings.csv").unlink()
    with pytest.raises(SourceError, match="no ratings beside it"):
        load_movielens(database_url, tmp_path)


def test_movielens_as_it_is_published(database_url: str, shared_data: Path) -> None:
    report = load_movielens(database_url, shared_data / "ml-latest-small", strict=True)
    assert (report.movies.added, report.members.added, report.ratings.added) == (9741, 610, 100_835)
    # One movie stands there under two numbers.
    assert sum(entry.count for entry in report.set_aside.values()) == 1
    assert query(database_url, "SELECT sum(rating_count), count(*) FROM movie_stats") == [(100_835, 9723)]


def test_columns_and_dates_of_the_rating_file_can_be_named(database_url: str, tmp_path: Path) -> None:
    csv_layout(tmp_path)
    (tmp_path / "ratings.csv").write_text("day,what,mark,who\n03/02/2014,1,4.5,7\n04/02/2014,2,3,7\n")
    named = ColumnNames.parse("user=who,movie=what,rating=mark,time=day")
    with pytest.raises(SourceError, match="--columns user=NAME"):
        load_movielens(database_url, tmp_path)
    with pytest.raises(SourceError, match="--dates DMY"):
        load_movielens(database_url, tmp_path, given=RatingFormat(given=named))
    load_movielens(database_url, tmp_path, given=RatingFormat(given=named, day_order=DayOrder.DMY))
    assert query(database_url, "SELECT half_stars, rated_at::date::text FROM ratings ORDER BY 2") == [
        (9, "2014-02-03"), (6, "2014-02-04")
    ]  # fmt: skip
    places = ColumnNames.parse("user=3,movie=2,rating=1,time=4")
    (tmp_path / "ratings.csv").write_text("0.5,1,8,1400000000\n2.5,2,8,1400000000\n")
    assert load_movielens(database_url, tmp_path, given=RatingFormat(given=places)).ratings == Count(2)
