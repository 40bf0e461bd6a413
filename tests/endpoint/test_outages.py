"""What clients are told while something that the service needs is away, and that it recovers by itself."""

import signal
import time
from typing import Any

import httpx
import psycopg
from psycopg import sql

from tests.conftest import StartServer, in_database
from tests.endpoint.conftest import GRAPHQL, error_in, post, sign_up


def test_before_the_first_training_lists_are_not_there_and_all_else_is(
    start_server: StartServer, database_url: str
) -> None:
    url = start_server(database_url).url
    assert httpx.get(f"{url}/readyz").json() == {"status": "unavailable", "database": True, "model": False}
    with httpx.Client(headers={"Accept": GRAPHQL}) as client:
        for query in (
            "{ recommendations(first: 5) { strategy } }",
            "{ home(shelves: 3, perShelf: 5) { requestId } }",
            "{ onboarding(first: 5) { edges { cursor } } }",
        ):
            assert error_in(post(client, f"{url}/graphql", query)) == {"code": "SERVICE_UNAVAILABLE"}
        assert post(client, f"{url}/graphql").json()["data"] == {"movies": {"edges": []}}
    assert sign_up(f"{url}/graphql").ask("{ viewer { username } }")["viewer"]["username"]


def test_while_the_database_is_away_the_catalogue_is_served_and_faults_are_named(
    start_server: StartServer, seeded_database_url: str, postgres_url: str
) -> None:
    service = start_server(seeded_database_url)
    url = f"{service.url}/graphql"
    member = sign_up(url)
    with httpx.Client(headers={**member.headers, "Accept": GRAPHQL}) as client:

        def told_of_viewer() -> dict[str, Any]:
            found: dict[str, Any] = post(client, url, "{ viewer { username } }").json()
            return found

        reachable(postgres_url, seeded_database_url, allowed=False)
        (error,) = told_of_viewer()["errors"]
        assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
        assert error["extensions"]["errorId"] in service.log.read_text()
        assert "SELECT" not in error["message"]
        answer = httpx.get(f"{service.url}/readyz")
        assert (answer.status_code, answer.json()["database"]) == (503, False)
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        assert len(post(client, url).json()["data"]["movies"]["edges"]) == 10

        reachable(postgres_url, seeded_database_url, allowed=True)
        deadline = time.monotonic() + 20
        while "errors" in (body := told_of_viewer()):
            assert time.monotonic() < deadline, body
            time.sleep(0.1)
        assert httpx.get(f"{service.url}/readyz").status_code == 200


def test_a_service_that_trains_stops_when_told_to_though_the_database_is_away(
    start_server: StartServer, seeded_database_url: str, postgres_url: str
) -> None:
    service = start_server(seeded_database_url, POLL_SECONDS="0.1")
    member = sign_up(f"{service.url}/graphql")
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("UPDATE users SET role = 'ADMIN' WHERE simulated IS FALSE")
    member.ask("mutation { trainModel(input: {}) { __typename } }")
    deadline = time.monotonic() + 60
    while "begins" not in service.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    reachable(postgres_url, seeded_database_url, allowed=False)
    service.process.terminate()
    assert service.process.wait(25) == -signal.SIGTERM  # as who stops it expects of one that has cleaned up


def reachable(postgres_url: str, database_url: str, *, allowed: bool) -> None:
    """Whether anyone may connect to the database; who is connected is thrown out."""
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(in_database(postgres_url, "postgres"), autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(str(name)), sql.Literal(allowed)))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
