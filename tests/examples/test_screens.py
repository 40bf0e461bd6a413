"""The documents of front ends' screens: one request each, within the limits, with an answer for all parts."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse, print_ast, validate
from graphql.utilities import separate_operations

from schema import schema
from tests.conftest import ROOT
from tests.schema.conftest import Ask, Member, sign_up

FOLDER = ROOT / "examples" / "screens"
TEXT = "\n".join(path.read_text() for path in sorted(FOLDER.glob("*.graphql")))
SCREENS = {name: print_ast(document) for name, document in separate_operations(parse(TEXT)).items()}
RECORD = """mutation ($events: [FeedbackInput!]!) { recordFeedback(input: { events: $events }) {
    ... on RecordFeedbackPayload { accepted } } }"""


@pytest.fixture(scope="module")
def viewer(ask: Ask) -> Member:
    """A member with ratings, favorite genres, a watchlist and events."""
    member = sign_up(ask)
    page = ask("{ movies(first: 40) { nodes { id } } genres { id } }")["data"]
    ids = [movie["id"] for movie in page["movies"]["nodes"]]
    for place, id_ in enumerate(ids[:12]):
        ask("RateMovie", member.token, movie=id_, stars=2 + place % 4)
    genres = [genre["id"] for genre in page["genres"][:5]]
    assert "errors" not in ask(
        "mutation ($ids: [ID!]!) { setFavoriteGenres(input: { genreIds: $ids }) { __typename } }",
        member.token,
        ids=genres,
    )
    events: list[dict[str, Any]] = [{"movieId": id_, "kind": "WATCHLIST"} for id_ in ids[12:18]]
    events += [{"movieId": id_, "kind": "WATCH", "watchedFraction": 0.4} for id_ in ids[18:22]]
    assert "errors" not in ask(RECORD, member.token, events=events)
    return member


def variables(ask: Ask, member: Member) -> dict[str, dict[str, Any]]:
    """The required variables of each screen."""
    found = ask("""{ movies(first: 1) { nodes { id } }
        searchPeople(query: "Sigourney Weaver", first: 1) { nodes { id } } }""")["data"]
    return {
        "MovieScreen": {"id": found["movies"]["nodes"][0]["id"], "languages": ["de", "en"]},
        "PersonScreen": {"id": found["searchPeople"]["nodes"][0]["id"]},
        "TypeAheadScreen": {"text": "we"},
        "SearchScreen": {"text": "love", "filter": {"yearFrom": 1960}},
        "GroupNightScreen": {"usernames": [member.username]},
        "WatchlistScreen": {"orderBy": {"field": "TITLE"}},
        "HistoryScreen": {"direction": "ASC"},
    }


def empty(value: Any, path: str = "") -> Iterator[str]:
    """The paths of lists without items."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from empty(inner, f"{path}.{name}")
    elif isinstance(value, list):
        if not value:
            yield path
        for inner in value:
            yield from empty(inner, path)


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_a_screen_is_one_request(ask: Ask, viewer: Member, name: str) -> None:
    document = parse(SCREENS[name])
    assert validate(schema._schema, document) == []
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    assert len(operations) == 1
    given = variables(ask, viewer).get(name, {})
    answer = ask(SCREENS[name], viewer.token, **given)
    assert "errors" not in answer, answer["errors"]
    known = {".movie.keywords", ".movie.cast", ".movie.similar.edges.reasons", ".movie.viewer.match.reasons"}
    assert set(empty(answer["data"])) <= known
    assert all(value is not None for value in answer["data"].values())
    assert "errors" not in ask(SCREENS[name], **given) or name == "GroupNightScreen"


def test_there_is_one_for_each_screen() -> None:
    names = [
        "ForYou",
        "GroupNight",
        "History",
        "Home",
        "Movie",
        "Onboarding",
        "Person",
        "Search",
        "TypeAhead",
    ]
    assert sorted(SCREENS) == [f"{name}Screen" for name in [*names, "Watchlist"]]
    assert {path.stem for path in FOLDER.glob("*.graphql")} > {"movie-card", "home", "group-night"}
