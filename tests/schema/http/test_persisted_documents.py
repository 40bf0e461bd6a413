"""Persisted documents: the size of the store, and trusted documents."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from schema import schema
from schema.core.errors import CallerError
from schema.execution.documents import DocumentCache, InvalidDocument
from schema.execution.request import GraphQLRequest
from schema.http.persisted_documents import (
    InvalidDocuments,
    PersistedDocuments,
    trusted_documents,
)
from tests.schema.http.conftest import open_socket
from tests.services import StartServer

GENRES = "query Genres { genres { name } }"
MOVIES = "query Movies($n: Int!) { movies(first: $n) { edges { node { title } } } }"
FORMATS: dict[str, Any] = {
    "by id": {"genres-1": GENRES, "movies-1": MOVIES},
    "by hash": {f"sha256:{hashlib.sha256(text.encode()).hexdigest()}": text for text in (GENRES, MOVIES)},
    "Apollo's manifest": {
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": [
            {"id": "genres-1", "body": GENRES, "name": "Genres", "type": "query"},
            {"id": "movies-1", "body": MOVIES, "name": "Movies", "type": "query"},
        ],
    },
}


def named(query: str | None, sha256: str) -> GraphQLRequest:
    return GraphQLRequest.of(
        {"query": query, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256}}}
    )


def test_a_valid_document_is_known_by_its_hash_while_the_cache_keeps_it() -> None:
    cache = DocumentCache(schema._schema, Settings())
    documents = PersistedDocuments(cache)
    texts = [f"{{ genres {{ name }} }} # {number} {'x' * 9_000}" for number in range(120)]
    first, second, *_, last = (hashlib.sha256(text.encode()).hexdigest() for text in texts)
    with pytest.raises(CallerError, match="PersistedQueryNotFound"):
        documents.text(named(None, first))
    for text in texts:
        cache.read(text)
        cache.read(texts[0])
    assert documents.text(named(None, first)) == texts[0]
    assert documents.text(named(None, last)) == texts[-1]
    with pytest.raises(CallerError, match="PersistedQueryNotFound"):
        documents.text(named(None, second))
    assert len(cache.by_hash) == len(cache.kept) < len(texts)


def test_a_document_that_is_not_valid_is_not_known() -> None:
    cache = DocumentCache(schema._schema, Settings())
    with pytest.raises(InvalidDocument):
        cache.read("{ nothing }")
    with pytest.raises(CallerError, match="PersistedQueryNotFound"):
        PersistedDocuments(cache).text(named(None, hashlib.sha256(b"{ nothing }").hexdigest()))


@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS.keys())
def test_trusted_documents_are_read_in_the_formats_of_compilers(content: Any, tmp_path: Path) -> None:
    file = tmp_path / "documents.json"
    file.write_text(json.dumps(content))
    documents = trusted_documents(file, schema._schema)
    ids = list(content) if "operations" not in content else ["genres-1", "movies-1"]
    assert [documents.text(GraphQLRequest.of({"documentId": id_})) for id_ in ids] == [GENRES, MOVIES]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "must be an object from ids to texts"),
        ('{"a": 1}', "must be an object from ids to texts"),
        ('{"format": "apollo-persisted-query-manifest", "operations": 1}', "must be a list"),
        ('{"movies": "query {"}', "document movies: Syntax Error"),
        ('{"movies": "{ nope }"}', "document movies: Cannot query field 'nope'"),
    ],
)
def test_an_invalid_file_is_refused_with_a_reason(content: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "documents.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidDocuments, match=message):
        trusted_documents(file, schema._schema)


def test_with_trusted_documents_all_others_are_refused(
    start_server: StartServer, seeded_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "documents.json"
    file.write_text(json.dumps(FORMATS["by id"]))
    url = start_server(seeded_database_url, TRUSTED_DOCUMENTS=str(file)).url + "/graphql"
    other = "{ genres { id } }"
    by_hash = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(other.encode()).hexdigest()}}
    variables = json.dumps({"n": 2})
    for answer in (
        httpx.get(url, params={"documentId": "movies-1", "variables": variables}),
        httpx.post(url, json={"documentId": "movies-1", "variables": {"n": 2}}),
        httpx.post(url, json={"query": MOVIES, "variables": {"n": 2}}),
    ):
        assert len(answer.json()["data"]["movies"]["edges"]) == 2
    for body in (
        {"query": other},
        {"query": GENRES + " "},
        {"query": "{ __schema { types { name } } }"},
        {"query": other, "documentId": "genres-1"},
        {"documentId": "nobody's"},
        {"query": other, "extensions": by_hash},  # Apollo's automatic persisted query
        {"extensions": by_hash},
    ):
        for answer in (
            httpx.post(url, json=body),
            httpx.post(url, json=body, headers={"Accept": "text/event-stream"}),
            httpx.get(
                url, params={key: v if isinstance(v, str) else json.dumps(v) for key, v in body.items()}
            ),
        ):
            assert [error["extensions"]["code"] for error in answer.json()["errors"]] == [
                "UNTRUSTED_DOCUMENT"
            ]
    with open_socket(url) as socket:
        socket.send("subscribe", "1", {"query": other})
        refused = socket.receive()
        assert (refused["type"], refused["id"]) == ("error", "1")
        assert refused["payload"][0]["extensions"]["code"] == "UNTRUSTED_DOCUMENT"
        socket.send("subscribe", "2", {"documentId": "genres-1"})
        assert socket.receive()["payload"]["data"]["genres"]
