"""Private fields of a member: taste, history, watchlist, similar users."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.schema.conftest import Ask, Member, code, sign_up

HISTORY = """
query ($first: Int!, $after: String, $kinds: [FeedbackKind!]) {
  viewer { history(first: $first, after: $after, kinds: $kinds) {
    totalCount edges { cursor node { kind movie { id } } } pageInfo { hasNextPage endCursor }
  } }
}
"""
WATCHLIST = """
query ($first: Int!, $after: String) {
  viewer { watchlist(first: $first, after: $after) {
    totalCount edges { cursor node { id } } pageInfo { hasNextPage endCursor }
  } }
}
"""
SET_DISCOVERABLE = """
mutation ($discoverable: Boolean!) {
  setDiscoverable(input: { discoverable: $discoverable }) { __typename }
}
"""
SIMILAR = "query ($first: Int!) { viewer { similarUsers(first: $first) { user { username simulated } } } }"


@pytest.fixture
def movies(ask: Ask) -> list[str]:
    body = ask("Movies", first=40, orderBy={"field": "POPULARITY", "direction": "ASC"})
    return [edge["node"]["id"] for edge in body["data"]["movies"]["edges"]]


def rate(ask: Ask, member: Member, stars: dict[str, float]) -> None:
    for movie, given in stars.items():
        assert ask("RateMovie", member.token, movie=movie, stars=given)["data"]["rateMovie"]["rating"]


def record(ask: Ask, member: Member, *events: dict[str, Any]) -> None:
    body = ask("RecordFeedback", member.token, events=list(events))
    assert body["data"]["recordFeedback"]["accepted"] == len(events)


def ago(minutes: int) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def test_taste_is_relative_to_the_members_mean_rating(ask: Ask, member: Member) -> None:
    def of(genre: str, other: str) -> list[str]:
        body = ask("Movies", first=6, filter={"genres": [genre], "excludeGenres": [other]})
        return [edge["node"]["id"] for edge in body["data"]["movies"]["edges"]]

    rate(ask, member, dict.fromkeys(of("Western", "Horror"), 5.0))
    rate(ask, member, dict.fromkeys(of("Horror", "Western"), 1.5))
    taste = ask("Taste", member.token)["data"]["viewer"]["taste"]
    genres = {liking["genre"]["name"]: liking for liking in taste["genres"]}
    assert genres["Western"]["affinity"] > 0 > genres["Horror"]["affinity"]
    assert (genres["Western"]["ratingCount"], genres["Western"]["meanStars"]) == (6, 5.0)
    assert (genres["Horror"]["ratingCount"], genres["Horror"]["meanStars"]) == (6, 1.5)
    for likings in taste.values():
        affinities = [liking["affinity"] for liking in likings]
        assert affinities == sorted(affinities, reverse=True)
    assert all(liking["decade"] % 10 == 0 for liking in taste["decades"])
    assert len(taste["people"]) <= 20


def test_a_like_counts_for_taste_but_is_no_rating(ask: Ask, member: Member, movies: list[str]) -> None:
    record(ask, member, {"movieId": movies[0], "kind": "LIKE"})
    (liking, *_) = ask("Taste", member.token)["data"]["viewer"]["taste"]["genres"]
    assert liking["affinity"] > 0
    assert (liking["ratingCount"], liking["meanStars"]) == (0, None)


def test_a_new_member_has_no_taste_profile(ask: Ask, member: Member) -> None:
    viewer = ask("Taste", member.token)["data"]["viewer"]
    assert viewer == {
        "taste": {"genres": [], "decades": [], "people": []},
        "history": {"edges": []},
        "watchlist": {"edges": []},
    }


def test_history_is_newest_first_and_pages_are_stable(ask: Ask, member: Member, movies: list[str]) -> None:
    kinds = ["IMPRESSION", "CLICK", "LIKE", "WATCHLIST"]
    sent = [
        {"movieId": movies[n], "kind": kinds[n % 4], "occurredAt": ago(n // 2 * 2)} for n in range(23)
    ]  # two at a time
    record(ask, member, *sent)
    watched = {"movieId": movies[30], "kind": "WATCH", "watchedFraction": 0.4, "occurredAt": ago(100)}
    record(ask, member, watched)
    seen: list[str] = []
    info: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while info["hasNextPage"]:
        page = ask(HISTORY, member.token, first=5, after=info["endCursor"])["data"]["viewer"]["history"]
        seen += [edge["node"]["movie"]["id"] for edge in page["edges"]]
        info = page["pageInfo"]
        record(ask, member, {"movieId": movies[39], "kind": "CLICK"})  # newer than all later events
    assert len(seen) == len(set(seen)) == 24
    assert set(seen) == {*movies[:23], movies[30]}
    assert seen[-1] == movies[30]
    newest = ask("Taste", member.token)["data"]["viewer"]["history"]["edges"][0]["node"]
    assert (newest["kind"], newest["movie"]["id"]) == ("CLICK", movies[39])
    only = ask(HISTORY, member.token, first=50, kinds=["WATCH", "LIKE"])["data"]["viewer"]["history"]
    assert {edge["node"]["kind"] for edge in only["edges"]} == {"WATCH", "LIKE"}
    assert only["totalCount"] == len(only["edges"]) == 7


def test_a_watch_has_its_progress(ask: Ask, member: Member, movies: list[str]) -> None:
    when = "2024-02-29T20:15:00+00:00"
    record(ask, member, {"movieId": movies[0], "kind": "WATCH", "watchedFraction": 0.35, "occurredAt": when})
    (edge,) = ask("Taste", member.token)["data"]["viewer"]["history"]["edges"]
    assert edge["node"]["watchedFraction"] == 0.35
    assert edge["node"]["occurredAt"] == when


def test_the_watchlist_has_unwatched_movies(ask: Ask, member: Member, movies: list[str]) -> None:
    wanted, seen, begun, rated, disliked, again, *_ = movies
    record(ask, member, {"movieId": again, "kind": "WATCH", "watchedFraction": 1.0, "occurredAt": ago(90)})
    record(ask, member, {"movieId": again, "kind": "WATCHLIST", "occurredAt": ago(80)})
    for minutes, movie in zip((70, 60, 50, 40, 30), (wanted, seen, begun, rated, disliked), strict=True):
        record(ask, member, {"movieId": movie, "kind": "WATCHLIST", "occurredAt": ago(minutes)})
    record(
        ask,
        member,
        {"movieId": seen, "kind": "WATCH", "watchedFraction": 0.95},
        {"movieId": begun, "kind": "WATCH", "watchedFraction": 0.4},
        {"movieId": disliked, "kind": "NOT_INTERESTED"},
    )
    rate(ask, member, {rated: 4.0})
    left = [begun, wanted, again]  # most recently added first
    page = ask("Taste", member.token)["data"]["viewer"]["watchlist"]
    assert [edge["node"]["id"] for edge in page["edges"]] == left
    first = ask(WATCHLIST, member.token, first=2)["data"]["viewer"]["watchlist"]
    assert first["totalCount"] == 3
    after = first["pageInfo"]["endCursor"]
    rest = ask(WATCHLIST, member.token, first=2, after=after)["data"]["viewer"]["watchlist"]
    assert [edge["node"]["id"] for edge in [*first["edges"], *rest["edges"]]] == left
    assert not rest["pageInfo"]["hasNextPage"]


def test_similar_users_find_each_other_and_may_opt_out(ask: Ask, member: Member, movies: list[str]) -> None:
    stars = {movie: 1.0 + (n % 5) for n, movie in enumerate(movies[:15])}
    twin, opposite = sign_up(ask), sign_up(ask)
    rate(ask, member, stars)
    rate(ask, twin, stars)
    rate(ask, opposite, {movie: 6 - given for movie, given in stars.items()})
    found = ask("SimilarUsers", member.token)["data"]["viewer"]["similarUsers"]
    assert twin.username not in {
        each["user"]["username"] for each in found
    }  # a new member is not discoverable
    for each in (twin, opposite):
        ask(SET_DISCOVERABLE, each.token, discoverable=True)
    found = ask("SimilarUsers", member.token)["data"]["viewer"]["similarUsers"]
    assert 0 < len(found) <= 10
    by_name = {each["user"]["username"]: each for each in found}
    assert by_name[twin.username]["commonMovies"] == 15
    assert by_name[twin.username]["similarity"] == pytest.approx(15 / 25, abs=1e-3)
    assert opposite.username not in by_name
    assert member.username not in by_name
    assert [each["similarity"] for each in found] == sorted(
        (each["similarity"] for each in found), reverse=True
    )
    ask(SET_DISCOVERABLE, twin.token, discoverable=False)
    again = ask("SimilarUsers", member.token)["data"]["viewer"]["similarUsers"]
    assert twin.username not in {each["user"]["username"] for each in again}


def test_simulated_members_are_marked(ask: Ask, member: Member) -> None:
    known = ask("Movies", first=30, orderBy={"field": "POPULARITY", "direction": "DESC"})
    ids = [edge["node"]["id"] for edge in known["data"]["movies"]["edges"]]
    rate(ask, member, {movie: 1.0 + (n * 7 % 9) / 2 for n, movie in enumerate(ids)})
    found = ask(SIMILAR, member.token, first=100)["data"]["viewer"]["similarUsers"]
    assert found
    for each in found:
        assert each["user"]["simulated"] == each["user"]["username"].startswith("simulated-")
    assert ask("{ viewer { simulated } }", member.token)["data"]["viewer"]["simulated"] is False


def test_private_pages_are_refused_to_other_members(ask: Ask, member: Member, movies: list[str]) -> None:
    stars = {movie: 1.0 + (n % 5) for n, movie in enumerate(movies[:12])}
    twin = sign_up(ask)
    for each in (member, twin):
        rate(ask, each, stars)
        ask(SET_DISCOVERABLE, each.token, discoverable=True)
    for field in (
        "taste { genres { affinity } }",
        "history(first: 5) { edges { cursor } }",
        "watchlist(first: 5) { edges { cursor } }",
        "similarUsers(first: 5) { similarity }",
        "discoverable",
        "createdAt",
    ):
        query = f"{{ viewer {{ similarUsers(first: 1) {{ user {{ username {field} }} }} }} }}"
        assert code(ask(query, member.token)) == "FORBIDDEN", field


@pytest.mark.parametrize("field", ["history", "watchlist", "similarUsers"])
@pytest.mark.parametrize("first", [0, 101])
def test_a_page_has_1_to_100_items(ask: Ask, member: Member, field: str, first: int) -> None:
    body = ask(f"{{ viewer {{ {field}(first: {first}) {{ __typename }} }} }}", member.token)
    assert code(body) == "BAD_USER_INPUT"
    assert field in body["errors"][0]["message"]


@pytest.mark.parametrize("query", [HISTORY, WATCHLIST])
def test_a_cursor_of_another_field_is_refused(ask: Ask, member: Member, query: str) -> None:
    cursor = ask("Movies", first=1)["data"]["movies"]["pageInfo"]["endCursor"]
    for wrong in (cursor, "bm8", "WyJoaXN0b3J5Iiw5OTk5OTk5OTk5OTk5OTk5OTk5LDFd"):
        assert code(ask(query, member.token, first=5, after=wrong)) == "BAD_USER_INPUT"
