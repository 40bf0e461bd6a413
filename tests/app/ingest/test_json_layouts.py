"""Layouts in JSON, and whole exports of Trakt."""

import json
from typing import Any

import pytest

from app.ingest.layouts import InvalidHistory, Source
from app.ingest.rows import Contents
from tests.app.ingest.test_layouts import facts, read, zipped

MOVIE = {"title": "Alien", "year": 1979, "ids": {"trakt": 295, "imdb": "tt0078748", "tmdb": 348}}


SHOW = {"title": "Lost", "year": 2004, "ids": {"imdb": "tt0411008", "tmdb": 4607}}


def test_a_whole_export_of_trakt() -> None:
    files = {
        "ratings-movies.json": [
            {"rated_at": "2020-01-01T00:00:00.000Z", "rating": 9, "type": "movie", "movie": MOVIE}
        ],
        "ratings-shows.json": [{"rating": 9, "type": "show", "show": SHOW}],
        "watched-movies.json": [{"plays": 2, "last_watched_at": "2021-01-01T00:00:00.000Z", "movie": MOVIE}],
        "history-1.json": [
            {
                "watched_at": "2021-01-01T00:00:00.000Z",
                "type": "episode",
                "show": SHOW,
                "episode": {"ids": {"imdb": "tt0000001"}},
            }
        ],
        "lists-watchlist.json": [
            {"rank": 1, "listed_at": "2022-01-01T00:00:00.000Z", "type": "movie", "movie": MOVIE}
        ],
        "user-profile.json": {},
    }
    history = read(file=zipped({f"someone/x/{name}": json.dumps(value) for name, value in files.items()}))
    assert history.source is Source.TRAKT
    assert [facts(row) for row in history.rows if not row.nameless] == [
        ("Alien", 1979, 9, None, "2020-01-01"),
        ("Alien", 1979, None, Contents.WATCHED, "2021-01-01"),
        ("Alien", 1979, None, Contents.WATCHLIST, "2022-01-01"),
    ]
    (episode,) = [row for row in history.rows if row.nameless]
    assert (episode.imdb_id, episode.tmdb_id) == ("tt0000001", None)


JSON: list[tuple[Source, Any, list[tuple[Any, ...]]]] = [
    (
        Source.TRAKT,
        [{"rated_at": "2020-01-01T00:00:00.000Z", "rating": 9, "type": "movie", "movie": MOVIE}],
        [("Alien", 1979, 9, None, "2020-01-01")],
    ),
    (
        Source.SIMKL,
        {
            "shows": [{"status": "completed", "user_rating": 3, "show": SHOW}],
            "movies": [
                {
                    "last_watched_at": "2020-01-01T00:00:00Z",
                    "status": "completed",
                    "user_rating": 9,
                    "movie": MOVIE,
                },
                {"added_to_watchlist_at": "2020-01-02T00:00:00Z", "status": "plantowatch", "movie": MOVIE},
                {"status": "dropped", "movie": MOVIE},
            ],
        },
        [("Alien", 1979, 9, None, "2020-01-01"), ("Alien", 1979, None, Contents.WATCHLIST, "2020-01-02")],
    ),
    (
        Source.PLEX,
        {
            "MediaContainer": {
                "Metadata": [
                    {
                        "type": "movie",
                        "title": "Alien",
                        "year": 1979,
                        "userRating": 8.5,
                        "lastRatedAt": 1577836800,
                        "Guid": [{"id": "imdb://tt0078748"}, {"id": "tmdb://348"}],
                    },
                    {
                        "type": "movie",
                        "title": "Heat",
                        "year": 1995,
                        "viewCount": 1,
                        "lastViewedAt": 1577836800,
                    },
                    {"type": "movie", "title": "Solaris", "year": 1972},
                    {"type": "episode", "title": "Pilot", "year": 2004, "viewCount": 1},
                ]
            }
        },
        [("Alien", 1979, 9, None, "2020-01-01"), ("Heat", 1995, None, Contents.WATCHED, "2020-01-01")],
    ),
    (
        Source.JELLYFIN,
        {
            "Items": [
                {
                    "Name": "Alien",
                    "ProductionYear": 1979,
                    "Type": "Movie",
                    "ProviderIds": {"Imdb": "tt0078748", "Tmdb": "348"},
                    "UserData": {"Played": True, "LastPlayedDate": "2020-01-01T10:00:00.0000000Z"},
                },
                {"Name": "Lost", "ProductionYear": 2004, "Type": "Series", "UserData": {"Played": True}},
            ]
        },
        [("Alien", 1979, None, Contents.WATCHED, "2020-01-01")],
    ),
    (
        Source.TMDB,
        {
            "page": 1,
            "results": [
                {
                    "id": 348,
                    "title": "Alien",
                    "release_date": "1979-05-25",
                    "rating": 8.5,
                    "vote_average": 8.1,
                },
                {"id": 4607, "name": "Lost", "first_air_date": "2004-09-22", "rating": 8},
            ],
        },
        [("Alien", 1979, 9, None, "None")],
    ),
]


@pytest.mark.parametrize(("source", "value", "expected"), JSON)
def test_json_of_known_layouts(source: Source, value: Any, expected: list[tuple[Any, ...]]) -> None:
    text = json.dumps(value, indent=1)
    for history in (read(text), read(file=text.encode()), read(file=zipped({"export.json": text}))):
        assert history.source is source
        assert [facts(row) for row in history.rows if not (row.nameless or row.fault)] == expected
        assert not any(row.tmdb_id == 4607 for row in history.rows), "TMDB numbers series by themselves"


def test_a_list_in_json_needs_its_contents() -> None:
    text = json.dumps([{"rank": 1, "listed_at": "2022-01-01T00:00:00.000Z", "type": "movie", "movie": MOVIE}])
    with pytest.raises(InvalidHistory, match="`contents`"):
        read(text)
    assert [row.contents for row in read(text, contents=Contents.LIKED).rows] == [Contents.LIKED]
