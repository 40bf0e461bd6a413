"""Matching of rows to movies. A wrong match is worse than none."""

import gc
from datetime import UTC, datetime
from typing import Any

import pytest

from app.ingest import history_files
from app.ingest.matching import NEAR_YEARS, OTHER_YEAR, MatchedBy, MovieIndex, matched
from app.ingest.pieces import at_once
from app.ingest.rows import Contents, Order
from app.serving.cards import Card

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LETTERBOXD = "Date,Name,Year,Letterboxd URI,Rating\n"
IMDB = "Const,Your Rating,Date Rated,Title,Original Title,Title Type,Year\n"
ID, YEAR, NEAR = MatchedBy


def card(id_: int, title: str, year: int | None, **known: Any) -> Card:
    empty = dict.fromkeys(Card.__dataclass_fields__) | {
        name: () for name in ("countries", "keywords", "genres", "directors", "cast", "alternative_titles")
        if name in Card.__dataclass_fields__
    }  # fmt: skip
    return Card(**{**empty, "id": id_, "title": title, "year": year, **known})


MOVIES = [
    card(1, "Reservoir Dogs", 1992, imdb_id="tt0105236", tmdb_id=500, movielens_id=1089),
    card(2, "In the Mood for Love", 2000, original_title="花樣年華"),
    card(3, "The Odyssey", 1997),
    card(4, "Network", 1976),
    card(5, "Heat", 1995, imdb_id="tt0113277", tmdb_id=949),
    card(6, "A Study in Pink", 2010, imdb_id="tt1665071"),
    card(7, "The Matrix", 1999, imdb_id="tt0133093", tmdb_id=603),
    card(8, "Twins", 2010),
    card(9, "Twins", 2010),
    card(10, "Suspiria", 1977),
    card(11, "Suspiria", 1979),
    card(12, "Lost Highway", 1997, tmdb_id=4607),
    card(13, "mother!", 2017),
    card(14, "Mother", 2017),
    card(15, "Che", 2008),
    card(16, "Bye Bye, Love", 1995, movielens_id=603),
    card(17, "2012", 2009),
    card(18, "Planet Earth", 2006, imdb_id="tt0795176"),
    card(19, "Fargo", 2014),
    card(20, "Frozen", 2010),
    card(21, "Halloween: H20", 1998, alternative_titles=("Halloween H20: 20 Years Later", "Halloween 7")),
    card(22, "Sid & Nancy", 1986),
    card(23, "Your Friends and Neighbors", 1998),
    card(24, "Evil Dead", 2013, alternative_titles=("Posession",)),
    card(25, "Posession", 2013),
]


def found(text: str, contents: Contents | None = None) -> dict[int, tuple[int, MatchedBy]]:
    """The movie of each line."""
    history = at_once(history_files.read(text, None, Order(contents=contents), NOW))
    matches, skipped = at_once(matched(history.rows, at_once(MovieIndex.of(MOVIES))))
    assert len(matches) + len(skipped) == len(history.rows)
    assert all(row.reason for row in (*skipped, *history.skipped))
    return {match.row.line: (match.movie_id, match.by) for match in matches}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # The file has a row of the exact year, so a row of a neighboring year is another movie.
        (["Reservoir Dogs,1992", "Reservoir Dogs,1991"], {2: (1, YEAR)}),
        (["Reservoir Dogs,1991", "Reservoir Dogs,1992"], {3: (1, YEAR)}),
        (["Reservoir Dogs,1991"], {2: (1, NEAR)}),
        (["Reservoir Dogs,1991", "Reservoir Dogs,1993"], {}),
        (["Reservoir Dogs,1991", "RESERVOIR DOGS,1991"], {2: (1, NEAR), 3: (1, NEAR)}),
        (["Reservoir Dogs,1990"], {}),
        (["Reservoir Dogs!,1991"], {}),
        (["In the Mood for Love,2000", "@ in the mood for love,2001"], {2: (2, YEAR)}),
        (["In the Mood for Love,2000", "@ in the mood for love,2000"], {2: (2, YEAR)}),
        (["@ in the mood for love,2001"], {}),
        (["花樣年華,2000"], {2: (2, YEAR)}),
        (["Suspiria,1978"], {}),
        (["Suspiria,1976"], {2: (10, NEAR)}),
        (["Twins,2010"], {}),
        (["Twins,2011"], {}),
        (["mother!,2017", "Mother,2017"], {2: (13, YEAR), 3: (14, YEAR)}),
        (["MOTHER?,2017"], {}),
        (["The Odyssey,", "Network,", "2012,"], {}),
        (["Odyssey,1997"], {}),
        (['"Odyssey, The",1997'], {2: (3, YEAR)}),
        (["Heat (1995),", "Heat (1995),1995", "Heat (1986),1995", "2012,2009"],
         {2: (5, YEAR), 3: (5, YEAR), 5: (17, YEAR)}),
        # Titles of other sources match, but not with a neighboring year.
        (["Halloween H20: 20 Years Later,1998", "Halloween: H20,1998"], {2: (21, YEAR), 3: (21, YEAR)}),
        (["Halloween 7,1997"], {}),
        (["Posession,2013"], {2: (25, YEAR)}),
        (["Posession,2012"], {}),
        (["Sid and Nancy,1986", "Your Friends & Neighbors,1998"], {2: (22, YEAR), 3: (23, YEAR)}),
        (["Sid and Nancy,1987"], {}),
        (["Che (Part Two),2008", "Che: Part Two,2008", "Che,2008"], {4: (15, YEAR)}),
        (["Heat,19995", "Heat,1995.0", 'Heat,"1,995"', "Heat,1995-12-15", "Heat,95"],
         {3: (5, YEAR), 4: (5, YEAR), 5: (5, YEAR)}),
    ],
)  # fmt: skip
def test_a_title_needs_its_year(rows: list[str], expected: dict[int, tuple[int, MatchedBy]]) -> None:
    text = LETTERBOXD + "".join(f"2020-01-01,{row},https://boxd.it/x,4\n" for row in rows)
    assert found(text) == expected


@pytest.mark.parametrize(
    ("years", "reasons"),
    [((1991, 1993), [NEAR_YEARS] * 2), ((1991, 1992), [OTHER_YEAR]), ((1991, 1992, 1993), [OTHER_YEAR] * 2)],
)
def test_a_skipped_neighboring_year_has_its_reason(years: tuple[int, ...], reasons: list[str]) -> None:
    text = LETTERBOXD + "".join(f"2020-01-01,Reservoir Dogs,{year},https://boxd.it/x,4\n" for year in years)
    history = at_once(history_files.read(text, None, Order(), NOW))
    _, skipped = at_once(matched(history.rows, at_once(MovieIndex.of(MOVIES))))
    assert [row.reason for row in skipped] == reasons


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # An id decides before kind, title and year.
        (["tt1665071,9,,x,,tvEpisode,1901"], {2: (6, ID)}),
        (["tt0795176,8,,Planet Earth,,TV Mini Series,2006"], {2: (18, ID)}),
        (["tt0133093,7,,Matrix,,Película,1999"], {2: (7, ID)}),
        (["tt0105236,7,,Reservoir Dogs,,Feature Movie,1992", "tt0999999,2,,Reservoir Dogs,,Short,1991"],
         {2: (1, ID)}),
        (["tt0000009,7,,The Matrix,,Movie,1999"], {}),
        # A row of another kind than movies does not match by title.
        (["tt0000009,7,,Fargo,,TV Series,2014", "tt0000009,7,,Fargo,,Serie TV,2014"], {}),
        (["tt0000009,7,,Fargo,,Fernsehserie,2014", "tt0000009,7,,Fargo,,Videospiel,2014"], {}),
        (["tt0000009,7,,Fargo,,Minissérie de televisão,2014", "tt0000009,7,,Fargo,,Сериал,2014"], {}),
        (["tt0000009,7,,Fargo,,Podcast Episode,2014", "tt0000009,7,,Fargo,,テレビシリーズ,2014"], {}),
        (["tt0000009,7,,Fargo,,Cortometraje,2014"], {2: (19, YEAR)}),
        (["tt0000009,7,,Fargo,,,2013"], {}),
        (["tt0000009,7,,Amor,In the Mood for Love,Movie,2000"], {2: (2, YEAR)}),
        (["tt0000009,7,,Frozen,Fargo,Movie,2010"], {2: (20, YEAR)}),
        (["https://www.imdb.com/title/tt0133093/,7,,,,,", "nm0000206,7,,,,,"], {2: (7, ID)}),
    ],
)  # fmt: skip
def test_an_id_decides_before_the_kind(rows: list[str], expected: dict[int, tuple[int, MatchedBy]]) -> None:
    assert found(IMDB + "\n".join(rows)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # TMDB numbers series separately, and the ids in an episode's row are those of its series.
        ("watched_at,type,title,year,trakt_id,imdb_id,tmdb_id\n,show,Lost,2004,73,tt0411008,4607\n", {}),
        ("watched_at,type,title,year,trakt_id,imdb_id,tmdb_id\n,movie,x,,73,,4607\n", {2: (12, ID)}),
        (("watched_at,type,title,year,trakt_id,imdb_id,season_number,episode_number,episode_imdb_id\n"
         ",episode,Planet Earth,2006,1,tt0795176,1,1,tt1111111\n"), {}),
        (("watched_at,type,title,year,trakt_id,imdb_id,season_number,episode_number,episode_imdb_id\n"
         ",episode,Sherlock,2010,1,tt1475582,1,1,tt1665071\n"), {2: (6, ID)}),
        # Ids of two movies match neither.
        ("movieId,imdbId,tmdbId,rating\n1089,0133093,,4\n", {}),
        # `movie_id` of another site is not a MovieLens id.
        ("movie_id,title,year,rating\n603,The Matrix,1999,4\n", {}),
        ('movie_id,title,year,rating\n603,"Bye Bye, Love",1995,4\n', {2: (16, ID)}),
        ("movie_id,imdb_id,tmdb_id,rating,title\n603,,,4,another title\n", {2: (16, ID)}),
        ("userId,movieId,rating,timestamp\n1,603,4,964982703\n", {2: (16, ID)}),
        (("SIMKL_ID,Title,Type,Year,Watchlist,LastEpWatched,WatchedDate,Rating,Memo,TVDB,TMDB,IMDB\n"
         "1,Heat,movie,1995,completed,,2020-01-01,9,,,949,tt0113277\n"
         "2,Lost,tv,1997,completed,,2020-01-01,9,,,4607,tt0411008\n"
         "3,Suspiria,movie,1977,plantowatch,,,,,,,\n"
         "4,Network,movie,1976,dropped,,,,,,,\n"), {2: (5, ID), 4: (10, YEAR)}),
    ],
)  # fmt: skip
def test_ids_match_only_movies(text: str, expected: dict[int, tuple[int, MatchedBy]]) -> None:
    assert found(text) == expected


def test_fields_shifted_by_an_unquoted_comma_are_not_read() -> None:
    rows = "2020-01-01,Network, The,1999,https://x\n2020-01-01,Heat, Dust and Gold,1983,https://x\n"
    assert found("Date,Name,Year,Letterboxd URI\n" + rows, Contents.WATCHED) == {}
    # As many values as the header has.
    assert found(LETTERBOXD + rows) == {}
    assert found("Date,Name,Year,Letterboxd URI\n2020,Heat\n", Contents.WATCHED) == {}


def test_netflix_titles_without_a_year_match_no_movie() -> None:
    assert found('Title,Date\n"Heat","1/15/20"\n"Lost: Season 1: Pilot","1/15/20"\n') == {}


def test_collections_of_garbage_skip_the_index() -> None:
    index = at_once(MovieIndex.of(MOVIES))
    gc.collect()
    assert not gc.is_tracked(index.by_title)
    assert not gc.is_tracked(index.by_id)
