"""Recommendations over HTTP for members and visitors: pages, filters, reasons and refusals."""

from statistics import median
from typing import Any
from uuid import uuid4

import pytest

from tests.schema.conftest import Ask, Member, code


@pytest.fixture
def movies(ask: Ask) -> list[str]:
    """Ids of ten movies, most rated first."""
    body = ask("Movies", first=10, orderBy={"field": "POPULARITY", "direction": "DESC"})
    return [edge["node"]["id"] for edge in body["data"]["movies"]["edges"]]


def listed(body: dict[str, Any]) -> list[str]:
    return [edge["node"]["id"] for edge in body["data"]["recommendations"]["edges"]]


def rate(ask: Ask, member: Member, movies: list[str], stars: float = 5.0) -> None:
    for movie in movies:
        assert ask("RateMovie", member.token, movie=movie, stars=stars)["data"]["rateMovie"]["rating"]


def test_a_signed_out_visitor_gets_the_popular_list(ask: Ask) -> None:
    page = ask("Recommendations", first=24)["data"]["recommendations"]
    assert page["strategy"] == "POPULAR"
    assert [edge["rank"] for edge in page["edges"]] == list(range(1, 25))
    assert all(edge["reasons"][0]["kind"] == "POPULAR" for edge in page["edges"])
    assert page["requestId"]
    assert page["modelVersion"]


def test_a_visitors_likes_change_the_list(ask: Ask, movies: list[str]) -> None:
    liked = movies[:3]
    page = ask("Recommendations", first=24, likes=liked)["data"]["recommendations"]
    assert page["strategy"] == "SESSION"
    shown = [edge["node"]["id"] for edge in page["edges"]]
    assert len(set(shown)) == 24
    assert not set(shown) & set(liked)
    assert shown != listed(ask("Recommendations", first=24))
    named = {reason["movie"]["id"] for edge in page["edges"] for reason in edge["reasons"] if reason["movie"]}
    assert named
    assert named <= set(liked)


def test_a_rating_changes_the_next_list(ask: Ask, member: Member, movies: list[str]) -> None:
    lists = [listed(ask("Recommendations", member.token, first=24))]
    for movie in movies[:6]:
        rate(ask, member, [movie])
        page = ask("Recommendations", member.token, first=24)
        lists.append(listed(page))
        assert page["data"]["recommendations"]["strategy"] == "PERSONALIZED"
        assert movie not in lists[-1]
        assert lists[-1] != lists[-2]


def test_each_movie_has_match_stars_and_reason(ask: Ask, member: Member, movies: list[str]) -> None:
    rate(ask, member, movies[:5])
    for edge in ask("Recommendations", member.token, first=24)["data"]["recommendations"]["edges"]:
        assert 0 <= edge["matchPercent"] <= 100
        stars = edge["predictedRating"]
        assert 0.5 <= stars["low"] <= stars["stars"] <= stars["high"] <= 5
        assert edge["reasons"]
        assert all(reason["text"] for reason in edge["reasons"])


def test_rated_excluded_and_rejected_movies_are_left_out(ask: Ask, member: Member, movies: list[str]) -> None:
    rate(ask, member, movies[:4])
    turned_down = listed(ask("Recommendations", member.token, first=1))[0]
    event = {"movieId": turned_down, "kind": "NOT_INTERESTED"}
    assert ask("RecordFeedback", member.token, events=[event])["data"]["recordFeedback"]["accepted"] == 1
    page: dict[str, Any] = {"endCursor": None, "hasNextPage": True}
    seen: list[str] = []
    while page["hasNextPage"]:
        body = ask(
            "Recommendations",
            member.token,
            first=100,
            after=page["endCursor"],
            exclude=[movies[4], movies[5]],
        )
        seen += listed(body)
        page = body["data"]["recommendations"]["pageInfo"]
    assert len(seen) == len(set(seen))
    total = ask("Movies", first=1)["data"]["movies"]["totalCount"]
    hidden = {*movies[:6], turned_down}
    assert len(seen) == total - len(hidden)
    assert not set(seen) & hidden


def test_pages_continue_the_same_list(ask: Ask, member: Member, movies: list[str]) -> None:
    rate(ask, member, movies[:3])
    whole = ask("Recommendations", member.token, first=30, diversity=0.5)["data"]["recommendations"]
    begun = ask("Recommendations", member.token, first=10, diversity=0.5)["data"]["recommendations"]
    shown = [edge["node"]["id"] for edge in begun["edges"]]
    rated = whole["edges"][12]["node"]["id"]
    rate(ask, member, [rated], stars=1.0)
    later = ask(
        "Recommendations", member.token, first=19, after=begun["pageInfo"]["endCursor"], diversity=0.5
    )["data"]["recommendations"]
    shown += [edge["node"]["id"] for edge in later["edges"]]
    expected = [edge["node"]["id"] for edge in whole["edges"]]
    assert shown == [movie for movie in expected if movie != rated]
    assert later["requestId"] == begun["requestId"]


def test_filters_are_exact_and_pages_full(ask: Ask, movies: list[str]) -> None:
    chosen = {"genres": ["Comedy"], "excludeGenres": ["Romance"], "yearFrom": 1960, "yearTo": 2010}
    matching = ask("Movies", first=1, filter=chosen)["data"]["movies"]["totalCount"]
    assert matching > 24
    page = ask("Recommendations", first=24, filter=chosen, likes=movies[:2])["data"]["recommendations"]
    assert len(page["edges"]) == 24
    for edge in page["edges"]:
        names = {genre["name"] for genre in edge["node"]["genres"]}
        assert "Comedy" in names
        assert "Romance" not in names
        assert 1960 <= edge["node"]["year"] <= 2010


def test_diversity_spreads_the_genres(ask: Ask, movies: list[str]) -> None:
    def genres(diversity: float) -> int:
        page = ask("Recommendations", first=20, likes=movies[:1], diversity=diversity)
        edges = page["data"]["recommendations"]["edges"]
        return len({genre["name"] for edge in edges for genre in edge["node"]["genres"]})

    assert genres(1.0) > genres(0.0)


def test_movies_shown_often_without_a_reaction_move_down(ask: Ask, member: Member, movies: list[str]) -> None:
    def page(**variables: Any) -> dict[str, Any]:
        found: dict[str, Any] = ask("Recommendations", member.token, first=10, **variables)["data"]
        page: dict[str, Any] = found["recommendations"]
        return page

    def shown(movies: list[str], kind: str = "IMPRESSION", times: int = 60) -> None:
        events = [
            {"movieId": movie, "kind": kind, "requestId": str(uuid4())}
            for movie in movies
            for _ in range(times)
        ]
        assert "errors" not in ask("RecordFeedback", member.token, events=events)

    rate(ask, member, movies[:3])
    varied, plain = page(diversity=0.1), page()
    first = [edge["node"]["id"] for edge in varied["edges"]]
    shown(first[:4])
    shown(first[:2], "CLICK", 1)
    later = [edge["node"]["id"] for edge in page(diversity=0.1)["edges"]]
    assert later[:2] == first[:2]
    assert not set(first[2:4]) & set(later[2:4])
    # An earlier list continues unchanged, and a list by score alone is not affected.
    again = ask("Recommendations", member.token, first=9, diversity=0.1, after=varied["edges"][0]["cursor"])
    assert listed(again) == first[1:]
    assert [edge["score"] for edge in page()["edges"]] == [edge["score"] for edge in plain["edges"]]


def test_a_list_shown_twice_counts_once(ask: Ask, member: Member, movies: list[str]) -> None:
    rate(ask, member, movies[:3])
    body = ask("Recommendations", member.token, first=10, diversity=0.1)
    page = body["data"]["recommendations"]
    top = listed(body)[0]
    event = {"movieId": top, "kind": "IMPRESSION", "requestId": page["requestId"]}
    ask("RecordFeedback", member.token, events=[event])

    def score() -> float:
        edges = ask("Recommendations", member.token, first=50, diversity=0.1)["data"]["recommendations"][
            "edges"
        ]
        return float(next(edge["score"] for edge in edges if edge["node"]["id"] == top))

    once = score()
    assert once < page["edges"][0]["score"]
    ask("RecordFeedback", member.token, events=[event] * 20)
    assert score() == once


def test_novelty_favors_movies_with_fewer_ratings(ask: Ask, movies: list[str]) -> None:
    query = """query ($likes: [ID!], $diversity: Float, $novelty: Float) {
        recommendations(first: 20, likes: $likes, diversity: $diversity, novelty: $novelty) {
            edges { node { id ratingCount } } } }"""

    def listed(**variables: float) -> dict[str, int]:
        edges = ask(query, None, likes=movies[:2], **variables)["data"]["recommendations"]["edges"]
        return {edge["node"]["id"]: edge["node"]["ratingCount"] for edge in edges}

    novel, usual = listed(diversity=0.1, novelty=0.8), listed(diversity=0.1)
    assert median(novel.values()) < median(usual.values())
    assert [*listed(diversity=0, novelty=0.8)] == [*listed()]  # other members may rate in between


def test_a_movie_has_the_match_of_the_viewer(ask: Ask, member: Member, movies: list[str]) -> None:
    assert ask("Movie", id=movies[0])["data"]["movie"]["viewerMatch"] is None
    rate(ask, member, movies[1:4])
    match = ask("Movie", member.token, id=movies[0])["data"]["movie"]["viewerMatch"]
    assert 0 <= match["matchPercent"] <= 100
    assert match["predictedRating"]["stars"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"first": 0}, "first"),
        ({"first": 101}, "first"),
        ({"first": 10, "diversity": 1.5}, "diversity"),
        ({"first": 10, "diversity": -0.1}, "diversity"),
        ({"first": 10, "after": "bm8"}, "cursor"),
        ({"first": 10, "likes": ["no id"]}, "likes"),
        ({"first": 10, "likes": ["TW92aWU6OTk5OTk5OTk5"]}, "likes"),
        ({"first": 10, "exclude": ["R2VucmU6MQ=="]}, "exclude"),
        ({"first": 10, "filter": {"genres": ["Comdy"]}}, "Comdy"),
        ({"first": 10, "filter": {"yearFrom": 2000, "yearTo": 1990}}, "year"),
    ],
)
def test_bad_input_names_field_and_rule(ask: Ask, variables: dict[str, Any], message: str) -> None:
    body = ask("Recommendations", **variables)
    assert code(body) == "BAD_USER_INPUT"
    assert message in body["errors"][0]["message"]


def test_a_cursor_of_another_field_is_refused(ask: Ask) -> None:
    cursor = ask("Movies", first=1)["data"]["movies"]["pageInfo"]["endCursor"]
    assert code(ask("Recommendations", first=10, after=cursor)) == "BAD_USER_INPUT"


def test_favorite_genres_shape_the_list_before_the_first_rating(ask: Ask, member: Member) -> None:
    genres = {genre["name"]: genre["id"] for genre in ask("Genres")["data"]["genres"]}
    chosen = ask("SetFavoriteGenres", member.token, genres=[genres["Horror"]])
    assert chosen["data"]["setFavoriteGenres"]["viewer"]["favoriteGenres"]

    def horror(body: dict[str, Any]) -> int:
        edges = body["data"]["recommendations"]["edges"]
        return sum(any(genre["name"] == "Horror" for genre in edge["node"]["genres"]) for edge in edges)

    theirs = horror(ask("Recommendations", member.token, first=24))
    assert theirs > horror(ask("Recommendations", first=24))
