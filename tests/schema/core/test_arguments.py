"""Invalid arguments of every field are reported by their path."""

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)

from schema import schema
from tests.schema.conftest import Member
from tests.schema.documents import arguments_of, global_id, roots, selection_of, value_of

STRANGE = ("", "x", "TW92aWU6", global_id("Nothing", 1), global_id("Movie", "one"), global_id("Session", -1))
ELSEWHERE = {"requestId", "imdbId", "tmdbId", "movielensId", "code"}  # ids that are not global ids
SIZES, CURSORS = {"first", "last", "perShelf"}, {"after", "before"}


def ids_in(type_: Any, name: str) -> Iterator[tuple[str, str]]:
    """The paths of global ids in an argument, each with a value that has `ID` in its place."""
    if isinstance(type_, GraphQLNonNull):
        yield from ids_in(type_.of_type, name)
    elif isinstance(type_, GraphQLList):
        for path, value in ids_in(type_.of_type, name):
            sound = value_of(type_.of_type, name)
            yield path.replace(name, f"{name}[1]", 1), f"[{sound}, {value}]"
    elif isinstance(type_, GraphQLInputObjectType):
        for key, field in type_.fields.items():
            for path, value in ids_in(field.type, key):
                rest = value_of(type_, name, without=key)
                yield f"{name}.{path}", f"{{{key}: {value}{rest.removeprefix('{')}"
    elif type_.name == "ID" and name not in ELSEWHERE:
        yield name, '"ID"'


def global_ids() -> Iterator[Any]:
    for operation, root, field in roots():
        name = root.partition(".")[2]
        for argument, definition in field.args.items():
            for path, value in ids_in(definition.type, argument):
                given = arguments_of(field, **{argument: value})
                document = f"{operation} {{ {name}{given}{selection_of(field, 1)} }}"
                yield pytest.param(document, f"{name}.{path}", id=f"{name}.{path}")


def pages() -> Iterator[Any]:
    """The fields with a size or a cursor, each with a document around it, without its arguments."""
    seen: set[GraphQLNamedType] = set()
    reached: deque[tuple[str, str, GraphQLNamedType]] = deque([("{ ", " }", query_type())])
    while reached:
        before, after, type_ = reached.popleft()
        if type_ in seen or not isinstance(type_, GraphQLObjectType):
            continue
        seen.add(type_)
        for name, field in type_.fields.items():
            inner = get_named_type(field.type)
            if (SIZES | CURSORS) & field.args.keys():
                yield pytest.param(before + name, selection_of(field, 1) + after, field, id=f"{type_}.{name}")
            if not is_leaf_type(inner):
                reached.append((f"{before}{name}{arguments_of(field)} {{ ", f" }}{after}", inner))


def query_type() -> GraphQLObjectType:
    found = schema._schema.query_type
    assert found is not None
    return found


def messages(http: httpx.Client, server: str, token: str, document: str) -> set[str]:
    """The messages of all errors in a response or a stream of responses."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    text = http.post(f"{server}/graphql", json={"query": document}, headers=headers).text
    answers = [line.removeprefix("data:") for line in text.splitlines() if "errors" in line]
    found = [error for answer in answers for error in json.loads(answer)["errors"]]
    for error in found:
        argument = error["message"].partition(" ")[0]
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}, text
    return {error["message"] for error in found}


@pytest.mark.parametrize(("document", "path"), [*global_ids()])
def test_an_invalid_id_is_named(
    server: str, http: httpx.Client, operator: Member, document: str, path: str
) -> None:
    for strange in STRANGE:
        (message,) = messages(http, server, operator.token, document.replace('"ID"', json.dumps(strange)))
        assert message.startswith(f"{path} "), (strange, message)


@pytest.mark.parametrize(("before", "after", "field"), [*pages()])
def test_an_invalid_size_or_cursor_is_named(
    server: str, http: httpx.Client, operator: Member, before: str, after: str, field: GraphQLField
) -> None:
    name = before.rpartition(" ")[2]

    def refusals(**given: str) -> set[str]:
        document = before + arguments_of(field, **given) + after
        return messages(http, server, operator.token, document)

    for argument in SIZES & field.args.keys():
        assert refusals(**{argument: "0"}) == {f"{name}.{argument} must be from 1 to 100, not 0."}
    assert "after" not in field.args or refusals(after='"x"') == {
        f"{name}.after is not a cursor of this field."
    }
    if "before" in field.args:
        assert refusals(last="1", before='"x"') == {f"{name}.before is not a cursor of this field."}
        assert refusals(first="1", last="1") == {f"{name}.last cannot be given with `first`."}
