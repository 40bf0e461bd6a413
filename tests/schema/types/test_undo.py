"""Every member action can be undone, with effect from the next list."""

from typing import Any

import pytest

from app.activity.feedback import Kind
from tests.schema.conftest import Ask, Member, code, outcome, sign_up

REMOVE = """
mutation ($movie: ID!, $kinds: [FeedbackKind!]!) {
  removeFeedback(input: { movieId: $movie, kinds: $kinds }) {
    __typename ... on RemoveFeedbackPayload { removed movie { id } } ... on Error { message }
  }
}
"""
TAKE_OFF = """
mutation ($movie: ID!) { removeFromWatchlist(input: { movieId: $movie }) {
    __typename ... on RemoveFromWatchlistPayload { movie { id } } ... on Error { message }
} }
"""
LISTS = """
{ viewer {
    watchlist(first: 50) { edges { node { id } } }
    history(first: 50) { edges { node { kind movie { id } } } }
    taste { genres { affinity } }
} }
"""


@pytest.fixture
def movies(ask: Ask) -> list[str]:
    body = ask("Movies", first=40, orderBy={"field": "POPULARITY", "direction": "DESC"})
    return [edge["node"]["id"] for edge in body["data"]["movies"]["edges"]]


def record(ask: Ask, member: Member, movie: str, *kinds: str) -> None:
    events = [{"movieId": movie, "kind": kind, "watchedFraction": 1.0} for kind in kinds]
    body = ask("RecordFeedback", member.token, events=events)
    assert body["data"]["recordFeedback"]["accepted"] == len(kinds)


def remove(ask: Ask, member: Member, movie: str, *kinds: str) -> dict[str, Any]:
    return outcome(ask(REMOVE, member.token, movie=movie, kinds=list(kinds)), "removeFeedback")


def recommended(ask: Ask, member: Member) -> list[tuple[str, float]]:
    query = "{ recommendations(first: 100) { edges { score node { id } } } }"
    edges = ask(query, member.token)["data"]["recommendations"]["edges"]
    return [(edge["node"]["id"], edge["score"]) for edge in edges]


def test_a_movie_is_removed_from_the_watchlist(ask: Ask, member: Member, movies: list[str]) -> None:
    for movie in movies[:2]:
        record(ask, member, movie, "WATCHLIST", "WATCHLIST", "CLICK")
    taken = outcome(ask(TAKE_OFF, member.token, movie=movies[0]), "removeFromWatchlist")
    assert taken == {"__typename": "RemoveFromWatchlistPayload", "movie": {"id": movies[0]}}
    viewer = ask(LISTS, member.token)["data"]["viewer"]
    assert [edge["node"]["id"] for edge in viewer["watchlist"]["edges"]] == [movies[1]]
    left = [edge["node"]["kind"] for edge in viewer["history"]["edges"]]
    assert sorted(left) == ["CLICK", "CLICK", "WATCHLIST", "WATCHLIST"]
    again = outcome(ask(TAKE_OFF, member.token, movie=movies[0]), "removeFromWatchlist")
    assert again["__typename"] == "NotOnWatchlist"
    record(ask, member, movies[0], "WATCHLIST")
    viewer = ask(LISTS, member.token)["data"]["viewer"]
    assert len(viewer["watchlist"]["edges"]) == 2


def test_a_rejected_movie_is_recommended_again(ask: Ask, member: Member) -> None:
    before = recommended(ask, member)
    movie = before[0][0]
    record(ask, member, movie, "NOT_INTERESTED")
    assert movie not in dict(recommended(ask, member))
    assert remove(ask, member, movie, "NOT_INTERESTED") == {
        "__typename": "RemoveFeedbackPayload",
        "removed": 1,
        "movie": {"id": movie},
    }
    assert recommended(ask, member) == before


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_every_kind_of_event_has_an_undo(ask: Ask, member: Member, movies: list[str], kind: str) -> None:
    """The lists, taste and history are the same as before the event."""
    record(ask, member, movies[1], "LIKE")
    before = recommended(ask, member), ask(LISTS, member.token)
    record(ask, member, movies[0], kind)
    assert ask(LISTS, member.token) != before[1]
    assert remove(ask, member, movies[0], kind)["removed"] == 1
    assert (recommended(ask, member), ask(LISTS, member.token)) == before


def test_an_earlier_opinion_counts_again(ask: Ask, member: Member, movies: list[str]) -> None:
    record(ask, member, movies[0], "LIKE")
    before = recommended(ask, member)
    record(ask, member, movies[0], "DISLIKE")
    assert recommended(ask, member) != before
    remove(ask, member, movies[0], "DISLIKE")
    assert recommended(ask, member) == before


def test_several_kinds_are_removed_at_once(ask: Ask, member: Member, movies: list[str]) -> None:
    record(ask, member, movies[0], "LIKE", "LIKE", "WATCH", "CLICK")
    record(ask, member, movies[1], "LIKE")
    assert remove(ask, member, movies[0], "LIKE", "WATCH", "DISLIKE")["removed"] == 3
    left = ask(LISTS, member.token)["data"]["viewer"]["history"]["edges"]
    assert [(edge["node"]["kind"], edge["node"]["movie"]["id"]) for edge in left] == [
        ("LIKE", movies[1]),
        ("CLICK", movies[0]),
    ]


def test_events_of_another_member_cannot_be_removed(ask: Ask, member: Member, movies: list[str]) -> None:
    record(ask, member, movies[0], "LIKE", "WATCHLIST")
    other = sign_up(ask)
    assert remove(ask, other, movies[0], "LIKE")["__typename"] == "FeedbackNotFound"
    refused = outcome(ask(TAKE_OFF, other.token, movie=movies[0]), "removeFromWatchlist")
    assert refused["__typename"] == "NotOnWatchlist"
    assert len(ask(LISTS, member.token)["data"]["viewer"]["history"]["edges"]) == 2
    assert code(ask(REMOVE, movie=movies[0], kinds=["LIKE"])) == "UNAUTHENTICATED"
    assert code(ask(TAKE_OFF, movie=movies[0])) == "UNAUTHENTICATED"


@pytest.mark.parametrize("kinds", [[], ["LIKE"] * 8])
def test_the_list_of_kinds_has_a_limit(ask: Ask, member: Member, movies: list[str], kinds: list[str]) -> None:
    refused = ask(REMOVE, member.token, movie=movies[0], kinds=kinds)
    assert code(refused) == "BAD_USER_INPUT"
    assert "removeFeedback.input.kinds" in refused["errors"][0]["message"]


def test_missing_movies(ask: Ask, member: Member) -> None:
    unknown = "TW92aWU6OTk5OTk5OTk="  # Movie:99999999
    assert remove(ask, member, unknown, "LIKE")["__typename"] == "FeedbackNotFound"
    assert code(ask(REMOVE, member.token, movie="nonsense", kinds=["LIKE"])) == "BAD_USER_INPUT"
