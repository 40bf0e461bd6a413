"""Models: background training, progress, activation and rollback."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.training import train
from tests.schema.conftest import Ask, Member, asking, code, outcome, promoted, sign_up
from tests.schema.http.conftest import open_socket
from tests.services import Service, StartServer

LIST = "{ recommendations(first: 1) { modelVersion } }"
PAGES = """
query ($first: Int, $after: String, $last: Int, $before: String) {
    models(first: $first, after: $after, last: $last, before: $before) {
        edges { node { version } } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } totalCount
    }
}
"""
JOB = "query ($id: ID!) { node(id: $id) { ... on TrainingJob { status message model { status } } } }"
ENDED = ("SUCCEEDED", "FAILED")


@pytest.fixture
def small_database_url(database_url: str) -> str:
    """A database with few movies and ratings, so that training takes a second."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO movies (title, year, overview) SELECT 'Movie ' || n, 1950 + n, 'A story of ' || n "
            "FROM generate_series(1, 60) AS n"
        )
        connection.execute(
            "INSERT INTO users (username) SELECT 'rater-' || n FROM generate_series(1, 40) AS n"
        )
        connection.execute(
            "INSERT INTO ratings (user_id, movie_id, half_stars) "
            "SELECT users.id, movies.id, 1 + (users.id * movies.id) % 10 FROM users, movies "
            "WHERE (users.id + movies.id) % 3 = 0"
        )
    return database_url


def operating(
    service: Service, database_url: str, http: httpx.Client, operations: dict[str, str]
) -> tuple[Ask, Member]:
    """A function that sends operations to a new service, and an administrator of it."""
    ask = asking(service.url, http, operations)
    return ask, promoted(sign_up(ask), database_url, "ADMIN")


def request_training(ask: Ask, operator: Member) -> str:
    """Request a training and return the id of its job."""
    payload = outcome(ask("TrainModel", operator.token), "trainModel")
    assert payload["__typename"] == "TrainModelPayload"
    id_: str = payload["job"]["id"]
    return id_


def until(reached: Callable[[], Any], what: str, seconds: float = 180) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


def serving(ask: Ask) -> str | None:
    """The version of the served model, or None."""
    data = ask(LIST)["data"]
    return data and str(data["recommendations"]["modelVersion"])


def ended(ask: Ask, operator: Member, job: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        node: dict[str, Any] = ask(JOB, operator.token, id=job)["data"]["node"]
        return node if node["status"] in ENDED else None

    end: dict[str, Any] = until(found, "the training did not end")
    return end


def progress(service: Service, operator: Member, operations: dict[str, str], job: str) -> Iterator[Any]:
    """The events of `trainingProgress` over a websocket, until it completes."""
    with open_socket(f"{service.url}/graphql", {"Authorization": f"Bearer {operator.token}"}) as socket:
        query = {"query": operations["TrainingProgress"], "variables": {"job": job}}
        socket.send("subscribe", "1", query)
        while (message := socket.receive(60))["type"] == "next":
            assert "errors" not in message["payload"], message
            yield message["payload"]["data"]["trainingProgress"]
        assert message["type"] == "complete", message


def test_a_training_is_reported_until_its_model_is_active(
    small_database_url: str,
    start_server: StartServer,
    http: httpx.Client,
    operations: dict[str, str],
) -> None:
    service = start_server(small_database_url, POLL_SECONDS="0.1")
    ask, operator = operating(service, small_database_url, http, operations)
    assert ask("Models", operator.token)["data"] == {"activeModel": None, "models": {"edges": []}}
    job = request_training(ask, operator)
    events = list(progress(service, operator, operations, job))
    assert events[0]["model"] is None
    assert len({each["stage"] for each in events}) > 2
    version = events[-1]["model"]["version"]
    assert events[-1] == {"stage": "done", "fraction": 1.0, "message": None, "model": {"version": version}}
    # Later subscribers get the final state, also over server-sent events.
    assert list(progress(service, operator, operations, job)) == events[-1:]
    body = {"query": operations["TrainingProgress"], "variables": {"job": job}}
    headers = {"Authorization": f"Bearer {operator.token}", "Accept": "text/event-stream"}
    stream = httpx.post(f"{service.url}/graphql", json=body, headers=headers, timeout=30).text
    (line,) = [line for line in stream.splitlines() if line.startswith("data: {")]
    assert json.loads(line[6:])["data"]["trainingProgress"] == events[-1]

    models = ask("Models", operator.token)["data"]
    assert models["activeModel"]["version"] == version
    assert models["activeModel"]["datasetVersion"].startswith("own@800-")
    assert [edge["node"]["status"] for edge in models["models"]["edges"]] == ["ACTIVE"]
    until(lambda: serving(ask) == version, "the model was not taken up")
    node = "query ($id: ID!) { node(id: $id) { ... on Model { version status } } }"
    assert ask(JOB, operator.token, id=job)["data"]["node"]["model"] == {"status": "ACTIVE"}
    assert ask(JOB, sign_up(ask).token, id=job)["data"]["node"] is None
    assert ask(node, operator.token, id="TW9kZWw6bm8=")["data"]["node"] is None


def test_a_training_survives_a_killed_service(
    seeded_database_url: str,
    start_server: StartServer,
    http: httpx.Client,
    operations: dict[str, str],
) -> None:
    settings = {"POLL_SECONDS": "0.1", "TRAINING_STALE_SECONDS": "1"}
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("DELETE FROM users WHERE id % 16 <> 0")  # keeps the test short
    service = start_server(seeded_database_url, **settings)
    ask, operator = operating(service, seeded_database_url, http, operations)
    job = request_training(ask, operator)
    running = progress(service, operator, operations, job)
    while next(running)["stage"] in ("waiting", "starting"):
        pass
    # Requests meanwhile add one job, since this one may miss newer ratings; not two.
    again = request_training(ask, operator)
    assert again != job
    assert request_training(ask, operator) == again
    trainers = children(service.pid)
    assert len(trainers) == 1
    service.process.kill()
    service.process.join()
    until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in trainers),
        "the trainer outlives its service",
        10,
    )
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("DELETE FROM training_jobs WHERE status = 'QUEUED'")

    follower = start_server(seeded_database_url, **settings)
    ask = asking(follower.url, http, operations)
    assert ended(ask, operator, job) == {
        "status": "SUCCEEDED",
        "message": None,
        "model": {"status": "ACTIVE"},
    }
    with psycopg.connect(seeded_database_url) as connection:
        assert connection.execute("SELECT tries FROM training_jobs").fetchall() == [(2,)]
        assert connection.execute("SELECT count(*) FROM model_versions").fetchall() == [(2,)]


def test_a_crashing_training_fails_after_its_attempts_and_an_empty_one_at_once(
    small_database_url: str,
    start_server: StartServer,
    http: httpx.Client,
    operations: dict[str, str],
) -> None:
    service = start_server(small_database_url, POLL_SECONDS="0.1")
    ask, operator = operating(service, small_database_url, http, operations)
    job = request_training(ask, operator)

    def kill() -> bool:
        for pid in children(service.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(ask(JOB, operator.token, id=job)["data"]["node"]["status"] == "FAILED")

    until(kill, "it was tried for ever")
    with psycopg.connect(small_database_url) as connection:
        assert connection.execute("SELECT tries, model_version FROM training_jobs").fetchall() == [(3, None)]
        connection.execute("DELETE FROM movies")
    end = ended(ask, operator, request_training(ask, operator))
    assert end["status"] == "FAILED"
    assert "no movies" in end["message"]
    assert ask("Models", operator.token)["data"]["activeModel"] is None


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def test_kept_models_can_be_activated_again(
    small_database_url: str,
    start_server: StartServer,
    http: httpx.Client,
    operations: dict[str, str],
    tmp_path: Path,
) -> None:
    first, second, third = (
        train.train(small_database_url, tmp_path, lambda _stage, _fraction: None, kept_models=1)
        for _ in range(3)
    )
    assert {path.name for path in tmp_path.iterdir()} == {second, third}
    service = start_server(small_database_url, POLL_SECONDS="0.1", MODEL_DIR=str(tmp_path))
    ask, operator = operating(service, small_database_url, http, operations)

    def activated(version: str) -> dict[str, Any]:
        return outcome(ask("ActivateModel", operator.token, version=version), "activateModel")

    def statuses() -> dict[str, str]:
        edges = ask("Models", operator.token)["data"]["models"]["edges"]
        return {edge["node"]["version"]: edge["node"]["status"] for edge in edges}

    assert statuses() == {third: "ACTIVE", second: "RETIRED", first: "REMOVED"}
    assert activated(first)["__typename"] == "ModelUnreadable"
    assert activated("no such")["__typename"] == "ModelNotFound"
    assert activated("nul\0")["__typename"] == "ModelNotFound"
    assert statuses()[third] == "ACTIVE"
    model = {"version": second, "status": "ACTIVE"}
    assert activated(second) == {"__typename": "ActivateModelPayload", "model": model}
    assert statuses() == {third: "RETIRED", second: "ACTIVE", first: "REMOVED"}
    until(lambda: serving(ask) == second, "it was not taken up")
    with psycopg.connect(small_database_url) as connection:
        vectors = connection.execute("SELECT DISTINCT model_version FROM movie_vectors").fetchall()
    assert vectors == [(second,)]

    def rolled_back(active: str) -> dict[str, Any]:
        return outcome(ask("RollbackModel", operator.token, active=active), "rollbackModel")

    assert rolled_back(third)["__typename"] == "NothingToRollBack"
    former = {"version": third, "status": "ACTIVE"}
    assert rolled_back(second) == {"__typename": "RollbackModelPayload", "model": former}
    assert statuses() == {third: "ACTIVE", second: "RETIRED", first: "REMOVED"}

    pages = ask(PAGES, operator.token, first=2)["data"]["models"]
    assert [edge["node"]["version"] for edge in pages["edges"]] == [third, second]
    assert pages["totalCount"] == 3
    end = pages["pageInfo"]["endCursor"]
    behind = ask(PAGES, operator.token, first=2, after=end)["data"]["models"]
    assert [edge["node"]["version"] for edge in behind["edges"]] == [first]
    before = behind["pageInfo"]["startCursor"]
    back = ask(PAGES, operator.token, last=1, before=before)["data"]["models"]
    assert [edge["node"]["version"] for edge in back["edges"]] == [second]
    assert back["pageInfo"]["hasPreviousPage"]
    assert code(ask(PAGES, operator.token, first=2, after="bm8=")) == "BAD_USER_INPUT"


def test_unknown_trainings_are_refused(
    ask: Ask, server: str, operator: Member, operations: dict[str, str]
) -> None:
    with open_socket(f"{server}/graphql", {"Authorization": f"Bearer {operator.token}"}) as socket:
        query = operations["TrainingProgress"]
        socket.send("subscribe", "1", {"query": query, "variables": {"job": "VHJhaW5pbmdKb2I6OTk5OTk5"}})
        (error,) = socket.receive()["payload"]["errors"]
        assert error["message"] == "trainingProgress.jobId is not the id of a training job."
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
    train_model = "trainModel(input: { note: $note }) { __typename ... on Error { message } }"
    refused = ask(f"mutation ($note: String!) {{ {train_model} }}", operator.token, note="x" * 201)
    assert outcome(refused, "trainModel")["message"] == "note must have at most 200 characters."
