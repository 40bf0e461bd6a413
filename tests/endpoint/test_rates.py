"""How much each may ask in a minute, told by a service with limits that a test can reach."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import running
from tests.endpoint.conftest import GRAPHQL, Guarded, error_in, post, sign_up


def test_an_answer_tells_what_was_asked_and_what_it_cost(guarded: Guarded, client: httpx.Client) -> None:
    told = post(client, guarded.url).json()["extensions"]["cost"]
    assert told == {"requested": 40, "actual": 40}
    nothing = post(client, guarded.url, '{ movie(id: "TW92aWU6OTk5OTk5OTk=") { title } }')
    asked = nothing.json()["extensions"]["cost"]
    assert asked["actual"] <= asked["requested"]


def refused_at(client: httpx.Client, url: str, query: str, most: int, **headers: str) -> dict[str, Any]:
    """The error of the first request that comes too often, which is not the first of all."""
    for number in range(most):
        answer = post(client, url, query, **headers)
        if answer.status_code != 200:
            assert number
            assert answer.status_code == 429, answer.text
            error = error_in(answer)
            assert error["code"] == "RATE_LIMITED"
            assert int(answer.headers["Retry-After"]) == error["retryAfter"] > 0
            return error
    pytest.fail(f"{most} requests were answered")


def test_requests_of_an_address_are_limited(guarded: Guarded, client: httpx.Client) -> None:
    for _ in range(30):
        assert client.post(guarded.url, content=b"{").status_code == 415
    answer = client.post(guarded.url, content=b"{")
    assert answer.status_code == 429
    told = {"code": "RATE_LIMITED", "setting": "REQUESTS_PER_MINUTE", "limit": 30, "asked": 1}
    assert told.items() <= error_in(answer).items()
    assert answer.headers["Retry-After"] == "2"
    with httpx.Client(headers={"X-Forwarded-For": "192.0.2.77"}) as other:
        assert post(other, guarded.url).status_code == 200


def test_operations_of_a_member_are_limited_wherever_they_are(guarded: Guarded) -> None:
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


def test_cost_is_limited_by_what_is_asked(guarded: Guarded, client: httpx.Client) -> None:
    dear = "{ movies(first: 100) { edges { node { genres { name } directors { name } } } } }"
    error = refused_at(client, guarded.url, dear, 10)
    assert (error["setting"], error["limit"]) == ("COST_PER_MINUTE", 3_000)
    assert error["asked"] > 500


def test_what_is_refused_costs_its_reading(guarded: Guarded, client: httpx.Client) -> None:
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
def test_rates_hold_across_processes(
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
