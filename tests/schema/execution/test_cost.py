"""The cost of an operation: objects, values and weights, multiplied by lists; arguments by their size."""

from dataclasses import replace
from typing import Annotated, Any

import pytest
import strawberry
from strawberry import relay

from app.settings import Settings
from app.web.budget import REQUEST_COST
from schema import schema
from schema.core.directives import Cost, ListSize
from schema.execution import documents
from schema.execution.argument_cost import POINTS
from schema.execution.cost import OBJECT, VALUE
from schema.execution.documents import CostedOperation, DocumentCache

FIELD, NAMES, TEXT, IDS, DEPTH = 20, 3, 4, 2, 5


@strawberry.input
class Wanted:
    names: list[str] | None = strawberry.field(default=None, directives=[Cost(weight=NAMES)])
    text: str | None = strawberry.field(default=None, directives=[Cost(weight=TEXT, per=100)])


def some() -> "list[Item]":
    return []


def page() -> "Page":
    return Page(edges=[])


def argument(weight: int) -> Any:
    return strawberry.argument(directives=[Cost(weight=weight)])


def found(
    wanted: Wanted | None = None,
    ids: Annotated[list[strawberry.ID] | None, argument(IDS)] = None,
    depth: Annotated[int, argument(DEPTH)] = 1,
) -> int:
    return len(ids or ()) + depth + (wanted is None)


def sliced(first: int | None = None) -> "list[Item]":
    return some()[:first]


def paged(first: int) -> "Page":
    return Page(edges=some()[:first])


@strawberry.type
class Item:
    name: str
    other: int
    items: "list[Item]" = strawberry.field(resolver=sliced)


@strawberry.type
class Page:
    edges: list[Item]


@strawberry.type
class Query:
    items: list[Item] = strawberry.field(
        resolver=some, directives=[Cost(weight=FIELD), ListSize(assumed_size=7)]
    )
    sliced: list[Item] = strawberry.field(resolver=sliced)
    paged: Page = strawberry.field(resolver=paged, directives=[Cost(weight=FIELD)])
    found: int = strawberry.field(resolver=found)


TOY = strawberry.Schema(Query)


def points(query: str, of: strawberry.Schema = TOY, /, **variables: Any) -> int:
    """Rounded up to whole units, and without those of the request."""
    document = DocumentCache(of._schema, Settings()).read(query)
    costed = CostedOperation.of(document, document.operation(None), variables, 10**15)
    return POINTS * (costed.requested - REQUEST_COST)


def up(exact: int) -> int:
    return -(-exact // POINTS) * POINTS


def test_a_request_costs_what_every_request_takes() -> None:
    document = DocumentCache(TOY._schema, Settings()).read("{ __typename }")
    costed = CostedOperation.of(document, document.operation(None), {}, 10**6)
    assert REQUEST_COST <= costed.requested <= REQUEST_COST + 1


def test_objects_values_and_weights_count() -> None:
    assert points("{ items { name } }") == up(FIELD * POINTS + 7 * (OBJECT + VALUE))
    assert points("{ items { name other } }") == up(FIELD * POINTS + 7 * (OBJECT + 2 * VALUE))
    twice = up(2 * (FIELD * POINTS + 7 * (OBJECT + VALUE)))
    assert points("{ a: items { name } b: items { name } }") == twice


def test_lists_within_lists_multiply() -> None:
    inner = 5 * (OBJECT + VALUE)
    assert points("{ sliced(first: 20) { items(first: 5) { name } } }") == up(20 * (OBJECT + inner))
    assert points("{ paged(first: 30) { edges { name } } }") == up(FIELD * POINTS + 30 * (OBJECT + VALUE))
    assert points("{ sliced { name } }") == up(100 * (OBJECT + VALUE))  # a page of maximal size


def test_variables_and_their_defaults_set_the_length_of_a_list() -> None:
    query = "query ($n: Int = 6) { sliced(first: $n) { name } }"
    each = OBJECT + VALUE
    assert points(query) == points(query, n=6) == up(6 * each)
    assert points(query, n=50) == up(50 * each)
    assert points(query, n=10**8) == up(10**8 * each)
    assert points(query, n=-3) == 0  # it is not executed
    assert points(query, n="many") == up(100 * each)  # not executed either


def test_fragments_cost_as_much_as_their_fields() -> None:
    plain = points("{ items { name items(first: 3) { name } } }")
    spread = (
        "{ items { ...A } } fragment A on Item { name ...B } fragment B on Item { items(first: 3) { name } }"
    )
    assert points(spread) == plain
    assert points("{ items { name ... { ... on Item { items(first: 3) { name } } } } }") == plain


@pytest.mark.parametrize(
    ("arguments", "variables", "charged"),
    [
        ("", {}, DEPTH),
        ("depth: 3", {}, 3 * DEPTH),
        ("depth: $d", {"d": 8}, 8 * DEPTH),
        ("depth: $d", {}, 2 * DEPTH),
        ("depth: $d", {"d": True}, 0),
        ("depth: 0, ids: [1, 2, 3]", {}, 3 * IDS),
        ("depth: 0, ids: $ids", {"ids": ["a"] * 40}, 40 * IDS),
        ("depth: 0, ids: [$one, $one]", {"one": "a"}, 2 * IDS),
        ("depth: 0, ids: $ids", {"ids": None}, 0),
        ('depth: 0, wanted: {names: ["a", "b"]}', {}, 2 * NAMES),
        ("depth: 0, wanted: {names: $names}", {"names": ["a"] * 9_000}, 9_000 * NAMES),
        (
            "depth: 0, wanted: $wanted",
            {"wanted": {"names": ["a"] * 70, "text": "x" * 150}},
            70 * NAMES + 2 * TEXT,
        ),
        ("depth: 0, wanted: $wanted", {"wanted": {"text": "x" * 100_000}}, 1_000 * TEXT),
        ("depth: 0, wanted: $wanted", {"wanted": {"text": "x" * 10**6}}, 3_000 * TEXT),
        ("depth: 0, wanted: $wanted", {"wanted": {"text": ["x"], "names": {"a": 1}}}, TEXT),
        ("depth: 0, wanted: $wanted", {"wanted": 5}, 0),
        ("depth: $d", {"d": float("inf")}, 0),
    ],
)
def test_arguments_cost_by_their_size(arguments: str, variables: Any, charged: int) -> None:
    names = {"d": "Int = 2", "ids": "[ID!]", "one": "ID!", "names": "[String!]", "wanted": "Wanted"}
    declared = ", ".join(f"${name}: {kind}" for name, kind in names.items() if f"${name}" in arguments)
    query = f"query {f'({declared})' if declared else ''} {{ found{f'({arguments})' if arguments else ''} }}"
    assert points(query, **variables) == up(VALUE + charged * POINTS)


def shelf_id(page: int, shelf: str = "TOP_PICKS/0") -> str:
    return relay.to_base64("Shelf", f"{page:032x}/20260101T000000Z-abcdef/1767225600000000/8/24/{shelf}")


def test_shelves_by_id_cost_as_much_as_their_home_pages() -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    movies = points(query, schema, ids=["TW92aWU6MQ=="] * 100)
    one = points(query, schema, ids=[shelf_id(1)] * 100)
    same = points(query, schema, ids=[shelf_id(1), shelf_id(1, "GENRE/3")] * 50)
    many = points(query, schema, ids=[shelf_id(page) for page in range(100)])
    home = one - movies
    assert home > 100 * POINTS
    assert same == one
    assert many - movies == 100 * home
    single = "query ($id: ID!) { node(id: $id) { id } }"
    assert points(single, schema, id=shelf_id(1)) - points(single, schema, id="TW92aWU6MQ==") == home
    assert points(query, schema, ids=["U2hlbGY6", "U2hlbGY6?", "U2hlbGY6ä"]) < home  # invalid ids


def test_rows_by_id_cost_their_reading() -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    movies = points(query, schema, ids=["TW92aWU6MQ=="] * 4)
    sessions = points(query, schema, ids=[relay.to_base64("Session", number) for number in range(4)])
    mixed = points(query, schema, ids=[relay.to_base64(name, 1) for name in ("Session", "Model") * 2])
    assert mixed - movies == 2 * (sessions - movies) > 0


BATCH = "mutation ($e: [FeedbackInput!]!) { recordFeedback(input: { events: $e }) { __typename } }"
IMPORT = "mutation ($csv: String!) { importRatings(input: { csv: $csv }) { __typename } }"
MOVIES = "query ($v: [String!]) { movies(first: 1, filter: { %s: $v }) { totalCount } }"
RECOMMENDED = "query ($v: [ID!]) { recommendations(first: 1, %s: $v) { requestId } }"
SEARCH = "query ($v: String!) { search(query: $v, first: 1) { edges { score } } }"
GROUP = "query ($v: [String!]!) { groupRecommendations(usernames: $v, first: 1) { requestId } }"


@pytest.mark.parametrize(
    ("query", "little", "much"),
    [
        (BATCH, {"e": [{}]}, {"e": [{}] * 500}),
        (IMPORT, {"csv": "x" * 1_000}, {"csv": "x" * 3_000_000}),
        *(
            (MOVIES % name, {"v": ["a"]}, {"v": ["a"] * 50})
            for name in ("genres", "excludeGenres", "languages", "people")
        ),
        *((RECOMMENDED % name, {"v": ["a"]}, {"v": ["a"] * 500}) for name in ("likes", "exclude")),
        (SEARCH, {"v": "a"}, {"v": "a" * 200}),
        (GROUP, {"v": ["a"]}, {"v": ["a"] * 10}),
    ],
)
def test_work_that_grows_with_an_argument_costs_by_its_size(query: str, little: Any, much: Any) -> None:
    assert points(query, schema, **much) > points(query, schema, **little)


def test_the_budget_of_a_minute_bounds_the_work_of_batches() -> None:
    """240 batches of 500 events are 12 seconds of processor time, and a budget is 6."""
    cost = points(BATCH, schema, e=[{}] * 500) / POINTS + REQUEST_COST
    assert 240 * cost > Settings().cost_per_minute


def test_a_kept_cost_is_that_of_the_same_values_and_types() -> None:
    text = "query ($first: Int = 7) { movies(first: $first) { edges { node { title } } } }"
    document = DocumentCache(schema._schema, Settings()).read(text)
    operation = document.operation(None)
    assert operation is not None
    odd: list[dict[str, Any]] = [{}, {"first": None}, {"first": 1}, {"first": True}, {"first": 2.0}]
    values = [*odd, {"first": [1, 2]}, *({"first": number} for number in range(2 * documents.MAX_COSTS))]
    for variables in (*values, *values, *odd):
        for signed_in in (False, True):
            fresh = replace(operation, costs={}).cost(variables, signed_in=signed_in)
            assert operation.cost(variables, signed_in=signed_in) == fresh
    assert len(operation.costs) <= documents.MAX_COSTS
