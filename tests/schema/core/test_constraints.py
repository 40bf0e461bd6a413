"""Every string and list argument has a declared limit, which is checked first."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

from app.settings import Settings
from schema import schema
from schema.core.constraints import MAX_WORD_LENGTH, Constraint, constraint_of
from schema.core.errors import BadArgument
from schema.execution.documents import DocumentCache
from tests.schema.conftest import Ask, Member
from tests.schema.documents import arguments_of, selection_of

MISSING = (
    "{} takes {} of any length. Declare a limit: directives=[Constraint(max_length=..., max_items=...)] of "
    "schema/constraints.py at its strawberry.argument(...) or strawberry.field(...). For the id of a node "
    "there is GLOBAL_ID, for a cursor the annotations After and Before of schema/pagination.py."
)
NEEDS_LENGTH = {"String", "ID", "JSON"}
Definition = GraphQLArgument | GraphQLInputField


def fields() -> Iterator[tuple[str, str, Any]]:
    """Each field: a document around it, its coordinate, the field."""
    seen: set[str] = set()
    roots = [("query", "query_type"), ("mutation", "mutation_type"), ("subscription", "subscription_type")]
    left: deque[tuple[str, Any]] = deque(
        (f"{operation} %s {{ %s }}", getattr(schema._schema, type_)) for operation, type_ in roots
    )
    while left:
        document, type_ = left.popleft()
        if type_.name in seen:
            continue
        seen.add(type_.name)
        if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
            left += [(document % ("%s", f"... on {each} {{ %s }}"), each)
                     for each in schema._schema.get_possible_types(type_)]  # fmt: skip
            continue
        for name, field in type_.fields.items():
            yield document, f"{type_.name}.{name}", field
            if not is_leaf_type(inner := get_named_type(field.type)):
                around = f"{name}{arguments_of(field)} {{ %s }}".replace("%", "%%").replace("%%s", "%s")
                left.append((document % ("%s", around), inner))


def definitions() -> Iterator[tuple[str, Definition]]:
    """All arguments and input fields of the schema, by coordinate."""
    for name, type_ in schema._schema.type_map.items():
        if name.startswith("__"):
            continue
        if isinstance(type_, GraphQLInputObjectType):
            yield from ((f"{name}.{key}", field) for key, field in type_.fields.items())
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for key, field in type_.fields.items():
                yield from ((f"{name}.{key}({key_}:)", argument) for key_, argument in field.args.items())


def is_list(type_: Any) -> bool:
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)


def missing(definition: Definition) -> list[str]:
    """The coordinates without a limit."""
    constraint = constraint_of(definition) or Constraint()
    named = get_named_type(definition.type)
    return [
        *([f"{named}s"] if named.name in NEEDS_LENGTH and not constraint.max_length else ()),
        *(["a list"] if is_list(definition.type) and not constraint.max_items else ()),
    ]


def test_every_string_and_list_has_a_limit() -> None:
    without = [
        MISSING.format(place, " and ".join(found))
        for place, definition in definitions()
        if (found := missing(definition))
    ]
    assert not without, "\n".join(without)


def test_each_limit_is_in_the_description_and_in_the_sdl() -> None:
    sdl = schema.as_str()
    assert "query: String! @constraint(maxLength: 200)" in sdl
    assert "ids: [ID!]! @constraint(maxLength: 500, maxItems: 100)" in sdl
    for place, definition in definitions():
        if (constraint := constraint_of(definition)) is not None:
            rule = (definition.description or "").rpartition("More than ")[2]
            for limit in (constraint.max_length, constraint.max_items):
                assert not limit or f"{limit:,} " in rule, place


def beyond(type_: Any, constraint: Constraint | None, place: str) -> Iterator[tuple[str, Any]]:
    """For each limit in a type: its path in a value, and a value that exceeds it by one."""
    if isinstance(type_, GraphQLNonNull):
        yield from beyond(type_.of_type, constraint, place)
    elif isinstance(type_, GraphQLList):
        if isinstance(get_named_type(type_), GraphQLScalarType):
            yield place, [None] * (constraint.max_items + 1)  # type: ignore[union-attr, operator]
        for inner, value in beyond(type_.of_type, constraint, f"{place}[1]"):
            yield inner, [None, value]
    elif isinstance(type_, GraphQLInputObjectType):
        for name, field in type_.fields.items():
            for inner, value in beyond(field.type, constraint_of(field), f"{place}.{name}"):
                yield inner, {name: value}
        yield place, {"x" * 3_000_000: None}
    elif type_.name in NEEDS_LENGTH:
        yield place, "x" * (constraint.max_length + 1)  # type: ignore[union-attr, operator]
    else:
        yield place, "x" * (MAX_WORD_LENGTH + 1)


def given_beyond() -> Iterator[Any]:
    for document, coordinate, field in fields():
        name = coordinate.partition(".")[2]
        for argument, definition in field.args.items():
            given = arguments_of(field, **{argument: "$value"})
            query = document % (
                f"($value: {definition.type})",
                f"{name}{given} {selection_of(field, 1)}",
            )
            yield pytest.param(query, f"{name}.{argument}", definition, id=f"{coordinate}({argument}:)")


@pytest.mark.parametrize(("query", "place", "definition"), [*given_beyond()])
def test_a_variable_that_is_too_long_is_refused_in_every_place(
    query: str, place: str, definition: GraphQLArgument
) -> None:
    document = DocumentCache(schema._schema, Settings(max_depth=99, max_tokens=9_999)).read(query)
    operation = document.operation(None)
    assert operation is not None
    for inner, value in beyond(definition.type, constraint_of(definition), place):
        with pytest.raises(BadArgument) as error:
            operation.check_variables({"value": value})
        assert error.value.argument == inner
        assert len(error.value.message) < 1_000
    operation.check_variables({})
    operation.check_variables({"value": None})


LITERALS = {
    '{ search(query: "%s", first: 1) { edges { score } } }': ("search.query", 200),
    '{ s: search(first: 1, query: """%s""") { edges { score } } }': ("search.query", 200),
    'query ($q: String! = "%s") { search(query: $q, first: 1) { edges { score } } }': ("search.query", 200),
    '{ movies(first: 1, filter: {genres: ["Drama", "%s"]}) { totalCount } }': (
        "movies.filter.genres[1]",
        100,
    ),
    '{ movies(first: 1, filter: {genres: "%s"}) { totalCount } }': ("movies.filter.genres", 100),
    'query ($f: MovieFilter = {people: ["%s"]}) { movies(first: 1, filter: $f) { totalCount } }': (
        "movies.filter.people[0]",
        200,
    ),
    'query ($f: MovieFilter = {people: ["%s"]}) { ...Q } fragment Q on Query '
    "{ ... { movies(first: 1, filter: $f) { totalCount } } }": ("movies.filter.people[0]", 200),
    '{ ... @defer(label: "%s") { genres { name } } }': ("@defer.label", 100),
    'mutation { logIn(input: {username: "%s", password: "x"}) { __typename } }': (
        "logIn.input.username",
        256,
    ),
    'subscription { trainingProgress(jobId: "%s") { fraction } }': ("trainingProgress.jobId", 500),
}


@pytest.mark.parametrize("document", LITERALS)
def test_a_literal_that_is_too_long_is_refused_in_every_place(document: str) -> None:
    place, limit = LITERALS[document]
    reader = DocumentCache(schema._schema, Settings())
    assert reader.read(document % ("x" * limit))
    with pytest.raises(BadArgument) as error:
        reader.read(document % ("x" * (limit + 1)))
    assert error.value.extensions == {
        "code": "BAD_USER_INPUT",
        "argument": place,
        "rule": "maxLength",
        "limit": limit,
        "asked": limit + 1,
    }


def test_a_variable_has_the_limits_of_all_its_uses() -> None:
    query = """query ($x: String!, $ids: [ID!]!) {
        search(query: $x, first: 1) { edges { score } } nodes(ids: $ids) { id }
        movies(first: 1, filter: {genres: [$x]}) { totalCount }
    }"""
    operation = DocumentCache(schema._schema, Settings()).read(query).operation(None)
    assert operation is not None
    operation.check_variables({"x": "x" * 100, "ids": ["x"] * 100})
    with pytest.raises(
        BadArgument, match=r"^movies.filter.genres\[0\] takes at most 100 characters, not 101"
    ):
        operation.check_variables({"x": "x" * 101, "ids": []})
    with pytest.raises(BadArgument, match=r"^nodes.ids takes at most 100 items, not 101. Send fewer.$"):
        operation.check_variables({"x": "x", "ids": ["x"] * 101})


MARKS = "a" + "\u0301\u0316" * 200_000
LOG_IN = "mutation ($name: String!) { logIn(input: {username: $name, password: $name}) { __typename } }"
REFUSED = "logIn.input.username takes at most 256 characters, not 400,001. Shorten it."


def test_the_longest_value_is_refused_over_http(server: str, http: httpx.Client) -> None:
    body = {"query": LOG_IN, "variables": {"name": MARKS}}
    for accept, status in (("application/json", 200), ("application/graphql-response+json", 400)):
        response = http.post(f"{server}/graphql", json=body, headers={"Accept": accept})
        assert response.status_code == status
        (error,) = response.json()["errors"]
        assert error["message"] == REFUSED
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
    stream = http.post(f"{server}/graphql", json=body, headers={"Accept": "text/event-stream"}).text
    assert REFUSED in stream
    query = "query ($q: String!) { search(query: $q, first: 1) { edges { score } } }"
    asked = {"query": query, "variables": f'{{"q": "{"x" * 300}"}}'}
    assert "search.query takes at most 200" in http.get(f"{server}/graphql", params=asked).text


def test_a_long_group_name_is_truncated_in_errors(ask: Ask, member: Member) -> None:
    query = """query ($names: [String!]!) {
        groupRecommendations(usernames: $names, first: 1) { modelVersion }
    }"""
    (error,) = ask(query, member.token, names=[member.username, "\ufdfa" * 256])["errors"]
    assert error["extensions"]["argument"] == "groupRecommendations.usernames[1]"
    assert len(error["message"]) < 200
