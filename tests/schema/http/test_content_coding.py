"""Request bodies: media types, charsets and content codings, and their refusals."""

import gzip
import hashlib
import json
import sys
import zlib
from typing import Any

import httpx
import pytest

from schema.execution.refusal import Refused
from schema.http.content_coding import MAX_MEMBERS, decompress
from schema.http.content_negotiation import GRAPHQL_RESPONSE, JSON, Accept
from tests.schema.http.conftest import GRAPHQL, error_in

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

QUERY = b'{"query": "{ __typename }"}'
RAW_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
BARE = RAW_DEFLATE.compress(QUERY) + RAW_DEFLATE.flush()


def sent(graphql: str, content: bytes = QUERY, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(graphql, content=content, headers={"Content-Type": JSON, **named}, timeout=30)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json; charset=utf_8",
        "application/json; charset='utf-8'",
        "application/json; charset=utf-8; odata=verbose",
        'application/json;profile="https://example.com/a;b,c"',
        "application/json;",
        "Application/JSON ; x=1",
    ],
)
def test_parameters_of_the_media_type_do_not_matter(graphql: str, content_type: str) -> None:
    answer = sent(graphql, Content_Type=content_type)
    assert (answer.status_code, answer.json()["data"]) == (200, {"__typename": "Query"})


@pytest.mark.parametrize(
    ("content_type", "named"),
    [
        ("application/json; charset=iso-8859-1", "`iso-8859-1`"),
        ("application/json; odata=verbose; charset=utf-16", "`utf-16`"),
        ("text/plain; charset=utf-8", "`text/plain`"),
        ("application/x-www-form-urlencoded", "`application/x-www-form-urlencoded`"),
        ("", "missing"),
    ],
)
def test_the_refusal_names_the_part_of_content_type_that_is_wrong(
    graphql: str, content_type: str, named: str
) -> None:
    answer = sent(graphql, Content_Type=content_type)
    assert (answer.status_code, answer.headers["Accept"]) == (415, JSON)
    (error,) = answer.json()["errors"]
    assert named in error["message"]
    assert "UTF-8" in error["message"] or JSON in error["message"]


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("gzip", gzip.compress(QUERY, mtime=0)),
        ("x-gzip", gzip.compress(QUERY, mtime=0)),
        ("GZIP", gzip.compress(QUERY, mtime=0)),
        ("gzip, identity", gzip.compress(QUERY[:9], mtime=0) + gzip.compress(QUERY[9:], mtime=0)),
        ("deflate", zlib.compress(QUERY)),
        ("deflate", BARE),
        ("zstd", zstd.compress(QUERY)),
        ("zstd", zstd.compress(QUERY[:9]) + zstd.compress(QUERY[9:])),
        ("identity", QUERY),
        ("", QUERY),
    ],
)
def test_a_compressed_body_is_decoded(graphql: str, coding: str, content: bytes) -> None:
    assert sent(graphql, content, Content_Encoding=coding).json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize("coding", ["br", "compress", "gzip, gzip", "zstd, gzip", "none"])
def test_an_unknown_content_coding_is_named(graphql: str, coding: str) -> None:
    answer = sent(graphql, gzip.compress(gzip.compress(QUERY, mtime=0)), Content_Encoding=coding)
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "gzip, deflate, zstd")
    assert f"Content-Encoding: {coding}" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("gzip", QUERY),
        ("zstd", gzip.compress(QUERY, mtime=0)),
        ("deflate", b"\xff" * 40),
        ("gzip", gzip.compress(QUERY, mtime=0)[:-9]),
        ("zstd", zstd.compress(QUERY)[:-3]),
        ("gzip", b""),
        ("gzip", gzip.compress(QUERY, mtime=0) + b"and more"),
        ("gzip", gzip.compress(b"", mtime=0) * 100_000),
    ],
)
def test_a_body_that_does_not_match_its_coding_is_refused(graphql: str, coding: str, content: bytes) -> None:
    answer = sent(graphql, content, Content_Encoding=coding)
    assert answer.status_code == 400
    assert coding in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstd.compress)]
)
def test_a_bomb_is_refused_at_the_limit(graphql: str, coding: str, compress: Any) -> None:
    bomb = compress(b'{"query": "' + b" " * 100_000_000)
    assert len(bomb) < 110_000
    answer = sent(graphql, bomb, Content_Encoding=coding, Accept=GRAPHQL)
    assert answer.status_code == 413
    error = error_in(answer)
    assert (error["code"], error["setting"], error["limit"]) == (
        "QUERY_TOO_COMPLEX",
        "MAX_BODY_BYTES",
        3_500_000,
    )
    assert error["asked"] == 3_500_001  # decoding stops at the first excess byte
    assert coding in answer.json()["errors"][0]["message"]


def test_the_number_of_decoded_parts_is_bounded() -> None:
    """Each part copies the rest: without a bound, many small parts take quadratic time."""
    part = gzip.compress(b"x")
    assert decompress(part * MAX_MEMBERS, "gzip", 100) == b"x" * MAX_MEMBERS
    with pytest.raises(Refused, match="parts"):
        decompress(part * (MAX_MEMBERS + 1), "gzip", 100)


@pytest.mark.parametrize(
    ("header", "json_", "stream"),
    [
        ("*/*, application/graphql-response+json", GRAPHQL_RESPONSE, False),
        ("application/json;q=0.1, */*", GRAPHQL_RESPONSE, False),
        ("application/json;q=0, application/*", GRAPHQL_RESPONSE, False),
        ("application/graphql-response+json; charset=utf-8, application/json", GRAPHQL_RESPONSE, False),
        ("APPLICATION/JSON, application/graphql-response+json", JSON, False),
        ("application/graphql-response+json;q=nonsense, application/json", JSON, False),
        ('multipart/mixed; note="a,b;q=1", application/json', JSON, False),
        ("text/event-stream", JSON, True),
        ("text/event-stream;q=0", JSON, False),
        ("text/event-stream, */*;q=0", JSON, True),
        (",;,;q=1,", JSON, False),
    ],
)
def test_the_accept_header_is_read_by_its_grammar(header: str, json_: str, stream: bool) -> None:
    accept = Accept.of(header)
    assert (accept.json, accept.prefers_stream) == (json_, stream)


def test_parts_have_the_format_that_the_client_accepts() -> None:
    apollo = Accept.of('multipart/mixed;deferSpec=20220824, multipart/mixed;subscriptionSpec="1.0"')
    assert apollo.incremental
    assert apollo.legacy_incremental
    assert apollo.multipart_subscription
    assert not Accept.of("multipart/mixed;q=0").incremental


def test_an_invalid_header_or_url_is_refused(graphql: str) -> None:
    assert sent(graphql, Accept="a/b," * 1_000).status_code == 431
    many = "&".join(f"p{n}" for n in range(1_000))
    answer = httpx.get(f"{graphql}?{many}")
    assert answer.status_code == 400
    assert "parameters" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("name", ["operationName", "variables", "extensions", "documentId"])
def test_an_empty_url_parameter_counts_as_absent(graphql: str, name: str) -> None:
    params = {"query": "query Q { genres { name } }", name: ""}
    answer = httpx.get(graphql, params=params, headers={"Accept": GRAPHQL})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["genres"]


@pytest.mark.parametrize("name", ["operationName", "variables", "extensions", "documentId"])
def test_a_null_member_of_a_body_counts_as_absent(graphql: str, name: str) -> None:
    answer = httpx.post(graphql, json={"query": "{ __typename }", name: None}, headers={"Accept": GRAPHQL})
    assert answer.status_code == 200, answer.text


def test_a_stored_document_can_be_named_with_empty_parameters(graphql: str) -> None:
    query = "query Stored { genres { name } __typename }"
    sha256 = hashlib.sha256(query.encode()).hexdigest()
    extensions = json.dumps({"persistedQuery": {"version": 1, "sha256Hash": sha256}})
    httpx.get(graphql, params={"query": query, "extensions": extensions})
    empty = {"query": "", "operationName": "", "variables": ""}
    answer = httpx.get(graphql, params={**empty, "extensions": extensions})
    assert answer.json()["data"]["__typename"] == "Query"
