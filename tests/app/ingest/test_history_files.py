"""Exports of sites, and invalid files."""

from datetime import UTC, datetime

import pytest

from app.ingest import history_files
from app.ingest.layouts import InvalidHistory, Source
from app.ingest.pieces import at_once
from app.ingest.rows import Contents, DateOrder, History, Order, Row

NOW = datetime(2026, 1, 1, tzinfo=UTC)

LETTERBOXD = """Date,Name,Year,Letterboxd URI,Rating
2024-03-01,Past Lives,2023,https://boxd.it/x,4.5
2024-03-02,"Good, the Bad and the Ugly, The",1966,https://boxd.it/y,5
"""
DIARY = """Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date
2021-02-01,Alien,1979,https://boxd.it/d1,4,,"night,\nin",2021-01-31
2024-07-01,Aliens,1986,https://boxd.it/d2,,Yes,,2024-06-30
"""
WATCHED = """Date,Name,Year,Letterboxd URI
2021-02-01,Alien,1979,https://boxd.it/a
"""
IMDB = """Const,Your Rating,Date Rated,Title,Original Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,\
Genres,Num Votes,Release Date,Directors
tt0078748,9,2014-07-22,Alien,Alien,https://www.imdb.com/title/tt0078748/,Movie,8.5,117,1979,\
"Horror, Sci-Fi",1,1979-05-25,Ridley Scott
tt0903747,10,2014-07-22,Breaking Bad,Breaking Bad,https://x,TV Series,9.5,45,2008,Crime,1,2008-01-20,
"""
TRAKT = """rated_at,type,title,year,trakt_rating,trakt_id,imdb_id,tmdb_id,tvdb_id,url,released,season_number,\
episode_number,episode_title,episode_released,episode_trakt_rating,episode_trakt_id,episode_imdb_id,\
episode_tmdb_id,episode_tvdb_id,genres,rating
2021-03-22T06:33:12Z,movie,Alien,1979,8.4,295,tt0078748,348,,https://x,1979-05-25,,,,,,,,,,horror,8
2021-03-22T06:33:12Z,episode,Lost,2004,8.1,73,tt0411008,4607,1,https://x,2004-09-22,1,1,Pilot,,,,,,,drama,9
"""
TRAKT_HISTORY = """watched_at,type,title,year,trakt_id,imdb_id,tmdb_id
2021-03-22T06:33:12.000Z,movie,Alien,1979,295,tt0078748,348
"""
MOVIELENS_SITE = """movie_id,imdb_id,tmdb_id,rating,average_rating,title
1214,0078748,348,3.0,4.06974,Alien (1979)
"""
MOVIELENS = """userId,movieId,rating,timestamp
7,1214,4.0,964982703
"""


LISTS = {
    Source.LETTERBOXD: WATCHED,  # watched.csv, watchlist.csv and likes/films.csv alike
    Source.IMDB: """Position,Const,Created,Modified,Description,Title,Original Title,URL,Title Type,\
IMDb Rating,Runtime (mins),Year,Genres,Num Votes,Release Date,Directors,Your Rating,Date Rated
1,tt0078748,2021-02-01,2021-02-01,,Alien,Alien,https://x,Movie,8.5,117,1979,Horror,1,1979-05-25,Ridley Scott,,
""",
    Source.TRAKT: """rank,listed_at,type,title,year,trakt_id,imdb_id,tmdb_id,tvdb_id,url,released,genres
1,2021-02-01T00:00:00Z,movie,Alien,1979,295,tt0078748,348,,https://x,1979-05-25,horror
""",
    Source.MOVIELENS: "movie_id,imdb_id,tmdb_id,average_rating,title\n1214,0078748,348,4.1,Alien (1979)\n",
}


def read(
    text: str,
    source: Source | None = None,
    contents: Contents | None = None,
    date_order: DateOrder | None = None,
) -> History:
    return at_once(history_files.read(text, None, Order(source, contents, date_order), NOW))


def usable(history: History) -> list[Row]:
    return [row for row in history.rows if not row.fault and not row.nameless]


def facts(text: str) -> list[tuple[object, ...]]:
    return [
        ("".join(row.titles[:1]), row.year, row.imdb_id, row.tmdb_id, row.half_stars)
        for row in usable(read(text))
    ]


@pytest.mark.parametrize(
    ("text", "source", "rows"),
    [
        (
            LETTERBOXD,
            Source.LETTERBOXD,
            [
                ("Past Lives", 2023, None, None, 9),
                ("Good, the Bad and the Ugly, The", 1966, None, None, 10),
            ],
        ),
        (DIARY, Source.LETTERBOXD, [("Alien", 1979, None, None, 8), ("Aliens", 1986, None, None, None)]),
        (IMDB, Source.IMDB, [("Alien", 1979, "tt0078748", None, 9)]),
        (TRAKT, Source.TRAKT, [("Alien", 1979, "tt0078748", 348, 8)]),
        (TRAKT_HISTORY, Source.TRAKT, [("Alien", 1979, "tt0078748", 348, None)]),
        (MOVIELENS_SITE, Source.MOVIELENS, [("Alien (1979)", None, "tt0078748", 348, 6)]),
        (MOVIELENS, Source.MOVIELENS, [("", None, None, None, 8)]),
    ],
)
def test_each_layout_is_detected_by_its_header(
    text: str, source: Source, rows: list[tuple[object, ...]]
) -> None:
    for written in (text, "\ufeff" + text, text.replace("\n", "\r\n"), text.rstrip("\n")):
        assert read(written).source is source
        assert facts(written) == rows
    assert read(text, source).source is source


@pytest.mark.parametrize("contents", Contents)
def test_contents_set_the_purpose_of_a_list(contents: Contents) -> None:
    for source, text in LISTS.items():
        with pytest.raises(InvalidHistory, match="`contents`"):
            read(text)
        history = read(text, contents=contents)
        assert (history.source, history.rows[0].contents, history.skipped) == (source, contents, [])
        (row,) = history.rows
        assert (row.titles[0].startswith("Alien"), row.half_stars) == (True, None)
        assert row.at == (None if source is Source.MOVIELENS else datetime(2021, 2, 1, tzinfo=UTC))


def test_ratings_in_a_list_count_as_ratings() -> None:
    rated = LISTS[Source.IMDB].replace("Ridley Scott,,", "Ridley Scott,9,2022-05-01")
    for contents in (None, *Contents):
        (row,) = read(rated, contents=contents).rows
        assert (row.half_stars, row.at) == (9, datetime(2022, 5, 1, tzinfo=UTC))


def test_rows_are_numbered_by_their_first_line() -> None:
    lines = [row.line for row in read(DIARY).rows]
    assert lines == [2, 4]


def test_times_are_parsed() -> None:
    texts = (LETTERBOXD, IMDB, TRAKT, MOVIELENS, MOVIELENS_SITE)
    times = [read(text).rows[0].at for text in texts]
    assert times == [
        datetime(2024, 3, 1, tzinfo=UTC),
        datetime(2014, 7, 22, tzinfo=UTC),
        datetime(2021, 3, 22, 6, 33, 12, tzinfo=UTC),
        datetime(2000, 7, 30, 18, 45, 3, tzinfo=UTC),
        None,
    ]
    ahead = LETTERBOXD.replace("2024-03-01", "2199-01-01").replace("2024-03-02", "soon")
    assert [(row.at, row.unread_day) for row in read(ahead).rows] == [(None, "2199-01-01"), (None, "soon")]
    tomorrow = LETTERBOXD.replace("2024-03-01", "2026-01-01T14:00:00")
    assert read(tomorrow).rows[0].at == NOW, "a day begins earlier elsewhere"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (IMDB, "It is not a movie (TV Series)."),
        (TRAKT, "It is not a movie (episode)."),
        ("Const,Your Rating\ntt0078748,\n", "It has no rating."),
        ("Const,Your Rating\ntt0078748,11\n", "11 is not a rating on the scale."),
        ("movieId,rating\n1,4.3\n", "4.3 is not a rating on the scale."),
        ("movieId,rating\n1,nan\n", "nan is not a rating on the scale."),
        ("movieId,rating\n1,0\n", "It has no rating."),
        ("movieId,rating\n1,-1\n", "-1 is not a rating on the scale."),
        ("movieId,rating\n1,A+\n", "A+ is not a rating on the scale."),
        ('movieId,rating\n1,"1,000"\n', "1,000 is not a rating on the scale."),
        (
            "Name,Year,Letterboxd URI,Rating\n" + "x" * 301 + ",1999,y,3\n",
            "Its title has more than 300 characters.",
        ),
        ("Name,Year,Letterboxd URI,Rating\nA\0lien,1979,y,3\n", "Its title has a NUL character."),
        ("Name,Year,Letterboxd URI,Rating\nAlien,soon,y,3\n", "soon is not a year."),
        ("movieId,rating\n99999999999999999999,3\n", "It has neither a title nor an id."),
        ("Name,Letterboxd URI,Rating\n,https://x,3\n", "It has neither a title nor an id."),
    ],
)
def test_skipped_rows_have_a_reason(text: str, reason: str) -> None:
    history = read(text)
    reasons = [(each.line, each.reason) for each in history.skipped]
    reasons += [(row.line, row.fault or row.nameless) for row in history.rows if row.fault or row.nameless]
    assert reasons == [(text.count("\n"), reason)]


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        ("", None, "header"),
        ("a,b\n1,2\n", None, "header"),
        (LETTERBOXD, Source.IMDB, "header"),
        ("Const,Title\ntt1,Alien\n", None, "`contents`"),
        ("userId,movieId,rating,timestamp\n1,1,4,1\n2,1,4,1\n", None, "different user"),
        pytest.param("Const,Your Rating\n" + "tt1,5\n" * 20_001, None, "20000 rows", id="many rows"),
        pytest.param("x" * 3_000_001, None, "3000000 characters", id="large"),
        pytest.param('Const,Your Rating\n"' + "x" * 200_000 + '",5\n', None, "Line 2", id="a large field"),
    ],
)
def test_invalid_files_are_refused(text: str, source: Source | None, message: str) -> None:
    with pytest.raises(InvalidHistory, match=message):
        read(text, source)


def test_other_separators_and_empty_lines() -> None:
    text = "Const;Your Rating;Title;Year\n\ntt0078748;9;Alien;1979\n;;;\n"
    assert facts(text) == [("Alien", 1979, "tt0078748", None, 9)]
    assert facts("movie_id\ttmdb_id\trating\n1214\t348.0\t3,5\n") == [("", None, None, 348, 7)]


def imdb_row(kind: str = "Film", rating: str = "9", day: str = "2020-01-31") -> Row:
    text = f'Const,Title,Title Type,Year,Your Rating,Date Rated\ntt1,Alien,{kind},1979,{rating},"{day}"\n'
    (row,) = read(text).rows
    return row


@pytest.mark.parametrize(
    "kind",
    [
        "Fernsehserie",
        "Épisode télé",
        "टीवी सीरीज़",
        "वीडियो गेम",
        "Video musicale",
        "電視劇",
        "비디오 게임",
        "游戏",
    ],
)
def test_other_kinds_in_other_languages_do_not_match_by_title(kind: str) -> None:
    assert imdb_row(kind).nameless == f"It is not a movie ({kind})."


@pytest.mark.parametrize(
    "kind", ["Film", "Película", "Corto", "Speciale TV", "फ़िल्म", "映画", "Kort", "Documental"]
)
def test_movies_in_other_languages_match_by_title(kind: str) -> None:
    assert imdb_row(kind).nameless == ""


@pytest.mark.parametrize(
    "day",
    [
        "31-Jan-20",
        "Fri, 31 Jan 2020 10:00:00 GMT",
        "31 Jan 2020",
        "1580428800",
        "1/31/2020 10:11 PM",
        "2020-01-31 10:11:12 PM",
        "Friday, January 31st, 2020",
        "Jan 31, 2020 10:11",
        "31. Januar 2020",
        "31 janv. 2020",
        "31 de enero de 2020",
        "31 gennaio 2020",
        "2020. 01. 31.",
        "2020年1月31日",
    ],
)
def test_more_dates_are_parsed(day: str) -> None:
    assert str(imdb_row(day=day).at)[:10] == "2020-01-31"


def test_the_time_of_day_of_a_date_is_kept() -> None:
    days = {"1/31/2020 12:30 AM": "00:30:00", "2020-01-31T10:11:12.345Z": "10:11:12.345000"}
    for day, time in days.items():
        assert imdb_row(day=day).at == datetime.fromisoformat(f"2020-01-31T{time}+00:00")


def test_no_word_is_taken_for_a_month() -> None:
    for day in ("31 foo 2020", "31 janx 2020", "Jan 2020", "31 2020", "32 Jan 2020"):
        assert (imdb_row(day=day).at, imdb_row(day=day).unread_day) == (None, day)


@pytest.mark.parametrize(
    ("rating", "half_stars"),
    [("4.5 stars", 9), ("1 star", 2), ("8 out of 10", 8), ("3 of 4", 8), ("7 stars", None), ("4 of 0", None)],
)
def test_ratings_in_words_have_a_scale_of_their_own(rating: str, half_stars: int | None) -> None:
    assert imdb_row(rating=rating).half_stars == half_stars


@pytest.mark.parametrize(("rating", "half_stars"), [("4½", None), ("8½", None), ("9", 9), ("★★★★½", 9)])
def test_halves_are_parsed_on_the_scale(rating: str, half_stars: int | None) -> None:
    assert imdb_row(rating=rating).half_stars == half_stars
    text = f"Date,Name,Year,Letterboxd URI,Rating\n2020-01-01,Alien,1979,x,{rating}\n"
    expected = {"4½": 9, "★★★★½": 9}.get(rating)
    assert [row.half_stars for row in read(text).rows] == [expected]
