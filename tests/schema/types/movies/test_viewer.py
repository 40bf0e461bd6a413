"""`Movie.viewer`: what a movie is to the viewer."""

from typing import Any

from tests.schema.conftest import Ask, Member, sign_up

STATE = "viewer { rating { stars } onWatchlist watchedFraction hidden match { matchPercent } }"
MOVIES = f"query ($first: Int = 8) {{ movies(first: $first) {{ nodes {{ id {STATE} }} }} }}"
RECORD = """mutation ($events: [FeedbackInput!]!) { recordFeedback(input: { events: $events }) {
    ... on RecordFeedbackPayload { accepted } } }"""
UNKNOWN: dict[str, Any] = {"rating": None, "onWatchlist": False, "watchedFraction": None, "hidden": False}


def states(ask: Ask, token: str | None) -> list[dict[str, Any] | None]:
    return [movie["viewer"] for movie in ask(MOVIES, token)["data"]["movies"]["nodes"]]


def test_shows_rating_watchlist_watching_and_rejection(ask: Ask, member: Member) -> None:
    ids = [movie["id"] for movie in ask(MOVIES)["data"]["movies"]["nodes"]]
    new = states(ask, member.token)
    assert [state and {**state, "match": None} for state in new] == [UNKNOWN | {"match": None}] * 8
    assert all(state and state["match"]["matchPercent"] is not None for state in new)
    ask("RateMovie", member.token, movie=ids[0], stars=4.5)
    events = [
        {"movieId": ids[1], "kind": "WATCHLIST"},
        {"movieId": ids[2], "kind": "WATCH", "watchedFraction": 0.4},
        {"movieId": ids[2], "kind": "WATCH", "watchedFraction": 0.25},
        {"movieId": ids[3], "kind": "NOT_INTERESTED"},
        {"movieId": ids[4], "kind": "WATCHLIST"},
        {"movieId": ids[4], "kind": "WATCH", "watchedFraction": 0.95},
        {"movieId": ids[5], "kind": "WATCHLIST"},
    ]
    assert "errors" not in ask(RECORD, member.token, events=events)
    ask("RateMovie", member.token, movie=ids[5], stars=3)
    found = [{**state, "match": None} for state in states(ask, member.token) if state]
    expected = [
        UNKNOWN | {"rating": {"stars": 4.5}},
        UNKNOWN | {"onWatchlist": True},
        UNKNOWN | {"watchedFraction": 0.4},
        UNKNOWN | {"hidden": True},
        UNKNOWN | {"watchedFraction": 0.95},
        UNKNOWN | {"rating": {"stars": 3}},
        UNKNOWN,
        UNKNOWN,
    ]
    assert found == [state | {"match": None} for state in expected]


def test_is_of_the_viewer_alone(ask: Ask, member: Member) -> None:
    (first, *_) = ask(MOVIES)["data"]["movies"]["nodes"]
    assert first["viewer"] is None
    ask("RateMovie", member.token, movie=first["id"], stars=1)
    assert (states(ask, sign_up(ask).token)[0] or {})["rating"] is None


def test_shows_a_change_within_one_request(ask: Ask, member: Member) -> None:
    (movie_id, *_) = [movie["id"] for movie in ask(MOVIES)["data"]["movies"]["nodes"]]
    rate = """rateMovie(input: { movieId: $id, stars: %s }) { ... on RateMoviePayload {
        rating { movie { viewer { rating { stars } } } } } }"""
    query = f"mutation ($id: ID!) {{ one: {rate % 2} other: {rate % 5} }}"
    answer = ask(query, member.token, id=movie_id)["data"]
    stars = [answer[name]["rating"]["movie"]["viewer"]["rating"]["stars"] for name in ("one", "other")]
    assert stars == [2, 5]
