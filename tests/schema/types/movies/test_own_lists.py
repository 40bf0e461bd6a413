"""The order and the filter of the viewer's ratings, history and watchlist."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.schema.conftest import Ask, Member, code, sign_up

RECORD = """mutation ($events: [FeedbackInput!]!) { recordFeedback(input: { events: $events }) {
    ... on RecordFeedbackPayload { accepted } } }"""
WATCHLIST = """query ($first: Int = 50, $after: String, $order: WatchlistOrder, $filter: MovieFilter) {
    viewer { watchlist(first: $first, after: $after, orderBy: $order, filter: $filter) {
        totalCount pageInfo { hasNextPage endCursor }
        nodes { id title year averageRating ratingCount releaseDate } } } }"""
HISTORY = """query ($first: Int = 50, $after: String, $kinds: [FeedbackKind!], $filter: MovieFilter,
        $direction: OrderDirection) {
    viewer { history(first: $first, after: $after, kinds: $kinds, filter: $filter, direction: $direction) {
        totalCount pageInfo { hasNextPage endCursor } nodes { kind occurredAt movie { id year } } } } }"""
RATINGS = """query ($first: Int, $after: String, $last: Int, $before: String, $order: RatingOrder) {
    viewer { ratings(first: $first, after: $after, last: $last, before: $before, orderBy: $order) {
        totalCount pageInfo { hasNextPage endCursor hasPreviousPage startCursor }
        nodes { stars ratedAt movie { id title } } } } }"""
RATE = (
    "mutation ($id: ID!, $stars: Float!) { rateMovie(input: { movieId: $id, stars: $stars }) { __typename } }"
)
TIME = "2026-01-{:02}T00:00:00Z"


@pytest.fixture(scope="module")
def listing(ask: Ask) -> Member:
    """A member with 12 movies on the watchlist, and a click on each."""
    member = sign_up(ask)
    ids = [movie["id"] for movie in ask("{ movies(first: 24) { nodes { id } } }")["data"]["movies"]["nodes"]]
    events = [
        {"movieId": id_, "kind": kind, "occurredAt": TIME.format(day)}
        for day, id_ in enumerate(ids[::2], 1)
        for kind in ("WATCHLIST", "CLICK")
    ]
    assert "errors" not in ask(RECORD, member.token, events=events)
    return member


def page(ask: Ask, member: Member, query: str, **variables: Any) -> dict[str, Any]:
    body = ask(query, member.token, **variables)
    assert "errors" not in body, body
    (found,) = body["data"]["viewer"].values()
    return dict(found)


def whole(ask: Ask, member: Member, query: str, **variables: Any) -> list[dict[str, Any]]:
    """All items, in pages of 5."""
    items, after = [], None
    while True:
        found = page(ask, member, query, first=5, after=after, **variables)
        items += found["nodes"]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            assert len(items) == found["totalCount"]
            return items


ORDERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "TITLE": ("title", str.lower),
    "POPULARITY": ("ratingCount", int),
    "RELEASE_DATE": ("year", int),
}


@pytest.mark.parametrize("field", ["ADDED_AT", *ORDERS])
@pytest.mark.parametrize("direction", ["ASC", "DESC", None])
def test_a_watchlist_is_sorted(ask: Ask, listing: Member, field: str, direction: str | None) -> None:
    order = {"field": field, "direction": direction}
    movies = whole(ask, listing, WATCHLIST, order=order)
    newest_first = page(ask, listing, WATCHLIST)["nodes"]
    assert len(movies) == len(newest_first) == 12
    assert sorted(movie["id"] for movie in movies) == sorted(movie["id"] for movie in newest_first)
    descending = direction == "DESC" or (direction is None and field != "TITLE")
    if field == "ADDED_AT":
        assert movies == (newest_first if descending else newest_first[::-1])
    else:
        name, read = ORDERS[field]
        values = [read(movie[name]) for movie in movies]
        assert values == sorted(values, reverse=descending)


@pytest.mark.parametrize("order", [None, {"field": "ADDED_AT", "direction": "ASC"}, {"field": "TITLE"}])
def test_a_watchlist_is_filtered(ask: Ask, listing: Member, order: dict[str, str] | None) -> None:
    years = sorted(movie["year"] for movie in page(ask, listing, WATCHLIST)["nodes"])
    middle = years[6]
    movies = whole(ask, listing, WATCHLIST, order=order, filter={"yearFrom": middle})
    assert len(movies) == sum(year >= middle for year in years)
    assert all(movie["year"] >= middle for movie in movies)
    assert whole(ask, listing, WATCHLIST, order=order, filter={"yearFrom": 2200}) == []


def test_a_history_is_sorted_and_filtered(ask: Ask, listing: Member) -> None:
    newest_first = page(ask, listing, HISTORY)["nodes"]
    assert len(newest_first) == 24
    assert whole(ask, listing, HISTORY, direction="ASC") == newest_first[::-1]
    middle = sorted(event["movie"]["year"] for event in newest_first)[12]
    chosen = [event for event in newest_first if event["movie"]["year"] >= middle]
    assert whole(ask, listing, HISTORY, filter={"yearFrom": middle}) == chosen
    clicks = [event for event in chosen[::-1] if event["kind"] == "CLICK"]
    found = whole(ask, listing, HISTORY, filter={"yearFrom": middle}, kinds=["CLICK"], direction="ASC")
    assert found == clicks != []


def test_a_cursor_belongs_to_its_order(ask: Ask, listing: Member) -> None:
    after = page(ask, listing, WATCHLIST, first=2)["pageInfo"]["endCursor"]
    for order in ({"field": "TITLE"}, {"field": "ADDED_AT", "direction": "ASC"}):
        assert code(ask(WATCHLIST, listing.token, order=order, after=after)) == "BAD_USER_INPUT"
    after = page(ask, listing, HISTORY, first=2)["pageInfo"]["endCursor"]
    assert code(ask(HISTORY, listing.token, direction="ASC", after=after)) == "BAD_USER_INPUT"


def test_a_filter_is_checked(ask: Ask, listing: Member) -> None:
    for query in (WATCHLIST, HISTORY):
        assert code(ask(query, listing.token, filter={"genres": ["Unheard of"]})) == "BAD_USER_INPUT"


@pytest.fixture(scope="module")
def rating(ask: Ask) -> Member:
    """A member with 12 ratings, of 3, 4 and 5 stars in turn."""
    member = sign_up(ask)
    movies = ask("{ movies(first: 24) { nodes { id } } }")["data"]["movies"]["nodes"]
    for place, movie in enumerate(movies[::2]):
        assert "errors" not in ask(RATE, member.token, id=movie["id"], stars=3 + place % 3)
    return member


def whole_backward(ask: Ask, member: Member, **variables: Any) -> list[dict[str, Any]]:
    """All ratings, in pages of 5 from the end."""
    items: list[dict[str, Any]] = []
    before, more = None, True
    while more:
        found = page(ask, member, RATINGS, last=5, before=before, **variables)
        items = found["nodes"] + items
        before, more = found["pageInfo"]["startCursor"], found["pageInfo"]["hasPreviousPage"]
    return items


SORTED: dict[str, Callable[[Any], Any]] = {
    "RATED_AT": lambda each: each["ratedAt"],
    "STARS": lambda each: (each["stars"], each["ratedAt"]),
    "TITLE": lambda each: each["movie"]["title"].lower(),
}


@pytest.mark.parametrize("field", SORTED)
@pytest.mark.parametrize("direction", ["ASC", "DESC", None])
def test_ratings_are_sorted_from_both_ends(
    ask: Ask, rating: Member, field: str, direction: str | None
) -> None:
    order = {"field": field, "direction": direction}
    found = whole(ask, rating, RATINGS, order=order)
    assert len(found) == 12
    assert whole_backward(ask, rating, order=order) == found
    descending = direction == "DESC" or (direction is None and field != "TITLE")
    assert found == sorted(found, key=SORTED[field], reverse=descending)
    if field == "RATED_AT" and descending:
        assert whole(ask, rating, RATINGS) == found


def test_a_cursor_of_ratings_belongs_to_its_order(ask: Ask, rating: Member) -> None:
    after = page(ask, rating, RATINGS, first=2)["pageInfo"]["endCursor"]
    for field in ("STARS", "TITLE"):
        asked = ask(RATINGS, rating.token, first=2, order={"field": field}, after=after)
        assert code(asked) == "BAD_USER_INPUT"
