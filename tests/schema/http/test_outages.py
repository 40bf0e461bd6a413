"""Outages: errors while a dependency is missing, and recovery without a restart."""

import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql

from tests.conftest import in_database
from tests.schema.http.conftest import GRAPHQL, error_in, movie_ids, post, sign_up
from tests.services import StartServer


def test_without_a_model_only_lists_are_unavailable(start_server: StartServer, database_url: str) -> None:
    url = start_server(database_url).url
    assert httpx.get(f"{url}/readyz").json() == {
        "status": "unavailable",
        "database": True,
        "model": False,
        "reasons": ["No model is trained yet."],
    }
    with httpx.Client(headers={"Accept": GRAPHQL}) as client:
        for query in (
            "{ recommendations(first: 5) { strategy } }",
            "{ home(shelves: 3, perShelf: 5) { requestId } }",
            "{ onboarding(first: 5) { edges { cursor } } }",
        ):
            assert error_in(post(client, f"{url}/graphql", query)) == {"code": "SERVICE_UNAVAILABLE"}
        assert post(client, f"{url}/graphql").json()["data"] == {"movies": {"edges": []}}
    assert sign_up(f"{url}/graphql").ask("{ viewer { username } }")["viewer"]["username"]


def test_without_a_database_the_catalog_is_served_and_errors_are_coded(
    start_server: StartServer, seeded_database_url: str, postgres_url: str
) -> None:
    service = start_server(seeded_database_url)
    url = f"{service.url}/graphql"
    member = sign_up(url)
    with httpx.Client(headers={**member.headers, "Accept": GRAPHQL}) as client:

        def viewer_response() -> dict[str, Any]:
            found: dict[str, Any] = post(client, url, "{ viewer { username } }").json()
            return found

        reachable(postgres_url, seeded_database_url, allowed=False)
        (error,) = viewer_response()["errors"]
        assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
        assert error["extensions"]["errorId"] in service.log.read_text()
        assert "SELECT" not in error["message"]
        answer = httpx.get(f"{service.url}/readyz")
        assert (answer.status_code, answer.json()["database"]) == (503, False)
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        assert len(post(client, url).json()["data"]["movies"]["edges"]) == 10

        reachable(postgres_url, seeded_database_url, allowed=True)
        deadline = time.monotonic() + 60
        while "errors" in (body := viewer_response()):
            assert time.monotonic() < deadline, body
            time.sleep(0.1)
        assert httpx.get(f"{service.url}/readyz").status_code == 200


def test_a_training_service_stops_on_request_without_a_database(
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
    service.process.join(25)
    assert service.process.exitcode == -signal.SIGTERM  # the exit status of a clean stop


def reachable(postgres_url: str, database_url: str, *, allowed: bool) -> None:
    """Allow or forbid connections to the database, and end the existing ones."""
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(in_database(postgres_url, "postgres"), autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(str(name)), sql.Literal(allowed)))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )


def test_a_damaged_model_is_not_served_and_is_logged_once(
    start_server: StartServer, seeded_database_url: str, model_dir: Path, tmp_path: Path
) -> None:
    version = active_version(seeded_database_url)
    damage(shutil.copytree(model_dir / version, tmp_path / version))
    service = start_server(seeded_database_url, MODEL_DIR=str(tmp_path), POLL_SECONDS="0.05")
    member = sign_up(f"{service.url}/graphql")
    for _ in range(10):  # of several polls
        member.ask("{ viewer { username } }")
        time.sleep(0.05)
    answer = httpx.get(f"{service.url}/readyz")
    assert (answer.status_code, answer.json()["model"]) == (503, False)
    assert version in answer.json()["reasons"][0]
    query = "{ recommendations(first: 5) { strategy } }"
    error = httpx.post(f"{service.url}/graphql", json={"query": query}).json()["errors"][0]
    assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    assert "cannot be served" in error["message"]
    log = service.log.read_text()
    assert log.count("does not match its checksum") == 1
    assert "Traceback" not in log


def test_the_previous_model_is_served_instead_of_a_damaged_one(
    start_server: StartServer, seeded_database_url: str, model_dir: Path, tmp_path: Path
) -> None:
    version = active_version(seeded_database_url)
    shutil.copytree(model_dir / version, tmp_path / version)
    service = start_server(seeded_database_url, MODEL_DIR=str(tmp_path), POLL_SECONDS="0.05")
    damage(shutil.copytree(model_dir / version, tmp_path / "damaged"))
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("UPDATE model_versions SET status = 'RETIRED', retired_at = now()")
        connection.execute(
            "INSERT INTO model_versions (version, status, dataset_version, metrics, trained_at) "
            "VALUES ('damaged', 'ACTIVE', 'test', '{}', now())"
        )
    deadline = time.monotonic() + 60
    while "reasons" not in (answer := httpx.get(f"{service.url}/readyz").json()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (answer["status"], answer["model"]) == ("ok", True)
    assert "damaged" in answer["reasons"][0]
    query = "{ recommendations(first: 1) { modelVersion } }"
    found = httpx.post(f"{service.url}/graphql", json={"query": query}).json()
    assert found["data"]["recommendations"]["modelVersion"] == version


def active_version(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        ((version,),) = connection.execute("SELECT version FROM model_versions WHERE status = 'ACTIVE'")
    return str(version)


def damage(folder: Path) -> None:
    """Flip one bit in the middle of the model's largest array."""
    path = max(folder.glob("*.npy"), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


def test_a_full_disk_is_reported(start_server: StartServer, seeded_database_url: str) -> None:
    service = start_server(seeded_database_url)
    url = f"{service.url}/graphql"
    member = sign_up(url)
    (movie, *_) = movie_ids(url)
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON ratings FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
    assert httpx.get(f"{service.url}/readyz").status_code == 200
    query = f'mutation {{ rateMovie(input: {{ movieId: "{movie}", stars: 4 }}) {{ __typename }} }}'
    body = httpx.post(url, json={"query": query}, headers=member.headers).json()
    assert body["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    assert "database's disk is full" in body["errors"][0]["message"]
    answer = httpx.get(f"{service.url}/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, True)
    assert "full" in answer.json()["reasons"][0]


def test_health_does_not_wait_for_the_connections_of_requests(
    start_server: StartServer, seeded_database_url: str
) -> None:
    service = start_server(seeded_database_url, DATABASE_POOL_SIZE="1")
    url = f"{service.url}/graphql"
    member = sign_up(url)
    (movie, *_) = movie_ids(url)
    query = f'mutation {{ rateMovie(input: {{ movieId: "{movie}", stars: 4 }}) {{ __typename }} }}'

    def rate() -> httpx.Response:
        return httpx.post(url, json={"query": query}, headers=member.headers, timeout=30)

    with psycopg.connect(seeded_database_url) as blocker, ThreadPoolExecutor(8) as pool:
        blocker.execute("LOCK TABLE ratings IN EXCLUSIVE MODE")
        waiting = [pool.submit(rate) for _ in range(8)]
        wait_for_blocked(seeded_database_url, 2)
        assert httpx.get(f"{service.url}/readyz").status_code == 200
        assert not any(request.done() for request in waiting)
        blocker.rollback()
        answers = [request.result().json() for request in waiting]
    assert {answer["data"]["rateMovie"]["__typename"] for answer in answers} == {"RateMoviePayload"}


def wait_for_blocked(database_url: str, count: int) -> None:
    deadline = time.monotonic() + 60
    with psycopg.connect(database_url, autocommit=True) as connection:
        query = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        while connection.execute(query).fetchone() != (count,):
            assert time.monotonic() < deadline
            time.sleep(0.02)
