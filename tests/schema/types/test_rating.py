"""Rate movies, remove ratings, and read one's own ratings."""

from base64 import b64decode, b64encode
from typing import Any

import psycopg
import pytest

from tests.schema.conftest import Ask, Member, code, outcome, sign_up

PAGE = """
query ($first: Int, $after: String, $last: Int, $before: String) {
  viewer {
    ratings(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { id stars movie { id title } } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""
MOVIE = "query ($id: ID!) { movie(id: $id) { averageRating ratingCount viewerRating { id stars ratedAt } } }"


@pytest.fixture(scope="session")
def movies(ask: Ask) -> list[str]:
    page = ask("{ movies(first: 30) { edges { node { id } } } }")
    return [edge["node"]["id"] for edge in page["data"]["movies"]["edges"]]


def rate(ask: Ask, member: Member, movie: str, stars: float) -> dict[str, Any]:
    body = ask("RateMovie", member.token, movie=movie, stars=stars)
    payload: dict[str, Any] = body["data"]["rateMovie"]
    return payload


def global_id(type_name: str, key: object) -> str:
    return b64encode(f"{type_name}:{key}".encode()).decode()


def test_a_rating_returns_the_new_statistics_of_the_movie(ask: Ask, member: Member) -> None:
    rarest = ask(
        "{ movies(first: 1, orderBy: { field: POPULARITY, direction: ASC }) { edges { node { id } } } }"
    )
    movie = rarest["data"]["movies"]["edges"][0]["node"]["id"]
    others = [sign_up(ask) for _ in range(2)]
    before = rate(ask, others[0], movie, 3)["rating"]["movie"]
    payload = rate(ask, member, movie, 0.5)
    assert payload["__typename"] == "RateMoviePayload"
    assert payload["rating"]["stars"] == 0.5
    shown = payload["rating"]["movie"]
    assert shown["id"] == movie
    assert shown["ratingCount"] == before["ratingCount"] + 1
    assert shown["averageRating"] < before["averageRating"]
    raised = rate(ask, member, movie, 5)["rating"]["movie"]
    assert raised["ratingCount"] == shown["ratingCount"]
    assert raised["averageRating"] > before["averageRating"]
    assert rate(ask, others[1], movie, 5)["rating"]["movie"]["ratingCount"] == shown["ratingCount"] + 1


def test_the_movie_shows_the_viewers_rating(ask: Ask, member: Member, movies: list[str]) -> None:
    assert ask(MOVIE, member.token, id=movies[0])["data"]["movie"]["viewerRating"] is None
    rating = rate(ask, member, movies[0], 4.5)["rating"]
    shown = ask(MOVIE, member.token, id=movies[0])["data"]["movie"]["viewerRating"]
    assert shown == {name: rating[name] for name in ("id", "stars", "ratedAt")}
    assert ask(MOVIE, id=movies[0])["data"]["movie"]["viewerRating"] is None


def test_removing_a_rating(ask: Ask, member: Member, movies: list[str]) -> None:
    removal = """
    mutation ($movie: ID!) { removeRating(input: { movieId: $movie }) {
      ... on RemoveRatingPayload { movie { ratingCount averageRating viewerRating { stars } } } } }
    """
    other = sign_up(ask)
    before = rate(ask, other, movies[1], 3)["rating"]["movie"]
    rate(ask, member, movies[1], 5)
    shown = ask(removal, member.token, movie=movies[1])["data"]["removeRating"]["movie"]
    assert shown == {
        "ratingCount": before["ratingCount"],
        "averageRating": before["averageRating"],
        "viewerRating": None,
    }
    rate(ask, member, movies[1], 5)
    removed = ask("RemoveRating", member.token, movie=movies[1])["data"]["removeRating"]
    assert removed == {"__typename": "RemoveRatingPayload", "movie": {"id": movies[1]}}
    again = ask("RemoveRating", member.token, movie=movies[1])["data"]["removeRating"]
    assert again["__typename"] == "NotRated"


@pytest.mark.parametrize("stars", [0, 0.3, 5.5, -1, 1e308, 6])
def test_invalid_stars_are_refused(ask: Ask, member: Member, movies: list[str], stars: float) -> None:
    refused = rate(ask, member, movies[0], stars)
    assert refused["__typename"] == "InvalidStars"
    assert "steps of 0.5" in refused["message"]


@pytest.mark.parametrize("stars", ["NaN", "Infinity", "4", None, True])
def test_stars_must_be_a_number(ask: Ask, member: Member, movies: list[str], stars: object) -> None:
    assert code(ask("RateMovie", member.token, movie=movies[0], stars=stars)) == "BAD_USER_INPUT"


def test_missing_movies_cannot_be_rated(ask: Ask, member: Member, movies: list[str]) -> None:
    unknown = global_id("Movie", 2**63 - 1)
    assert rate(ask, member, unknown, 4)["__typename"] == "MovieNotFound"
    removed = ask("RemoveRating", member.token, movie=unknown)
    assert removed["data"]["removeRating"]["__typename"] == "NotRated"
    for wrong in ("", "nonsense", member.id, global_id("Movie", 2**63), global_id("Movie", "1; DROP")):
        for operation in ("RateMovie", "RemoveRating"):
            refused = ask(operation, member.token, movie=wrong, stars=4)
            assert code(refused) == "BAD_USER_INPUT"
    for operation in ("RateMovie", "RemoveRating"):
        assert code(ask(operation, movie=movies[0], stars=4)) == "UNAUTHENTICATED"


def test_the_viewer_reads_their_ratings_newest_first(ask: Ask, member: Member, movies: list[str]) -> None:
    for movie in movies[:3]:
        rate(ask, member, movie, 4)
    ratings = ask("Viewer", member.token)["data"]["viewer"]["ratings"]
    assert ratings["totalCount"] == 3
    assert [edge["node"]["movie"]["id"] for edge in ratings["edges"]] == movies[2::-1]
    assert all(edge["node"]["movie"]["title"] for edge in ratings["edges"])
    assert ratings["pageInfo"] == {"hasNextPage": False, "endCursor": ratings["edges"][-1]["cursor"]}


def test_pages_in_both_directions_are_stable_under_changes(
    ask: Ask, member: Member, movies: list[str]
) -> None:
    for movie in movies[:7]:
        rate(ask, member, movie, 4)
    seen, after = [], None
    while True:
        page = ask(PAGE, member.token, first=3, after=after)["data"]["viewer"]["ratings"]
        seen += [edge["node"]["movie"]["id"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        # A new rating precedes the page, and a shown one is removed.
        rate(ask, member, movies[10 + len(seen)], 2)
        ask("RemoveRating", member.token, movie=seen[-1])
    assert seen == movies[6::-1]
    back = ask(PAGE, member.token, last=2, before=after)["data"]["viewer"]["ratings"]
    assert [edge["node"]["movie"]["id"] for edge in back["edges"]] == [movies[3], movies[2]]
    assert back["pageInfo"]["hasPreviousPage"]
    assert back["pageInfo"]["hasNextPage"]


@pytest.mark.parametrize(("size", "from_"), [("first", "after"), ("last", "before")])
def test_no_page_repeats_or_skips_under_a_thousand_changes(
    ask: Ask, server_database_url: str, size: str, from_: str
) -> None:
    member = sign_up(ask)
    user_id = int(b64decode(member.id).decode().partition(":")[2])
    put = (
        "INSERT INTO ratings (user_id, movie_id, half_stars, rated_at) SELECT %(user)s, id, 7, "
        "now() - make_interval(secs => id * 7919 %% 4000) FROM movies "
        "WHERE id %% 3 = %(third)s ON CONFLICT DO NOTHING RETURNING movie_id"
    )
    with psycopg.connect(server_database_url, autocommit=True) as connection:
        lasting = connection.execute(put, {"user": user_id, "third": 2}).fetchall()
        seen: list[str] = []
        start, moved, turn = None, 0, 0
        while True:
            page = ask(PAGE, member.token, **{size: 37, from_: start})["data"]["viewer"]["ratings"]
            movies = [edge["node"]["movie"]["id"] for edge in page["edges"]]
            seen = seen + movies if size == "first" else movies + seen
            start = page["pageInfo"]["endCursor" if size == "first" else "startCursor"]
            if not page["pageInfo"]["hasNextPage" if size == "first" else "hasPreviousPage"]:
                break
            turn += 1
            if moved >= 1_000:  # then stop, or new ratings could follow every page
                continue
            gone = connection.execute(
                "DELETE FROM ratings WHERE user_id = %s AND movie_id %% 3 = %s", (user_id, turn % 2)
            )
            come = connection.execute(put, {"user": user_id, "third": (turn + 1) % 2})
            moved += gone.rowcount + come.rowcount
        connection.execute("DELETE FROM ratings WHERE user_id = %s", (user_id,))
    assert moved >= 1_000
    assert len(seen) == len(set(seen))
    assert {global_id("Movie", movie_id) for (movie_id,) in lasting} <= set(seen)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"first": 0},
        {"first": 101},
        {"first": -1},
        {"first": 2, "last": 2},
        {"first": 2, "before": "x"},
        {"first": 2, "after": "nonsense"},
        {"first": 2, "after": b64encode(b'["ratings","x",1]').decode()},
        {"first": 2, "after": b64encode(b'["ratings",9223372036854775807,1]').decode()},
        {"first": 2, "after": b64encode(b'["ratings",1,18446744073709551615]').decode()},
        {"first": 2, "after": b64encode(b'["movies",1,1]').decode()},
    ],
)
def test_invalid_pages_are_refused(ask: Ask, member: Member, arguments: dict[str, Any]) -> None:
    assert code(ask(PAGE, member.token, **arguments)) == "BAD_USER_INPUT"


def test_a_rating_is_a_node_only_for_its_owner(ask: Ask, member: Member, movies: list[str]) -> None:
    query = "query ($id: ID!) { node(id: $id) { id ... on Rating { stars movie { id } } } }"
    id_ = rate(ask, member, movies[4], 2.5)["rating"]["id"]
    assert ask(query, member.token, id=id_)["data"]["node"] == {
        "id": id_,
        "stars": 2.5,
        "movie": {"id": movies[4]},
    }
    assert ask(query, sign_up(ask).token, id=id_)["data"]["node"] is None
    assert ask(query, id=id_)["data"]["node"] is None
    assert code(ask(query, member.token, id=global_id("Rating", "1"))) == "BAD_USER_INPUT"


@pytest.mark.parametrize(("stars", "shown"), [(4.4999999, "4.4999999"), (5.0000001, "5.0000001"), (6, "6")])
def test_errors_quote_the_stars_of_the_request(ask: Ask, member: Member, stars: float, shown: str) -> None:
    (movie,) = ask("Movies", first=1)["data"]["movies"]["edges"]
    refused = outcome(ask("RateMovie", member.token, movie=movie["node"]["id"], stars=stars), "rateMovie")
    assert refused["__typename"] == "InvalidStars"
    assert f", not {shown}." in refused["message"]
    query = "query ($r: Float!) { movies(first: 1, filter: {minRating: $r}) { totalCount } }"
    if stars > 5:
        assert ask(query, r=stars)["errors"][0]["message"].endswith(f"not {shown}.")
