"""Online updates: ratings change the lists of other members without a training."""

import time
from base64 import b64encode
from typing import Any

import httpx
import psycopg
import pytest

from tests.schema.conftest import Ask, Member, asking, sign_up
from tests.services import StartServer

RATERS = 12
NEAR = 100  # of 828 movies
LEAST_KNOWN = """
SELECT movies.id FROM movies LEFT JOIN movie_stats ON movie_id = movies.id
ORDER BY coalesce(rating_count, 0), movies.id LIMIT 1
"""


@pytest.fixture
def ask(
    start_server: StartServer, seeded_database_url: str, http: httpx.Client, operations: dict[str, str]
) -> Ask:
    service = start_server(seeded_database_url, LEARNING_SECONDS="3", POLL_SECONDS="0.1")
    return asking(service.url, http, operations)


def known_movies(ask: Ask, genre: str) -> list[str]:
    order = {"field": "POPULARITY", "direction": "DESC"}
    body = ask("Movies", first=8, filter={"genres": [genre]}, orderBy=order)
    return [edge["node"]["id"] for edge in body["data"]["movies"]["edges"]]


def member_who_likes(ask: Ask, movies: list[str], *, but_not: list[str]) -> Member:
    member = sign_up(ask)
    for movie, stars in [*((each, 5.0) for each in movies), *((each, 1.0) for each in but_not)]:
        assert ask("RateMovie", member.token, movie=movie, stars=stars)["data"]["rateMovie"]["rating"]
    return member


def rank(ask: Ask, member: Member, movie: str) -> int:
    page: dict[str, Any] = {"endCursor": None, "hasNextPage": True}
    while page["hasNextPage"]:
        body = ask("Recommendations", member.token, first=100, after=page["endCursor"])
        page = body["data"]["recommendations"]["pageInfo"]
        for edge in body["data"]["recommendations"]["edges"]:
            if edge["node"]["id"] == movie:
                return int(edge["rank"])
    raise AssertionError("the movie is in no list")


def test_a_movie_liked_by_some_ranks_higher_for_members_of_the_same_taste(
    ask: Ask, seeded_database_url: str
) -> None:
    with psycopg.connect(seeded_database_url) as connection:
        (movie_id,) = connection.execute(LEAST_KNOWN).fetchone() or (0,)
    movie = b64encode(f"Movie:{movie_id}".encode()).decode()
    scares, songs = known_movies(ask, "Horror"), known_movies(ask, "Romance")
    friend = member_who_likes(ask, scares[:6], but_not=songs[:3])
    other = member_who_likes(ask, songs[:6], but_not=scares[:3])
    began = ask("Recommendations", friend.token, first=20)["data"]["recommendations"]
    before = rank(ask, friend, movie), rank(ask, other, movie)
    raters = [member_who_likes(ask, [*scares, movie], but_not=songs[:3]) for _ in range(RATERS)]
    deadline = time.monotonic() + 60
    while (now := rank(ask, friend, movie)) > NEAR and time.monotonic() < deadline:
        time.sleep(0.2)
    assert now <= NEAR < before[0]
    assert rank(ask, other, movie) > 4 * now
    # A list that began before the update does not change.
    again = ask("Recommendations", friend.token, first=19, after=began["edges"][0]["cursor"])
    began_with = [edge["node"]["id"] for edge in began["edges"]]
    assert [edge["node"]["id"] for edge in again["data"]["recommendations"]["edges"]] == began_with[1:]
    for rater in raters:
        assert "errors" not in ask("RemoveRating", rater.token, movie=movie)
    while rank(ask, friend, movie) < before[0] // 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert rank(ask, friend, movie) > before[0] // 2
