"""Hostile requests: oversized, malformed or invalid, each with the error code that refuses it."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

TOO_COMPLEX, BAD = "QUERY_TOO_COMPLEX", "BAD_USER_INPUT"
MEGABYTE = 1_000_000
PAGE = "{ pageInfo { hasNextPage } }"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A request and its refusal. `setting`: the limit that it exceeds; empty for a rule without a setting."""

    name: str
    body: bytes
    code: str = BAD
    setting: str = ""
    chunked: bool = False  # sent without Content-Length


def request_body(query: str, **variables: Any) -> bytes:
    return orjson.dumps({"query": query, "variables": variables})


def too_complex(name: str, setting: str, query: str, **variables: Any) -> Hostile:
    return Hostile(name, request_body(query, **variables), TOO_COMPLEX, setting)


def bad(name: str, query: str, **variables: Any) -> Hostile:
    return Hostile(name, request_body(query, **variables))


def requests() -> list[Hostile]:
    return [*documents(), *fragments(), *repetitions(), *bodies(), *sizes(), *values(), *names()]


def documents() -> Iterator[Hostile]:
    """Large documents."""
    similar = "{ similar(first: 2) { edges { node " * 10
    deep = "{ movies(first: 2) { edges { node " + similar + "{ title }" + " } } }" * 11
    yield too_complex("30 levels deep", "MAX_DEPTH", deep)
    yield bad("10,000 levels deep", "{ a " * 4_900)
    many = " ".join(f"a{n}: __typename" for n in range(10_000))
    yield too_complex("10,000 aliases", "MAX_DOCUMENT_CHARACTERS", f"{{ {many} }}")
    many = " ".join(f"a{n}: __typename" for n in range(300))
    yield too_complex("300 aliases", "MAX_ALIASES", f"{{ {many} }}")
    yield too_complex("100,000 tokens", "MAX_DOCUMENT_CHARACTERS", "{" + "a " * 100_000 + "}")
    yield too_complex("9,000 tokens", "MAX_TOKENS", "{" + "a " * 9_000 + "}")
    yield too_complex("3 MB document", "MAX_DOCUMENT_CHARACTERS", "{ __typename }" + " " * (3 * MEGABYTE))
    yield too_complex("4 MB document", "MAX_BODY_BYTES", "{" + "a " * (2 * MEGABYTE) + "}")
    yield bad("150 operations and no name", " ".join(f"query Q{n} {{ __typename }}" for n in range(150)))
    types = "types { fields { type { fields { type { fields { type { name } } } } } } }"
    yield bad("introspection within itself", f"{{ __schema {{ {types} }} }}")


def fragments() -> Iterator[Hostile]:
    double = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(50))
    bomb = f"{{ ...F0 }} {double} fragment F50 on Query {{ __typename }}"
    yield too_complex("fragments that double 50 times", "MAX_TOKENS", bomb)
    many = " ".join(f"fragment F{n} on Query {{ __typename }}" for n in range(130))
    yield too_complex("130 fragments", "MAX_FRAGMENTS", f"{{ __typename }} {many}")
    yield bad("circular fragments", "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }")
    ring = " ".join(f"fragment F{n} on Query {{ ...F{(n + 1) % 60} }}" for n in range(60))
    yield bad("a ring of 60 fragments", f"{{ ...F0 }} {ring}")
    side = " ".join(f"...F{n}" for n in range(55))
    each = " ".join(f"fragment F{n} on Genre {{ id name }}" for n in range(55))
    yield too_complex("fragments side by side", "MAX_REPEATED_FIELDS", f"{{ genres {{ {side} }} }} {each}")


def repetitions() -> Iterator[Hostile]:
    yield too_complex("a field 900 times", "MAX_REPEATED_FIELDS", "{" + "__typename " * 900 + "}")
    yield too_complex(
        "fields within it, 200 times", "MAX_REPEATED_FIELDS", "{" + "genres { name } " * 200 + "}"
    )
    yield bad("450 directives", "{ __typename " + "@nope " * 450 + "}")
    yield too_complex("600 of @skip", "MAX_TOKENS", "{ __typename " + "@skip(if: false) " * 600 + "}")
    declared = " ".join(f"$v{n}: Int" for n in range(240))
    yield bad("240 variables", f"query ({declared}) {{ __typename }}")
    yield bad("900 unknown fields", "{" + " ".join(f"movie{n}" for n in range(900)) + "}")
    yield bad("300 arguments", "{ movies(" + "first: 1 " * 300 + f") {PAGE} }}")
    nested = "[" * 900
    yield bad("900 nested lists", f"{{ nodes(ids: {nested}")


def bodies() -> Iterator[Hostile]:
    most = "MAX_BODY_BYTES"
    long = request_body("{ __typename }", text="x" * (4 * MEGABYTE))
    yield Hostile("4 MB body", long, TOO_COMPLEX, most)
    yield Hostile("4 MB body, in chunks", long, TOO_COMPLEX, most, chunked=True)
    head = b'{"query": "{ __typename }", "variables": {"a": '
    yield Hostile(
        "10,000 levels of JSON", head + b"[" * 10_000 + b"]" * 10_000 + b"}}", TOO_COMPLEX, "MAX_JSON_DEPTH"
    )
    yield Hostile(
        "10,000 nested objects",
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        TOO_COMPLEX,
        "MAX_JSON_DEPTH",
    )
    yield Hostile("300 levels of JSON", head + b"[" * 300 + b"]" * 300 + b"}}", TOO_COMPLEX, "MAX_JSON_DEPTH")
    values = head + b"[" + b"1," * (MEGABYTE) + b"1]}}"
    yield Hostile("1,000,000 values", values, TOO_COMPLEX, "MAX_JSON_VALUES")
    operation = b'{"query": "{ __typename }"}'
    yield Hostile("a batch of 1,000", b"[" + b",".join([operation] * 1_000) + b"]")
    yield Hostile("invalid UTF-8", b'{"query": "{ __typename } # \xff\xfe"}')
    yield Hostile("half a surrogate pair", b'{"query": "{ __typename } # \\ud800"}')
    yield Hostile("NUL characters", b"\x00" * 10_000)
    yield Hostile("unfinished JSON", b'{"query": "{ __typename }", "variables": {"a": [1, 2')


def sizes() -> Iterator[Hostile]:
    movies = "{{ movies(first: {}) {{ edges {{ node {{ title }} }} }} }}"
    yield too_complex("first: 2,000,000,000", "MAX_COST", movies.format(2_000_000_000))
    yield bad("first: 5,000 digits", movies.format("9" * 5_000))
    yield bad("first: -1", movies.format(-1))
    query = "query ($n: Int!) " + movies.format("$n")
    yield too_complex("first: 2,000,000,000 by a variable", "MAX_COST", query, n=2_000_000_000)
    yield too_complex("first: 1e300 by a variable", "MAX_COST", query, n=1e300)
    similar = "{ edges { node { similar(first: $n) " * 3 + PAGE + " } } }" * 3
    query = f"query ($n: Int!) {{ movies(first: $n) {similar} }}"
    yield too_complex("first: 1e300 within itself", "MAX_COST", query, n=1e300)
    inner = "similar(first: 100) { edges { node { similar(first: 10) { edges { node { title } } } } } }"
    yield too_complex(
        "1,000 pages", "MAX_COST", f"{{ movies(first: 10) {{ edges {{ node {{ {inner} }} }} }} }}"
    )
    similar = (
        "recommendations(first: 100) { edges { node { similar(first: 9) { edges { node { title } } } } } }"
    )
    many = " ".join(f"a{n}: {similar}" for n in range(20))
    yield too_complex("20 lists of 100", "MAX_COST", f"{{ {many} }}")
    nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    yield bad("15,000 ids", nodes, ids=["TW92aWU6MQ=="] * 15_000)


def values() -> Iterator[Hostile]:
    """Invalid ids and cursors."""
    movie = "query ($id: ID!) { movie(id: $id) { title } }"
    for name, id_ in (
        ("a word", "matrix"),
        ("of no type", global_id(":1")),
        ("of another type", global_id("User:1")),
        ("with a sign", global_id("Movie:-1")),
        ("beyond a bigint", global_id("Movie:99999999999999999999")),
        ("of 5,000 digits", global_id("Movie:" + "9" * 5_000)),
        ("with NUL", global_id("Movie:1\x00")),
        ("of 1 MB", "A" * MEGABYTE),
    ):
        yield bad(f"an id {name}", movie, id=id_)
    page = f"query ($after: String) {{ movies(first: 2, after: $after) {PAGE} }}"
    for name, cursor in (
        ("a word", "matrix"),
        ("of another field", global_id('["search",1,2]')),
        ("with lists in it", global_id('["movies",' + "[" * 500 + "]" * 500 + "]")),
        ("with objects in it", global_id('["movies",{"a":1},{"b":2}]')),
        ("with huge numbers", global_id('["movies",1e308,9223372036854775808]')),
        ("with NUL", global_id('["movies","\\u0000",1]')),
        ("of 1 MB", "A" * MEGABYTE),
    ):
        yield bad(f"a cursor {name}", page, after=cursor)


def names() -> Iterator[Hostile]:
    """Malformed requests."""
    yield Hostile("no document", b'{"query": ""}')
    yield Hostile("a document that is a number", b'{"query": 7}')
    yield bad("half a document", "{ movies(first: 2) {")
    yield bad("no operation of that name", "query A { __typename } query B { __typename }")
    yield Hostile("variables that are a list", b'{"query": "{ __typename }", "variables": []}')


def global_id(text: str) -> str:
    return b64encode(text.encode()).decode()
