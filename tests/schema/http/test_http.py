"""GraphQL over HTTP: media types, statuses, invalid requests, stored documents, caching.

`tests/clients` runs the audits of the specification's authors, which need Node.
"""

import hashlib
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.schema.http.conftest import Member

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
NO_FIELD = {"query": "{ nope }"}


@pytest.mark.parametrize(
    ("accept", "media_type", "status"),
    [
        ("", JSON, 200),
        ("*/*", JSON, 200),
        ("text/html", JSON, 200),
        (JSON, JSON, 200),
        (GRAPHQL, GRAPHQL, 400),
        (f"{JSON};q=0.9, {GRAPHQL}", GRAPHQL, 400),
        (f"{GRAPHQL};q=0.1, {JSON}", JSON, 200),
        (f"text/event-stream;q=0.5, {GRAPHQL}", GRAPHQL, 400),
    ],
)
def test_the_preferred_media_type_decides_the_status(
    graphql: str, accept: str, media_type: str, status: int
) -> None:
    answer = httpx.post(graphql, json=NO_FIELD, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (status, f"{media_type}; charset=utf-8")
    assert answer.json().keys() == {"errors"}
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_a_failed_field_has_the_status_of_a_success(graphql: str) -> None:
    query = {"query": '{ movie(id: "none of ours") { title } genres { name } }'}
    answer = httpx.post(graphql, json=query, headers={"Accept": GRAPHQL})
    assert answer.status_code == 200
    assert answer.json()["data"]["movie"] is None
    assert answer.json()["errors"][0]["path"] == ["movie"]


def body_of(content: str | bytes, content_type: str = JSON) -> dict[str, Any]:
    return {"method": "POST", "content": content, "headers": {"Content-Type": content_type}}


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, body_of(b"")),
        (400, body_of('{"query": "{')),
        (400, body_of(b'{"query": "\xff"}')),
        (400, body_of("null")),
        (400, body_of('"{ __typename }"')),
        (400, body_of("{}")),
        (400, body_of('{"query": ""}')),
        (400, body_of('[{"query": "{ __typename }"}, {"query": "{ __typename }"}]')),
        (400, body_of('{"query": "{ __typename }", "operationName": ["a"]}')),
        (400, body_of('{"query": "{ __typename }", "documentId": 7}')),
        (400, body_of('{"query": "{ __typename }", "extensions": {"persistedQuery": "yes"}}')),
        (415, body_of('{"query": "{ __typename }"}', "text/plain")),
        (415, body_of('{"query": "{ __typename }"}', "application/jsonp")),
        (415, body_of('{"query": "{ __typename }"}', "application/json; charset=utf-16")),
        (415, body_of("query=%7B__typename%7D", "application/x-www-form-urlencoded")),
        (400, {"method": "GET", "params": {"query": "{ __typename }", "variables": "{"}}),
        (400, {"method": "GET", "params": {"query": "{ __typename }", "variables": "[]"}}),
        (400, {"method": "GET"}),
        (405, {"method": "GET", "params": {"query": "mutation { logOut { __typename } }"}}),
        (405, {"method": "PUT", "json": {"query": "{ __typename }"}}),
        (406, {"method": "POST", "json": {"query": "subscription { recommendationsChanged { changedAt } }"}}),
    ],
)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
def test_an_invalid_request_is_refused_with_a_code(
    graphql: str, accept: str, status: int, request_: dict[str, Any]
) -> None:
    headers = {**request_.get("headers", {}), "Accept": accept}
    answer = httpx.request(url=graphql, **{**request_, "headers": headers})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith(accept)
    assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["BAD_USER_INPUT"]
    assert "data" not in answer.json()
    if status == 405:
        assert "POST" in answer.headers["allow"]


def test_a_document_with_several_operations_needs_a_name(graphql: str) -> None:
    query = "query A { __typename } query B { genres { name } }"
    for name in (None, "C"):
        answer = httpx.post(
            graphql, json={"query": query, "operationName": name}, headers={"Accept": GRAPHQL}
        )
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    answer = httpx.post(graphql, json={"query": query, "operationName": "A"})
    assert answer.json()["data"] == {"__typename": "Query"}


def hashed(query: str, hash_: str | None = None) -> dict[str, str]:
    sha256 = hash_ or hashlib.sha256(query.encode()).hexdigest()
    return {"extensions": json.dumps({"persistedQuery": {"version": 1, "sha256Hash": sha256}})}


def test_a_document_is_sent_once_and_then_referenced(graphql: str) -> None:
    query = f"query Q{uuid4().hex} {{ genres {{ name }} }}"
    unknown = httpx.get(graphql, params=hashed(query))
    assert unknown.status_code == 200
    assert [error["message"] for error in unknown.json()["errors"]] == ["PersistedQueryNotFound"]
    assert unknown.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert unknown.headers["cache-control"] == "no-store"
    with_text = httpx.get(graphql, params={**hashed(query), "query": query})
    assert with_text.json()["data"]["genres"]
    body = {"extensions": json.loads(hashed(query)["extensions"])}
    id_ = f"sha256:{hashlib.sha256(query.encode()).hexdigest()}"
    for answer in (
        httpx.get(graphql, params=hashed(query)),
        httpx.get(graphql, params={"documentId": id_}, headers={"Accept": "text/html"}),
        httpx.post(graphql, json=body),
        httpx.post(graphql, json={"documentId": id_}),
    ):
        assert answer.json()["data"] == with_text.json()["data"]


def test_a_hash_must_match_its_text(graphql: str) -> None:
    query = f"query Q{uuid4().hex} {{ genres {{ name }} }}"
    forged = httpx.get(graphql, params={**hashed(query), "query": "{ __typename }"})
    assert "hash" in forged.json()["errors"][0]["message"]
    assert httpx.get(graphql, params=hashed(query)).json()["errors"][0]["message"] == "PersistedQueryNotFound"


def test_an_invalid_document_is_not_stored(graphql: str) -> None:
    query = f"query Q{uuid4().hex} {{ nope }}"
    for _ in range(2):
        httpx.get(graphql, params={**hashed(query), "query": query})
        named = httpx.get(graphql, params=hashed(query)).json()
        assert named["errors"][0]["message"] == "PersistedQueryNotFound"


def test_signed_out_catalog_responses_are_publicly_cacheable(graphql: str) -> None:
    movies = "fragment Movies on Query { movies(first: $n) { edges { node { title } } } }"
    query = f"query ($n: Int!) {{ ...Movies }} {movies}"
    params = {"query": query, "variables": '{"n": 3}'}
    answer = httpx.get(graphql, params=params)
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert {"Accept", "Authorization"} <= {name.strip() for name in answer.headers["vary"].split(",")}
    again = httpx.get(
        graphql, params=params, headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert (
        httpx.get(graphql, params={**params, "variables": '{"n": 4}'}).headers["etag"]
        != answer.headers["etag"]
    )


@pytest.mark.parametrize(
    "query",
    [
        "{ recommendations(first: 2) { requestId } }",
        "{ genres { name } ... { recommendations(first: 2) { requestId } } }",
        "{ viewer { id } }",
        '{ movie(id: "none of ours") { title } }',
        "{ nope }",
    ],
)
def test_other_responses_are_not_cacheable(graphql: str, query: str) -> None:
    assert httpx.get(graphql, params={"query": query}).headers["cache-control"] == "no-store"


def test_responses_to_members_and_to_post_are_not_cacheable(graphql: str, member: Member) -> None:
    query = {"query": "{ genres { name } }"}
    for answer in (
        httpx.get(graphql, params=query, headers=member.headers),
        httpx.get(graphql, params=query, headers={"Authorization": "Bearer of no token of ours"}),
        httpx.post(graphql, json=query),
    ):
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers
