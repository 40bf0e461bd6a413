"""Services act for members of their own system: a key with the scope MEMBERS, and the header."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from app.accounts import api_keys
from app.accounts.api_keys import Scope
from app.db.engine import create_engine, sessionmaker
from app.settings import Settings
from tests.schema.http.conftest import FRIEND, Guarded, movie_ids, open_socket, sign_up

RATE = """mutation ($movie: ID!, $stars: Float!) { rateMovie(input: { movieId: $movie, stars: $stars }) {
    __typename } }"""
LIST = "{ recommendations(first: 5) { strategy } viewer { username ratings(first: 5) { totalCount } } }"
NAME = "{ viewer { username } }"
EVENTS = "subscription { recommendationsChanged { changedAt } }"


def make_key(database_url: str, *scopes: Scope, source: str | None = None) -> tuple[str, int]:
    """A new key and its id."""

    async def make() -> tuple[str, int]:
        settings = Settings.model_validate({"database_url": database_url, "secret_key": "s" * 32})
        engine = create_engine(database_url, settings)
        try:
            key, record = await api_keys.create(sessionmaker(engine), None, "a service", scopes, None, source)
            return key, record.id
        finally:
            await engine.dispose()

    return asyncio.run(make())


class Backend:
    """A service with its own members."""

    def __init__(self, url: str, database_url: str, source: str) -> None:
        self.url, self.database_url, self.source = url, database_url, source
        self.key, self.key_id = make_key(database_url, Scope.MEMBERS, source=source)
        self.http = httpx.Client(timeout=30)

    def headers(self, member: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "X-Marquee-Member": member}

    def ask(self, member: str, query: str, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        sent = [(name.encode(), value.encode()) for name, value in self.headers(member).items()]
        answer = self.http.post(self.url, json=body, headers=sent).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def acts(self) -> list[tuple[str, Any, str]]:
        with psycopg.connect(self.database_url) as connection:
            statement = "SELECT act, arguments, outcome FROM audit_log WHERE api_key_id = %s ORDER BY id"
            return connection.execute(statement, (self.key_id,)).fetchall()


@pytest.fixture
def backend(graphql: str, server_database_url: str) -> Iterator[Backend]:
    backend = Backend(graphql, server_database_url, f"tv-{uuid4().hex[:8]}")
    with backend.http:
        yield backend


def error_of(url: str, headers: dict[str, Any], query: str = NAME) -> tuple[int, dict[str, Any]]:
    answer = httpx.post(url, json={"query": query}, headers=headers)
    (error,) = answer.json()["errors"]
    return answer.status_code, error


def test_a_member_is_made_at_the_first_use_and_is_the_same_afterwards(
    backend: Backend, movies: list[str]
) -> None:
    before = backend.ask("u-7", LIST)
    assert before["recommendations"]["strategy"] == "POPULAR"
    assert before["viewer"]["username"].startswith("external:")
    for movie in movies[:5]:
        assert (
            backend.ask("u-7", RATE, movie=movie, stars=4.5)["rateMovie"]["__typename"] == "RateMoviePayload"
        )
    after = backend.ask("u-7", LIST)
    assert after["recommendations"]["strategy"] == "PERSONALIZED"
    assert after["viewer"] == {**before["viewer"], "ratings": {"totalCount": 5}}
    assert backend.ask("u-8", LIST)["viewer"]["ratings"]["totalCount"] == 0


@pytest.mark.parametrize("member", ["a", "é ü 日本", "x" * 128, "👩‍👩‍👧", "52141", "ada@example.com", "a, b"])
def test_ids_of_any_script_name_one_member_each(backend: Backend, member: str) -> None:
    first = backend.ask(member, NAME)
    assert backend.ask(member, NAME) == first
    with psycopg.connect(backend.database_url) as connection:
        statement = "SELECT external_id FROM external_members WHERE source = %s"
        assert connection.execute(statement, (backend.source,)).fetchall() == [(member,)]


@pytest.mark.parametrize(
    "member", [b"", b"x" * 129, b"\xff\xfe", b"a\xc2\x85b", b"x" * 9_000, b"\xe2\x80\xa8", "é".encode() * 129]
)
def test_an_invalid_id_is_refused_before_other_work(backend: Backend, member: bytes) -> None:
    headers = {"Authorization": f"Bearer {backend.key}".encode(), "X-Marquee-Member": member}
    status, error = error_of(backend.url, headers, "{ no such field")
    assert status == 200  # for a client of `application/json`
    assert error["extensions"]["header"] == "X-Marquee-Member"
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"].startswith("The header X-Marquee-Member must have 1 to 128 characters")
    assert error["extensions"]["remedy"] in error["message"]


def test_two_headers_are_refused(backend: Backend) -> None:
    headers = [*backend.headers("a").items(), ("X-Marquee-Member", "b")]
    answer = httpx.post(backend.url, json={"query": NAME}, headers=headers)
    assert answer.json()["errors"][0]["extensions"]["header"] == "X-Marquee-Member"


def test_the_header_needs_a_key_with_the_scope(backend: Backend, graphql: str) -> None:
    other_key, _ = make_key(backend.database_url, Scope.READ, Scope.WRITE, Scope.ADMIN)
    tokens = {None: "UNAUTHENTICATED", sign_up(graphql).token: "FORBIDDEN", other_key: "FORBIDDEN"}
    for query in (NAME, "{ genres { name } }"):
        for token, code in tokens.items():
            headers = {"X-Marquee-Member": "u-7"} | ({"Authorization": f"Bearer {token}"} if token else {})
            _, error = error_of(graphql, headers, query)
            assert error["extensions"]["code"] == code
            assert "X-Marquee-Member needs an API key with the scope MEMBERS" in error["message"]
            assert error["extensions"]["header"] == "X-Marquee-Member"
    _, error = error_of(graphql, {"Authorization": "Bearer mq_wrong", "X-Marquee-Member": "u-7"})
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_key_reaches_neither_other_sources_nor_accounts_nor_roles(backend: Backend, graphql: str) -> None:
    other = Backend(graphql, backend.database_url, "other")
    assert backend.ask("u-7", NAME) != other.ask("u-7", NAME)
    name = backend.ask("u-7", NAME)["viewer"]["username"]
    account = sign_up(graphql)
    with psycopg.connect(backend.database_url) as connection:
        connection.execute("UPDATE users SET role = 'ADMIN' WHERE username = %s", (name,))
        (account_id,) = connection.execute(
            "SELECT max(id) FROM users WHERE password_hash IS NOT NULL"
        ).fetchone() or (0,)
        connection.execute(
            "INSERT INTO external_members (source, external_id, user_id) VALUES (%s, 'merged', %s)",
            (backend.source, account_id),
        )
    assert account.id
    for query in (
        "{ auditLog(first: 1) { edges { cursor } } }",
        "{ apiKeys(first: 1) { edges { cursor } } }",
    ):
        _, error = error_of(graphql, backend.headers("u-7"), query)
        assert error["extensions"]["code"] == "FORBIDDEN"
    _, error = error_of(graphql, backend.headers("merged"))
    assert error["extensions"] == {"code": "FORBIDDEN", "header": "X-Marquee-Member"}
    assert "merged into an account" in error["message"]
    # Without the header the key has no account.
    assert (
        error_of(graphql, {"Authorization": f"Bearer {backend.key}"}, "{ exportMyData }")[1]["extensions"][
            "code"
        ]
        == "FORBIDDEN"
    )


def test_the_audit_log_grows_with_members_and_days(backend: Backend) -> None:
    for member in ("a", "b", "a", "b", "a"):
        backend.ask(member, NAME)
    names = {member: backend.ask(member, NAME)["viewer"]["username"] for member in ("a", "b")}
    made = [
        ("makeMember", {"input": {"username": names[each], "source": backend.source}}, "MADE")
        for each in "ab"
    ]
    assert backend.acts() == [("actForMembers", {"source": backend.source}, "ACTING"), *made]
    assert set(backend.ask("a", "{ exportMyData }")["exportMyData"]) >= {
        "users",
        "ratings",
        "externalMembers",
    }
    deleted = backend.ask("a", "mutation { deleteAccount(input: {}) { __typename } }")
    assert deleted == {"deleteAccount": {"__typename": "DeleteAccountPayload"}}
    assert [act for act, _, _ in backend.acts()[3:]] == ["exportMyData", "deleteAccount"]
    # Nothing names the member any more, and the id is free for a new one.
    assert names["a"] not in json.dumps(backend.acts())
    assert backend.ask("a", NAME)["viewer"]["username"] != names["a"]


def test_an_account_with_a_password_is_not_deleted_without_it(graphql: str) -> None:
    member = sign_up(graphql)
    answer = member.ask("mutation { deleteAccount(input: {}) { __typename } }")
    assert answer == {"deleteAccount": {"__typename": "InvalidCredentials"}}


def test_a_websocket_acts_for_the_member_of_its_connection(backend: Backend, movies: list[str]) -> None:
    payload = {"authorization": f"Bearer {backend.key}", "x-marquee-member": "ws-é"}
    with open_socket(backend.url, payload) as socket:
        socket.send("subscribe", "1", {"query": NAME})
        data = socket.receive()["payload"]["data"]
        assert data == backend.ask("ws-é", NAME)
        assert socket.receive()["type"] == "complete"
        socket.send("subscribe", "2", {"query": EVENTS})
        socket.send("subscribe", "3", {"query": NAME})
        assert {socket.receive()["id"], socket.receive()["id"]} == {"3"}
        backend.ask("ws-é", RATE, movie=movies[0], stars=3)
        assert socket.receive()["payload"]["data"]["recommendationsChanged"]["changedAt"]
        with psycopg.connect(backend.database_url) as connection:
            connection.execute("UPDATE api_keys SET revoked_at = now() WHERE id = %s", (backend.key_id,))
        last = socket.receive()
        assert last["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("member", ["", "x" * 129, 7, None])
def test_a_websocket_with_an_invalid_member_is_rejected(backend: Backend, member: object) -> None:
    payload = {"Authorization": f"Bearer {backend.key}", "X-Marquee-Member": member}
    if member is None:  # as absent: the key itself connects
        with open_socket(backend.url, payload):
            return
    with pytest.raises(Exception, match="4403"), open_socket(backend.url, payload):
        pass


def test_an_event_stream_acts_for_the_member(backend: Backend) -> None:
    headers = backend.headers("sse") | {"Accept": "text/event-stream"}
    with httpx.stream("POST", backend.url, json={"query": NAME}, headers=headers) as answer:
        (line,) = [line for line in answer.iter_lines() if line.startswith("data: {")]
    assert json.loads(line[6:])["data"] == backend.ask("sse", NAME)


def test_pages_of_allowed_origins_may_send_the_header(guarded: Guarded) -> None:
    headers = {
        "Origin": FRIEND,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-marquee-member",
    }
    allowed = httpx.options(guarded.url, headers=headers).headers["Access-Control-Allow-Headers"]
    assert "x-marquee-member" in allowed


def test_a_member_and_the_key_have_rates_of_their_own(guarded: Guarded) -> None:
    """The service lets a member do 12 operations, and the key many."""
    backend = Backend(guarded.url, guarded.database_url, "rates")
    movie_ids(guarded.url)

    def refusal(member: str, address: str) -> Any:
        headers = backend.headers(member) | {"X-Forwarded-For": address}
        for _ in range(29):
            answer = backend.http.post(backend.url, json={"query": "{ __typename }"}, headers=headers)
            if "errors" in (body := answer.json()):
                return body["errors"][0]["extensions"]
        return None

    assert refusal("a", "192.0.2.77")["setting"] == "OPERATIONS_PER_MINUTE"
    headers = backend.headers("b") | {"X-Forwarded-For": "192.0.2.78"}
    assert "errors" not in backend.http.post(backend.url, json={"query": NAME}, headers=headers).json()
