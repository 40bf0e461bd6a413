"""A cursor is valid only for the list that it came from."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from graphql import GraphQLObjectType

from schema import schema
from tests.schema.conftest import Ask, Member, outcome, sign_up
from tests.schema.documents import global_id

PAGE = "{ edges { cursor } pageInfo { hasNextPage } }"


def variants(member: Member) -> dict[str, tuple[str, list[str]]]:
    """By field: a document around it, and the arguments of different lists."""
    movies = [
        "",
        'filter: {genres: ["Drama"]}',
        'filter: {genres: ["Drama"], yearFrom: 1980}',
        "orderBy: {field: TITLE}",
        "orderBy: {field: TITLE, direction: DESC}",
    ]
    movie_ids = [global_id("Movie", id_) for id_ in (1, 2, 3)]
    return {
        "Query.movies": ("{ movies(%s) PAGE }", movies),
        "Query.search": (
            "{ search(%s) PAGE }",
            ['query: "the"', 'query: "man"', 'query: "the", filter: {yearFrom: 1970}'],
        ),
        "Query.recommendations": (
            "{ recommendations(%s) PAGE }",
            [
                "",
                'filter: {genres: ["Drama"]}',
                "diversity: 0.5",
                "diversity: 0.5, novelty: 0.5",
                f'exclude: ["{movie_ids[0]}"]',
                f'likes: ["{movie_ids[1]}"]',
            ],
        ),
        "Query.onboarding": (
            "{ onboarding(%s) PAGE }",
            ["", f'genres: ["{global_id("Genre", 1)}"]', f'genres: ["{global_id("Genre", 2)}"]'],
        ),
        "Query.groupRecommendations": (
            "{ groupRecommendations(%s) PAGE }",
            [
                f'usernames: ["{member.username}"]',
                f'usernames: ["{member.username}", "{member.username}"]',
                f'usernames: ["{member.username}"], filter: {{yearFrom: 1980}}',
            ],
        ),
        "User.history": (
            "{ viewer { history(%s) PAGE } }",
            ["", "kinds: [CLICK]", "kinds: [CLICK, LIKE]", "kinds: [LIKE]", "direction: ASC"],
        ),
        "User.watchlist": (
            "{ viewer { watchlist(%s) PAGE } }",
            ["", "orderBy: {field: TITLE}", "orderBy: {field: ADDED_AT, direction: ASC}"],
        ),
        "Query.searchPeople": ("{ searchPeople(%s) PAGE }", ['query: "john"', 'query: "j"']),
        "Person.movies": (
            f'{{ node(id: "{global_id("Person", 1)}") {{ ... on Person {{ movies(%s) PAGE }} }} }}',
            ["", "orderBy: {field: TITLE}", "orderBy: {field: TITLE, direction: DESC}"],
        ),
    }


# Fields whose lists have only page arguments: one list for each parent.
WITHOUT_ARGUMENTS = {
    "Movie.similar",
    "Shelf.movies",
    "User.ratings",
    "User.sessions",
    "Query.models",
    "Query.apiKeys",
    "Query.experiments",
    "Query.auditLog",
    "Query.hiddenMovies",
    "Query.promotions",
}


def test_every_list_is_tested() -> None:
    paged = {
        f"{name}.{key}"
        for name, type_ in schema._schema.type_map.items()
        if isinstance(type_, GraphQLObjectType)
        for key, field in type_.fields.items()
        if "after" in field.args
    }
    known = variants(Member("", "", "", "", "")).keys() | WITHOUT_ARGUMENTS
    # `test_dead_letters.py` tests that list, which only administrators may read.
    assert paged == known | {"RecommendationsChanged.recommendations", "Query.deadLetters"}


def page(ask: Ask, document: str, arguments: str, token: str | None, first: int = 1, after: str = "") -> Any:
    given = f"first: {first}, {arguments}" + (f', after: "{after}"' if after else "")
    return ask((document % given).replace("PAGE", PAGE), token)


def cursor_of(body: dict[str, Any]) -> str:
    assert "errors" not in body, body["errors"]
    found = body["data"]
    while "edges" not in found:
        (found,) = found.values()
    cursor: str = found["edges"][0]["cursor"]
    return cursor


def is_refused(body: dict[str, Any], field: str) -> None:
    (error,) = body["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": f"{field}.after"}
    assert error["message"].startswith(f"{field}.after is a cursor of another list. Repeat the arguments")


@pytest.fixture
def active(ask: Ask, member: Member) -> Member:
    """A member with events of two kinds and ratings."""
    movies = [edge["node"]["id"] for edge in ask("Movies", first=4)["data"]["movies"]["edges"]]
    events = [{"movieId": id_, "kind": kind} for id_ in movies for kind in ("CLICK", "LIKE", "WATCHLIST")]
    query = "mutation ($e: [FeedbackInput!]!) { recordFeedback(input: {events: $e}) { __typename } }"
    assert outcome(ask(query, member.token, e=events), "recordFeedback")
    for id_ in movies[:2]:
        assert outcome(ask("RateMovie", member.token, movie=id_, stars=4), "rateMovie")
    return member


@pytest.mark.parametrize("coordinate", [*variants(Member("", "", "", "", ""))])
def test_a_cursor_is_refused_with_other_arguments(ask: Ask, active: Member, coordinate: str) -> None:
    document, lists = variants(active)[coordinate]
    field = coordinate.partition(".")[2]
    for here, arguments in enumerate(lists):
        cursor = cursor_of(page(ask, document, arguments, active.token))
        onward = page(ask, document, arguments, active.token, first=3, after=cursor)
        assert cursor not in json.dumps(onward)
        assert "errors" not in onward
        for there, others in enumerate(lists):
            if here != there:
                is_refused(page(ask, document, others, active.token, after=cursor), field)


def test_null_arguments_equal_absent_ones(ask: Ask) -> None:
    cursor = cursor_of(page(ask, "{ movies(%s) PAGE }", "", None))
    for same in ("filter: null", "filter: {}", "filter: {genres: null}, orderBy: null"):
        assert "errors" not in page(ask, "{ movies(%s) PAGE }", same, None, after=cursor)
    query = "query ($f: MovieFilter) { movies(filter: $f, %s) PAGE }"
    assert "errors" not in page(ask, query, "", None, after=cursor)


def test_a_page_before_a_cursor_belongs_to_its_list(ask: Ask) -> None:
    document = '{ movies(last: 1, before: "%s", %s) { edges { cursor } } }'
    cursor = cursor_of(ask("{ movies(last: 1) { edges { cursor } } }"))
    assert "errors" not in ask(document % (cursor, ""))
    (error,) = ask(document % (cursor, "orderBy: {field: TITLE}"))["errors"]
    assert error["extensions"]["argument"] == "movies.before"
    assert "leave `before` out" in error["message"]


def test_a_cursor_is_refused_below_another_parent(ask: Ask) -> None:
    movies = [edge["node"]["id"] for edge in ask("Movies", first=2)["data"]["movies"]["edges"]]
    of_each = ['{ movie(id: "ID") { similar(%s) PAGE } }'.replace("ID", id_) for id_ in movies]
    cursor = cursor_of(page(ask, of_each[0], "", None))
    assert "errors" not in page(ask, of_each[0], "", None, first=2, after=cursor)
    is_refused(page(ask, of_each[1], "", None, after=cursor), "similar")


@pytest.mark.parametrize("field", ["ratings", "watchlist", "history", "sessions"])
def test_a_cursor_of_one_member_is_refused_to_another(ask: Ask, active: Member, field: str) -> None:
    document = f"{{ viewer {{ {field}(%s) PAGE }} }}"
    cursor = cursor_of(page(ask, document, "", active.token))
    assert "errors" not in page(ask, document, "", active.token, after=cursor)
    is_refused(page(ask, document, "", sign_up(ask).token, after=cursor), field)


def test_a_recommendation_list_is_refused_to_another_member(ask: Ask, active: Member) -> None:
    document = "{ recommendations(%s) PAGE }"
    cursor = cursor_of(page(ask, document, "", active.token))
    for reader in (None, sign_up(ask).token):
        is_refused(page(ask, document, "", reader, after=cursor), "recommendations")
    anonymous = cursor_of(page(ask, document, "", None))
    assert "errors" not in page(ask, document, "", None, after=anonymous)
    is_refused(page(ask, document, "", active.token, after=anonymous), "recommendations")


def test_a_shelf_continues_only_for_its_member(ask: Ask, active: Member) -> None:
    home = "{ home(shelves: 1, perShelf: 5) { shelves { id movies(%s) PAGE } } }"
    (shelf,) = page(ask, home, "", active.token)["data"]["home"]["shelves"]
    document = '{ node(id: "ID") { ... on Shelf { movies(%s) PAGE } } }'.replace("ID", shelf["id"])
    cursor = shelf["movies"]["edges"][0]["cursor"]
    assert "errors" not in page(ask, document, "", active.token, after=cursor)
    for reader in (None, sign_up(ask).token):
        for after in (cursor, ""):
            body = page(ask, document, "", reader, after=after)
            assert body["data"]["node"] is None, "only the member for whom the page was made has the shelf"


def test_a_shelf_of_a_page_that_was_never_made_is_null(ask: Ask) -> None:
    home = "{ home(shelves: 1, perShelf: 5) { shelves { id movies(%s) PAGE } } }"
    (shelf,) = page(ask, home, "", None)["data"]["home"]["shelves"]
    key = urlsafe_b64decode(shelf["id"] + "=" * (-len(shelf["id"]) % 4)).decode()
    request_id, rest = key.removeprefix("Shelf:").split("/", 1)
    forged = f"Shelf:{int(request_id, 16) ^ 1 << 100:032x}/{rest}"
    document = '{ node(id: "ID") { ... on Shelf { movies(%s) PAGE } } }'
    for name, exists in ((f"Shelf:{request_id}/{rest}", True), (forged, False)):
        sent = document.replace("ID", urlsafe_b64encode(name.encode()).decode())
        assert (page(ask, sent, "", None)["data"]["node"] is not None) == exists


def test_an_altered_cursor_is_refused(ask: Ask) -> None:
    document = "{ recommendations(%s) PAGE }"
    cursor = cursor_of(page(ask, document, "", None))
    parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    assert parts[-1] == 1  # the rank
    altered = urlsafe_b64encode(json.dumps([*parts[:-1], 2]).encode()).decode()
    is_refused(page(ask, document, "", None, after=altered), "recommendations")
