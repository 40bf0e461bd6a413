"""Incremental delivery: deferred parts are complete, and their errors are masked."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import strawberry
from starlette.requests import HTTPConnection
from strawberry.schema.config import StrawberryConfig

from app.db.engine import Sessions
from app.serving.live import ServingState
from app.settings import Settings
from app.web.admission import Admission
from schema.core.errors import CallerError, PresentErrors
from schema.execution.actor import Credentials
from schema.execution.context import Context
from schema.http.endpoint import Endpoint
from tests.schema.http.conftest import Member, open_socket

NOW, LEGACY = "multipart/mixed", "multipart/mixed;deferSpec=20220824, application/json"
HOME = """
query Home($later: Boolean = true) {
  home(shelves: 3, perShelf: 4) {
    requestId
    shelves {
      title
      ... @defer(if: $later, label: "films") {
        movies(first: 4) { edges { matchPercent reasons { text } node { title } } }
      }
    }
  }
}
"""


def pieces(answer: httpx.Response) -> list[Any]:
    assert answer.headers["content-type"] == 'multipart/mixed; boundary="-"'
    *parts, end = answer.text.removeprefix("---").split("\r\n---")
    assert end == "--\r\n" or parts
    bodies = [part.split("\r\n\r\n", 1)[1] for part in [*parts, end] if "\r\n\r\n" in part]
    return [json.loads(body.removesuffix("-----\r\n")) for body in bodies]


def test_the_movies_of_shelves_follow_the_home_page(graphql: str, member: Member) -> None:
    answer = httpx.post(graphql, json={"query": HOME}, headers={**member.headers, "Accept": NOW}, timeout=30)
    first, *rest = pieces(answer)
    shelves = first["data"]["home"]["shelves"]
    assert [shelf.keys() for shelf in shelves] == [{"title"}] * len(shelves)
    assert [pending["path"] for pending in first["pending"]] == [
        ["home", "shelves", place] for place in range(len(shelves))
    ]
    assert {pending["label"] for pending in first["pending"]} == {"films"}
    given = {patch["id"]: patch["data"] for piece in rest for patch in piece["incremental"]}
    assert all(given[pending["id"]]["movies"]["edges"] for pending in first["pending"])
    assert [piece["hasNext"] for piece in (first, *rest)] == [True] * len(rest) + [False]


def test_clients_of_the_2022_proposal_get_paths(graphql: str) -> None:
    first, *rest = pieces(httpx.post(graphql, json={"query": HOME}, headers={"Accept": LEGACY}, timeout=30))
    assert first.keys() == {"data", "hasNext", "extensions"}
    paths = [patch["path"] for piece in rest for patch in piece["incremental"]]
    assert sorted(paths) == [
        ["home", "shelves", place] for place in range(len(first["data"]["home"]["shelves"]))
    ]
    assert not any({"pending", "completed"} & piece.keys() for piece in rest)


def test_a_client_without_incremental_delivery_gets_one_response(graphql: str) -> None:
    for later in (True, False):
        body = {"query": HOME, "variables": {"later": later}}
        home = httpx.post(graphql, json=body, timeout=30).json()["data"]["home"]
        assert all(len(shelf["movies"]["edges"]) == 4 for shelf in home["shelves"])


def test_parts_are_delivered_as_events_and_over_a_websocket(graphql: str) -> None:
    query = {"query": "{ __typename ... @defer { genres { name } } }"}
    events = httpx.post(graphql, json=query, headers={"Accept": "text/event-stream"}).text
    sent = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: {")]
    with open_socket(graphql) as socket:
        socket.send("subscribe", "1", query)
        received = [socket.receive()["payload"] for _ in range(2)]
        assert socket.receive() == {"id": "1", "type": "complete"}
    for first, second in (sent, received):
        assert first["data"] == {"__typename": "Query"}
        assert second["incremental"][0]["data"]["genres"]


@strawberry.type
class Query:
    @strawberry.field
    def fine(self) -> str:
        return "fine"

    @strawberry.field
    def secret(self) -> str | None:
        raise ValueError("the password is swordfish")

    @strawberry.field
    def fatal(self) -> str:
        raise ValueError("the password is swordfish")

    @strawberry.field
    def refused(self) -> str | None:
        raise CallerError("not like this")


def small_endpoint() -> Endpoint:
    schema = strawberry.Schema(
        query=Query,
        config=StrawberryConfig(enable_experimental_incremental_execution=True),
        extensions=[PresentErrors],
    )

    settings = Settings(cache_seconds=0)

    def no_context(_connection: HTTPConnection, _credentials: Credentials) -> Any:
        return Context(settings, Sessions(), ServingState(None), Credentials())  # type: ignore[arg-type] # no catalog

    return Endpoint(
        schema,
        None,
        no_context,
        settings=settings,
        admission=Admission(settings),
        stopping=asyncio.Event(),
    )


def asked(query: str, accept: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(small_endpoint())) as client:
            return await client.post("http://small/", json={"query": query}, headers={"Accept": accept})

    return asyncio.run(ask())


@pytest.mark.parametrize("accept", [NOW, LEGACY, "text/event-stream"])
def test_an_error_in_a_deferred_part_is_masked(accept: str) -> None:
    answer = asked("{ fine ... @defer { secret } ... @defer { fatal } ... @defer { refused } }", accept).text
    assert "swordfish" not in answer
    assert answer.count("Something went wrong on our side.") == 2
    assert answer.count('"code":"INTERNAL","errorId"') == 2
    assert answer.count('"message":"not like this"') == 1


def test_a_failed_deferred_part_is_reported() -> None:
    query = '{ fine ... @defer(label: "x") { fatal } }'
    _, now = pieces(asked(query, NOW))
    assert [error["path"] for error in now["completed"][0]["errors"]] == [["fatal"]]
    _, legacy = pieces(asked(query, LEGACY))
    ((patch),) = legacy["incremental"]
    assert (patch["data"], patch["path"], patch["label"]) == (None, [], "x")
    assert [error["path"] for error in patch["errors"]] == [["fatal"]]
