"""Import of histories: matching of rows to movies, and the ratings and events stored."""

import asyncio
import io
import zipfile
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text

from app.activity import feedback, ratings
from app.db.activity_tables import Feedback, Rating
from app.db.engine import Sessions
from app.db.tables import Movie, User
from app.ingest import import_history, matching
from app.ingest.import_history import Imported
from app.ingest.rows import Contents, Order
from app.serving import snapshot

pytestmark = pytest.mark.anyio

MOVIES: Sequence[dict[str, Any]] = [
    {"id": 1, "title": "Alien", "year": 1979, "imdb_id": "tt0078748", "tmdb_id": 348, "movielens_id": 1214},
    {"id": 2, "title": "Amélie", "original_title": "Le Fabuleux Destin d'Amélie Poulain", "year": 2001},
    {"id": 3, "title": "The Matrix", "year": 1999, "imdb_id": "tt0133093"},
    {"id": 4, "title": "Solaris", "year": 1972, "tmdb_id": 593},
    {"id": 5, "title": "Solaris", "year": 2002, "tmdb_id": 2103},
    {"id": 6, "title": "Crash", "year": 2004, "imdb_id": "tt0375679"},
    {"id": 7, "title": "Twins", "year": 2010},
    {"id": 8, "title": "Twins", "year": 2010},
]
LETTERBOXD = "Date,Name,Year,Letterboxd URI,Rating\n"


@pytest.fixture
async def movies(sessions: Sessions) -> Sessions:
    async with sessions.begin() as session:
        for movie in MOVIES:
            await session.execute(insert(Movie).values(movie))
        await session.execute(insert(User), [{"id": id_, "username": f"user {id_}"} for id_ in (1, 2)])
    return sessions


async def bring(sessions: Sessions, csv: str, user_id: int = 1, contents: Contents | None = None) -> Imported:
    known = await snapshot.load(sessions)
    return await import_history.import_history(sessions, known, user_id, csv, Order(contents=contents))


async def half_stars(sessions: Sessions, user_id: int = 1) -> dict[int, int]:
    movie_ids, values, _ = await ratings.history(sessions, user_id)
    return dict(zip(movie_ids.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize(
    ("title", "year", "movie"),
    [
        ("Alien", "1979", 1),
        ("ALIEN!", "1979", 1),
        ("ALIEN", "1980", 1),
        ("ALIEN!", "1980", None),
        ("Alien", "1981", None),
        ("Amelie", "2001", 2),
        ("Le fabuleux destin d’Amélie Poulain", "2001", 2),
        ("Matrix", "1999", None),
        ('"Matrix, The"', "1999", 3),
        ("Solaris", "1972", 4),
        ("Solaris", "2001", 5),
        ("Solaris", "", None),
        ("Crash", "", None),
        ("Crash (2004)", "", 6),
        ("Crash (2004)", "1996", None),
        ("Crash (Part Two)", "2004", None),
        ("Twins", "2010", None),
        ("Unheard Of", "1999", None),
    ],
)
async def test_movies_match_by_title_and_year(
    movies: Sessions, title: str, year: str, movie: int | None
) -> None:
    done = await bring(movies, f"{LETTERBOXD}2024-03-01,{title},{year},https://x,4\n")
    assert await half_stars(movies) == ({} if movie is None else {movie: 8})
    assert [(each.line, each.shown.startswith(title.strip('"'))) for each in done.skipped] == (
        [(2, True)] if movie is None else []
    )


@pytest.mark.parametrize(
    ("row", "movie"),
    [
        ("1214,,,5,x", 1),
        ("9999,0078748,,5,x", 1),
        ("9999,,348,5,x", 1),
        ("9999,,,5,Alien (1979)", None),  # MovieLens has another id for it
        ('9999,,,5,"Matrix, The (1999)"', 3),
        ("9999,0375679,,5,x", 6),
        ("9999,0115964,,5,Crash (2004)", None),  # IMDb has another id for it
    ],
)
async def test_an_id_decides(movies: Sessions, row: str, movie: int | None) -> None:
    await bring(movies, f"movie_id,imdb_id,tmdb_id,rating,title\n{row}\n")
    assert await half_stars(movies) == ({} if movie is None else {movie: 10})


async def test_each_row_is_accounted_for(movies: Sessions) -> None:
    rows = [
        "2024-03-01,Alien,1979,x,4",
        ",Twins,2010,x,3",
        ",Alien,1979,x,9",
        ",Solaris,1972,x,",
        ",No,1901,x,1",
    ]
    done = await bring(movies, LETTERBOXD + "\n".join(rows))
    assert (done.rated, done.unrated[Contents.WATCHED], done.changed) == (1, 1, 2)
    assert [(each.line, each.shown) for each in done.skipped] == [
        (3, "Twins (2010)"),
        (4, "Alien (1979)"),
        (6, "No (1901)"),
    ]
    assert [each.reason for each in done.skipped] == [
        matching.SEVERAL,
        "9 is not a rating on the scale.",
        matching.NO_MOVIE,
    ]


async def test_the_newest_rating_of_a_movie_counts(movies: Sessions) -> None:
    rows = ["2024-03-01,Alien,1979,x,4", "2023-03-01,Alien,1979,x,2", "2024-03-02,Alien,1979,x,"]
    for order in (rows, rows[::-1]):
        await bring(movies, LETTERBOXD + "\n".join(order))
        assert await half_stars(movies) == {1: 8}


async def test_a_second_import_changes_nothing(movies: Sessions) -> None:
    file = LETTERBOXD + "2024-03-01,Alien,1979,x,4\n2024-03-01,Solaris,1972,x,\n"
    assert (await bring(movies, file)).changed == 2
    assert (await bring(movies, file)).changed == 0
    undated = "movieId,rating\n1214,4.0\n"
    assert (await bring(movies, undated)).changed == 0


async def test_a_later_rating_is_kept(movies: Sessions) -> None:
    await ratings.rate(movies, 1, 1, 1.5)
    assert (await bring(movies, LETTERBOXD + "2024-03-01,Alien,1979,x,4\n")).changed == 0
    assert await half_stars(movies) == {1: 3}


@pytest.mark.parametrize(
    ("contents", "kind", "fraction"),
    [
        (Contents.WATCHED, "WATCH", 1),
        (Contents.WATCHLIST, "WATCHLIST", None),
        (Contents.LIKED, "LIKE", None),
    ],
)
async def test_unrated_movies_become_events(
    movies: Sessions, contents: Contents, kind: str, fraction: float | None
) -> None:
    file = "Date,Name,Year,Letterboxd URI\n2021-02-01,Alien,1979,x\n"
    assert [(await bring(movies, file, contents=contents)).changed for _ in range(2)] == [1, 0]
    async with movies() as session:
        (event,) = (await session.scalars(select(Feedback))).all()
    assert (event.movie_id, event.kind, event.watched_fraction) == (1, kind, fraction)
    assert event.occurred_at.isoformat() == "2021-02-01T00:00:00+00:00"
    assert await half_stars(movies) == {}


async def test_movie_statistics_are_updated(movies: Sessions) -> None:
    """Also when several members import at the same time."""
    rows = [f"2024-03-01,{movie['title']},{movie['year']},x,3" for movie in MOVIES[:6]]
    await asyncio.gather(
        *(
            bring(movies, LETTERBOXD + "\n".join(order), user_id)
            for user_id, order in ((1, rows), (2, rows[::-1]), (1, rows), (2, rows))
        )
    )
    async with movies() as session:
        query = text("SELECT movie_id, rating_count, half_stars_sum FROM movie_stats ORDER BY movie_id")
        assert [tuple(row) for row in await session.execute(query)] == [(id_, 2, 12) for id_ in range(1, 7)]


async def test_a_movie_deleted_during_the_import(movies: Sessions) -> None:
    before = await snapshot.load(movies)
    async with movies.begin() as session:
        await session.execute(delete(Movie).where(Movie.id == 1))
    rows = LETTERBOXD + "2024-03-01,Alien,1979,x,4\n2024-03-01,The Matrix,1999,x,4\n"
    done = await import_history.import_history(movies, before, 1, rows, Order())
    assert await half_stars(movies) == {3: 8}
    assert [(each.line, each.reason) for each in done.skipped] == [(2, import_history.DELETED)]


async def test_ratings_are_stored_in_few_statements(movies: Sessions, statements: list[str]) -> None:
    known = await snapshot.load(movies)
    statements.clear()
    rows = [f"2024-03-01,{movie['title']},{movie['year']},x,3" for movie in MOVIES[:6]]
    await import_history.import_history(movies, known, 1, LETTERBOXD + "\n".join(rows * 50), Order())
    assert len(statements) == 3


@pytest.mark.parametrize(
    "day",
    ["", "soon", "0000-00-00", "31.02.2014", "2199-01-01", "03/04/2014", "99999999999999999999", "41654"],
)
async def test_a_rating_without_a_date_replaces_none(movies: Sessions, day: str) -> None:
    await ratings.rate(movies, 1, 1, 5)
    row = f"{day},Alien,1979,x,1\n"
    done = await bring(movies, LETTERBOXD + row)
    assert (done.rated, done.changed, len(done.matches)) == (0, 0, 0)
    ((line, reason),) = [(each.line, each.reason) for each in done.skipped]
    assert line == 2
    assert day in reason
    assert await half_stars(movies) == {1: 10}
    for rows in (row + "2020-01-01,Alien,1979,x,4\n", "2020-01-01,Alien,1979,x,4\n" + row):
        await bring(movies, LETTERBOXD + rows, user_id=2)
        assert await half_stars(movies, 2) == {1: 8}, "a dated row of the file stands"
    assert (await bring(movies, LETTERBOXD + f"{day},Alien,1979,x,5\n")).skipped == [], "it says the same"
    assert (await bring(movies, LETTERBOXD + f"{day},Solaris,1972,x,1\n")).changed == 1


@pytest.mark.parametrize(
    ("day", "rated_at"),
    [
        ("Wed Jan 15 00:00:00 2014", "2014-01-15"),
        ("15.01.2014", "2014-01-15"),
        ("15/01/2014", "2014-01-15"),
        ("1/15/2014", "2014-01-15"),
        ("1/15/14", "2014-01-15"),
        ("15 Jan 2014", "2014-01-15"),
        ('"January 15, 2014"', "2014-01-15"),
        ("2014/01/15 10:30", "2014-01-15"),
        ("2014-01-15 10:30:00 UTC", "2014-01-15"),
        ("20140115", "2014-01-15"),
        ("1389744000", "2014-01-15"),
        ("1389744000000", "2014-01-15"),
        ("05/05/2014", "2014-05-05"),
    ],
)
async def test_dates_of_sites_and_spreadsheets(movies: Sessions, day: str, rated_at: str) -> None:
    done = await bring(movies, f"{LETTERBOXD}{day},Alien,1979,x,4\n")
    assert [str(match.row.at)[:10] for match in done.matches] == [rated_at]
    await ratings.rate(movies, 2, 1, 5)
    assert (await bring(movies, f"{LETTERBOXD}{day},Alien,1979,x,4\n", user_id=2)).changed == 0


async def test_an_event_without_a_date_precedes_all_others(movies: Sessions) -> None:
    event = feedback.Event(1, feedback.Kind.DISLIKE)
    await feedback.record(movies, 1, [event])
    await bring(movies, "Date,Name,Year,Letterboxd URI\n,Alien,1979,x\n", contents=Contents.LIKED)
    async with movies() as session:
        order = select(Feedback.kind).where(Feedback.user_id == 1).order_by(Feedback.occurred_at)
        assert (await session.scalars(order)).all() == ["LIKE", "DISLIKE"]


async def test_a_diary_has_dates_of_watching_and_of_rating(movies: Sessions) -> None:
    diary = (
        "Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\n"
        "2023-04-11,Alien,1979,x,,,,2009-05-01\n2023-04-12,Solaris,1972,x,4,,,2009-05-02\n"
        "2023-04-13,Alien,1979,x,,Yes,,2012-05-01\n2023-04-14,Alien,1979,x,,Yes,,\n"
    )
    done = await bring(movies, diary)
    assert (done.rated, done.unrated[Contents.WATCHED], done.skipped) == (1, 1, [])
    assert [str(match.row.at)[:10] for match in done.matches] == [
        "2009-05-01", "2023-04-12", "2012-05-01", "2023-04-14",
    ]  # fmt: skip
    async with movies() as session:
        (event,) = (await session.scalars(select(Feedback))).all()
        (rating,) = (await session.scalars(select(Rating))).all()
    assert (event.movie_id, str(event.occurred_at)[:10]) == (1, "2023-04-14")
    assert (rating.movie_id, str(rating.rated_at)[:10]) == (4, "2023-04-12")


async def test_an_archive_is_imported_as_a_whole(movies: Sessions) -> None:
    """A rated movie gets one rating, from the file with the current ratings."""
    header = "Date,Name,Year,Letterboxd URI"
    files = {
        "ratings.csv": f"{header},Rating\n2020-01-01,Alien,1979,x,4.5\n,Twins,2010,x,4\n",
        "diary.csv": f"{header},Rating,Watched Date\n2022-01-01,Alien,1979,x,1,2021-12-31\n",
        "watched.csv": f"{header}\n2020-01-01,Alien,1979,x\n2021-02-01,Solaris,1972,x\n",
        "watchlist.csv": f"{header}\n2021-02-01,Solaris,2002,x\n",
        "likes/films.csv": f"{header}\n2021-02-02,Solaris,1972,x\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text_ in files.items():
            archive.writestr(name, text_)
    known = await snapshot.load(movies)
    file = b64encode(buffer.getvalue()).decode()
    done = await import_history.import_history(movies, known, 1, None, Order(), file=file)
    assert (done.rated, done.changed) == (1, 4)
    assert done.unrated == {Contents.WATCHED: 1, Contents.WATCHLIST: 1, Contents.LIKED: 1}
    assert [(row.file, row.line, row.reason) for row in done.skipped] == [
        ("ratings.csv", 3, matching.SEVERAL)
    ]
    assert await half_stars(movies) == {1: 9}
