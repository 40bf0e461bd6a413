"""Rate limits, on a service with low limits."""

import re
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from app.web.budget import REQUEST_COST
from tests.schema.http.conftest import FRIEND, GRAPHQL, PAGE, Guarded, error_in, post, sign_up
from tests.services import running


def test_a_response_reports_its_cost(guarded: Guarded, client: httpx.Client) -> None:
    cost = post(client, guarded.url).json()["extensions"]["cost"]
    assert cost["requested"] > REQUEST_COST
    assert cost["actual"] >= REQUEST_COST


def left_in(answer: httpx.Response) -> dict[str, tuple[int, int, int]]:
    """By policy: the quota, the remainder, and the seconds until there is more."""
    limits = {}
    policies = answer.headers["RateLimit-Policy"].split(", ")
    for policy, rest in zip(policies, answer.headers["RateLimit"].split(", "), strict=True):
        quota = re.fullmatch(r'"(\w+)";q=(\d+);w=60(?:;qu="cost")?', policy)
        state = re.fullmatch(r'"(\w+)";r=(\d+);t=(\d+)', rest)
        assert quota is not None, policy
        assert state is not None, rest
        assert quota[1] == state[1]
        limits[quota[1]] = (int(quota[2]), int(state[2]), int(state[3]))
    return limits


ALL = {"requests": 30, "operations": 12, "cost": 3_000}
STREAM = {"Accept": "text/event-stream"}
PIECES = {"Accept": "multipart/mixed;deferSpec=20220824, application/json"}
DEFERRED = "{ movies(first: 1) { edges { cursor ... @defer { node { title } } } } }"


@pytest.mark.parametrize(
    ("query", "headers", "known"),
    [
        (PAGE, {}, ALL),
        ("{ nope }", {}, ALL),
        ("{", {}, ALL),
        (PAGE, STREAM, ALL),
        ("{ nope }", STREAM, ALL),
        (DEFERRED, PIECES, ALL),
        (PAGE, {"Content-Type": "text/plain"}, {"requests": 30}),
        (PAGE, {"Origin": "https://strangers.example"}, {}),
    ],
)
def test_each_response_reports_the_remainder(
    guarded: Guarded, client: httpx.Client, query: str, headers: dict[str, str], known: dict[str, int]
) -> None:
    answer = client.post(
        guarded.url,
        content=orjson.dumps({"query": query}),
        headers={"Content-Type": "application/json", **headers},
    )
    if not known:  # not counted
        assert "RateLimit" not in answer.headers
        return
    remaining = left_in(answer)
    assert {name: quota for name, (quota, _, _) in remaining.items()} == known
    assert remaining["requests"][1] == 29
    assert all(0 <= left <= quota for quota, left, _ in remaining.values())


def test_the_remainder_falls_by_the_cost(guarded: Guarded, client: httpx.Client) -> None:
    left = [left_in(post(client, guarded.url)) for _ in range(3)]
    for name in ("operations", "cost"):
        assert left[0][name][1] > left[1][name][1] > left[2][name][1], name
    answer = client.get(guarded.url, params={"query": PAGE}, headers={"If-None-Match": '"other"'})
    again = client.get(guarded.url, params={"query": PAGE}, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert left_in(again)["cost"][1] < left_in(answer)["cost"][1]


def test_pages_of_other_origins_may_read_the_remainder(guarded: Guarded, client: httpx.Client) -> None:
    answer = post(client, guarded.url, Origin=FRIEND)
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed)


def refused_at(client: httpx.Client, url: str, query: str, most: int, **headers: str) -> dict[str, Any]:
    """The error of the first refused request, which is not the first request."""
    for number in range(most):
        answer = post(client, url, query, **headers)
        if answer.status_code != 200:
            assert number
            assert answer.status_code == 429, answer.text
            error = error_in(answer)
            assert error["code"] == "RATE_LIMITED"
            assert int(answer.headers["Retry-After"]) == error["retryAfter"] > 0
            remaining = left_in(answer)[error["setting"].partition("_")[0].lower()]
            assert remaining[0] == error["limit"]
            assert remaining[1] < error["asked"]
            assert remaining[2] == error["retryAfter"]
            return error
    pytest.fail(f"{most} requests were answered")


def test_requests_of_an_address_are_limited(guarded: Guarded, client: httpx.Client) -> None:
    for _ in range(30):
        assert client.post(guarded.url, content=b"{").status_code == 415
    answer = client.post(guarded.url, content=b"{")
    assert answer.status_code == 429
    expected = {"code": "RATE_LIMITED", "setting": "REQUESTS_PER_MINUTE", "limit": 30, "asked": 1}
    assert expected.items() <= error_in(answer).items()
    assert answer.headers["Retry-After"] == "2"
    assert left_in(answer) == {"requests": (30, 0, 2)}
    with httpx.Client(headers={"X-Forwarded-For": "192.0.2.77"}) as other:
        assert post(other, guarded.url).status_code == 200


def test_operations_of_a_member_are_limited_across_addresses(guarded: Guarded) -> None:
    member, other = sign_up(guarded.url, "192.0.2.2"), sign_up(guarded.url, "192.0.2.3")
    with httpx.Client(headers={**member.headers, "Accept": GRAPHQL}) as client:
        for number in range(12):
            assert post(
                client, guarded.url, "{ __typename }", **{"X-Forwarded-For": f"192.0.2.{number}"}
            ).is_success
        error = refused_at_once(client, guarded.url)
    assert (error["setting"], error["limit"], error["asked"]) == ("OPERATIONS_PER_MINUTE", 12, 1)
    assert other.ask("{ __typename }") == {"__typename": "Query"}


def refused_at_once(client: httpx.Client, url: str) -> dict[str, Any]:
    answer = post(client, url, "{ __typename }")
    assert answer.status_code == 429
    return error_in(answer)


def test_cost_is_limited(guarded: Guarded, client: httpx.Client) -> None:
    dear = 'mutation { logIn(input: { username: "nobody", password: "a long walk" }) { __typename } }'
    error = refused_at(client, guarded.url, dear, 3)
    assert (error["setting"], error["limit"]) == ("COST_PER_MINUTE", 3_000)
    assert error["asked"] > 300


def test_a_refused_document_costs_its_parsing(guarded: Guarded, client: httpx.Client) -> None:
    unknown = "{ " + "nothing " * 1_000 + "}"
    for number in range(10):
        answer = post(client, guarded.url, unknown)
        if answer.status_code == 429:
            assert number >= 3
            assert error_in(answer)["setting"] == "COST_PER_MINUTE"
            return
        assert answer.status_code == 400
    pytest.fail("nothing was counted")


@pytest.mark.usefixtures("redis_url")
def test_rate_limits_are_shared_by_processes(
    guarded: Guarded, client: httpx.Client, model_dir: Path, run_folder: Path
) -> None:
    with running(guarded.database_url, model_dir, run_folder, **guarded.settings) as second:
        for _ in range(6):
            for url in (guarded.url, f"{second.url}/graphql"):
                assert post(client, url, "{ __typename }").is_success
        for url in (guarded.url, f"{second.url}/graphql"):
            answer = post(client, url, "{ __typename }")
            assert answer.status_code == 429
            assert error_in(answer)["setting"] == "OPERATIONS_PER_MINUTE"
