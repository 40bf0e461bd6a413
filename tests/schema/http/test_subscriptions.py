"""Subscriptions over websockets and as events: changes in any process, and the end of the session."""

import json
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.schema.http.conftest import PROTOCOL, Member, Socket, movie_ids, open_socket, sign_up
from tests.services import StartServer

SECRET = "a secret of the tests, long enough"
CHANGED = {"query": "subscription { recommendationsChanged { changedAt } }"}
LIST = "recommendations(first: 5) { strategy edges { node { id } } }"
CHANGED_LIST = {"query": f"subscription {{ recommendationsChanged {{ {LIST} }} }}"}


@contextmanager
def again_and_again(act: Callable[[], object]) -> Iterator[None]:
    """Repeat until the block ends: the start of a subscription is not acknowledged."""
    done = Event()

    def run() -> None:
        while not done.wait(0.2):
            act()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def subscribed(member: Member, movies: list[str], url: str | None = None) -> Iterator[Socket]:
    """A websocket with an active subscription of the member and no pending messages."""
    with open_socket(url or member.url, {"Authorization": f"Bearer {member.token}"}) as socket:
        socket.send("subscribe", "1", CHANGED)
        with again_and_again(lambda: member.rate(movies[0])):
            assert "errors" not in socket.receive()["payload"]
        settle(socket)
        yield socket


def settle(socket: Socket) -> None:
    """Receive pending messages."""
    while True:
        try:
            socket.receive(timeout=0.5)
        except TimeoutError:
            return


def assert_quiet(socket: Socket) -> None:
    with pytest.raises(TimeoutError):
        socket.receive(timeout=0.5)


def assert_changed(socket: Socket) -> None:
    message = socket.receive()
    assert (message["type"], message["id"]) == ("next", "1"), message
    assert message["payload"]["data"]["recommendationsChanged"]["changedAt"]


def events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: ") or "null")


def test_each_relevant_kind_of_change_is_reported(member: Member, movies: list[str]) -> None:
    feedback = (
        "mutation ($events: [FeedbackInput!]!) { recordFeedback(input: { events: $events }) { __typename } }"
    )
    genre = member.ask("{ genres { id } }")["genres"][0]["id"]
    remove = "mutation ($id: ID!) { removeRating(input: { movieId: $id }) { __typename } }"
    favorites = "mutation ($ids: [ID!]!) { setFavoriteGenres(input: { genreIds: $ids }) { __typename } }"
    with subscribed(member, movies) as socket:
        for change in (
            lambda: member.ask(remove, id=movies[0]),
            lambda: member.ask(favorites, ids=[genre]),
            lambda: member.ask(feedback, events=[{"movieId": movies[1], "kind": "LIKE"}]),
            lambda: member.rate(movies[2]),
        ):
            change()
            assert_changed(socket)
            settle(socket)
        member.ask(feedback, events=[{"movieId": movies[3], "kind": "IMPRESSION"}])
        sign_up(member.url).rate(movies[4])
        assert_quiet(socket)


def test_an_event_has_the_new_list(member: Member) -> None:
    with open_socket(member.url, {"authorization": f"bearer {member.token}"}) as socket:
        socket.send("subscribe", "1", CHANGED_LIST)
        before = member.ask(f"{{ {LIST} }}")["recommendations"]["edges"]
        rated = before[0]["node"]["id"]
        with again_and_again(lambda: member.rate(rated)):
            page = socket.receive()["payload"]["data"]["recommendationsChanged"]["recommendations"]
        assert page["strategy"] == "PERSONALIZED"
        assert rated not in [edge["node"]["id"] for edge in page["edges"]]


def test_changes_are_reported_as_server_sent_events(member: Member, movies: list[str]) -> None:
    headers = {**member.headers, "Accept": "text/event-stream"}
    with httpx.stream("POST", member.url, json=CHANGED, headers=headers, timeout=30) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = events(response)
        with again_and_again(lambda: member.rate(movies[0])):
            name, body = next(stream)
        assert name == "next"
        assert body["data"]["recommendationsChanged"]["changedAt"]
        member.ask("mutation { logOut { __typename } }")
        *_, (name, ended), (last, nothing) = stream
        assert (name, last, nothing) == ("next", "complete", None)
        assert ended["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_stream_by_get_is_for_subscriptions_and_queries_only(graphql: str) -> None:
    for query, code in (
        (CHANGED["query"], "UNAUTHENTICATED"),
        ("mutation { logOut { __typename } }", "BAD_USER_INPUT"),
    ):
        answer = httpx.get(graphql, params={"query": query}, headers={"Accept": "text/event-stream"})
        (name, body), (last, _) = events(answer)
        assert (name, last) == ("next", "complete")
        assert body["errors"][0]["extensions"]["code"] == code


def test_logging_out_ends_a_subscription_and_the_next_one_needs_a_new_token(
    member: Member, movies: list[str]
) -> None:
    with subscribed(member, movies) as socket:
        member.ask("mutation { logOut { __typename } }")
        ended = socket.receive()
        assert ended["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert socket.receive() == {"id": "1", "type": "complete"}
    with (
        pytest.raises(ConnectionClosed) as closed,
        open_socket(member.url, {"Authorization": f"Bearer {member.token}"}),
    ):
        pass
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403


def test_an_expired_token_ends_a_subscription(member: Member) -> None:
    claims = jwt.decode(member.token, SECRET, ["HS256"])
    token = jwt.encode({**claims, "exp": int(time.time()) + 4}, SECRET, "HS256")
    with open_socket(member.url, {"Authorization": f"Bearer {token}"}) as socket:
        socket.send("subscribe", "1", CHANGED)
        ended = socket.receive()
        assert ended["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert socket.receive() == {"id": "1", "type": "complete"}


def test_a_service_reconnects_to_notifications_and_stops_at_once(
    start_server: StartServer, seeded_database_url: str
) -> None:
    service = start_server(seeded_database_url)
    member = sign_up(f"{service.url}/graphql")
    movies = movie_ids(member.url)
    with subscribed(member, movies) as socket, psycopg.connect(seeded_database_url, autocommit=True) as other:
        user_id = int(b64decode(member.id).decode().partition(":")[2])
        rate = "INSERT INTO ratings (user_id, movie_id, half_stars) SELECT %s, max(id) - %s, 9 FROM movies"
        other.execute(rate, (user_id, 0))
        assert_changed(socket)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        assert len(other.execute(f"{cut} AND datname = current_database()").fetchall()) == 1
        assert_changed(socket)  # a notification may have been missed
        settle(socket)
        other.execute(rate, (user_id, 1))
        assert_changed(socket)
    headers = {**member.headers, "Accept": "text/event-stream"}
    with httpx.stream("POST", member.url, json=CHANGED, headers=headers, timeout=30) as response:
        stream = events(response)
        with again_and_again(lambda: member.rate(movies[0])):
            next(stream)
        service.process.terminate()
        # The stream ends without `complete`, so that the client reconnects.
        assert "complete" not in [name for name, _ in stream]
    service.process.join(30)
    assert service.process.exitcode is not None
    assert "timeout graceful shutdown exceeded" not in service.log.read_text()


def test_operations_of_every_kind_and_their_errors(graphql: str) -> None:
    with open_socket(graphql) as socket:
        socket.send("ping")
        assert socket.receive() == {"type": "pong"}
        for id_, payload in enumerate(({"query": "{ nope }"}, {"query": "{"}, {"query": 7}, {}, [])):
            socket.send("subscribe", str(id_), payload)
            refused = socket.receive()
            assert (refused["type"], refused["id"]) == ("error", str(id_))
            assert refused["payload"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        socket.send(
            "subscribe",
            "q",
            {
                "query": "query ($n: Int!) { movies(first: $n) { edges { node { id } } } }",
                "variables": {"n": 2},
            },
        )
        assert len(socket.receive()["payload"]["data"]["movies"]["edges"]) == 2
        assert socket.receive() == {"id": "q", "type": "complete"}
        rate = 'mutation { rateMovie(input: { movieId: "any", stars: 4 }) { __typename } }'
        socket.send("subscribe", "m", {"query": rate})
        assert socket.receive()["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}', 4401),
        ('{"type": "connection_init", "payload": "me"}', 4400),
        ('{"type": "connection_init", "payload": {"Authorization": "Bearer forged"}}', 4403),
        ("not JSON", 4400),
        ("[]", 4400),
        ('{"type": "subscribe", "id": []}', 4400),
        ('{"type": "nonsense"}', 4400),
        ("{}", 4400),
    ],
)
def test_a_client_that_violates_the_protocol_is_disconnected(graphql: str, message: str, code: int) -> None:
    with connect(graphql.replace("http", "ws"), subprotocols=[PROTOCOL]) as connection:
        connection.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


def test_pages_of_other_sites_and_other_protocols_are_refused(graphql: str) -> None:
    address = graphql.replace("http", "ws")
    with pytest.raises(InvalidStatus) as refused:
        connect(address, subprotocols=[PROTOCOL], origin=Origin("https://elsewhere.example"))
    assert refused.value.response.status_code == 403
    with open_socket(graphql, origin=graphql.removesuffix("/graphql")):
        pass
    with connect(address) as connection, pytest.raises(ConnectionClosed) as closed:
        connection.recv(20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4406


def test_a_null_member_of_a_message_counts_as_absent(graphql: str) -> None:
    with connect(graphql.replace("http", "ws", 1), subprotocols=[PROTOCOL]) as connection:
        socket = Socket(connection)
        connection.send('{"type": "connection_init", "payload": null, "id": null}')
        assert socket.receive() == {"type": "connection_ack"}
        connection.send('{"type": "ping", "payload": null, "id": null}')
        assert socket.receive() == {"type": "pong"}
        connection.send('{"type": "pong", "payload": null}')
        for number, absent in enumerate((None, "")):
            payload = {"query": "query Q { __typename }", "operationName": absent}
            payload |= {"variables": None, "extensions": None, "documentId": absent}
            socket.send("subscribe", str(number), payload)
            assert socket.receive()["payload"]["data"] == {"__typename": "Query"}
            assert socket.receive()["type"] == "complete"
        connection.send('{"type": "subscribe", "id": "9", "payload": null}')
        with pytest.raises(ConnectionClosed) as closed:
            socket.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400
