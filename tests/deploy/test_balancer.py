"""Two processes behind haproxy: an even load, a killed process, and a rolling deployment."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed

from app.cli.commands import app
from recommender.scorers import kinds
from tests.conftest import ROOT
from tests.deploy.cluster import SERVERS, Cluster, Load, cluster, wait_for
from tests.schema.http.conftest import Socket, movie_ids, open_socket, sign_up
from tests.test_operate import PAGE, SECRET, migrate_later

pytestmark = pytest.mark.long

LIST = "{ recommendations(first: 5) { modelVersion edges { node { id } } } }"
CHANGED = {"query": "subscription { recommendationsChanged { changedAt } }"}
RATE = "mutation ($id: ID!) { rateMovie(input: { movieId: $id, stars: 4 }) { __typename } }"


def test_the_page_has_the_command_and_all_its_variables() -> None:
    section = PAGE.partition("## Several processes\n")[2].partition("\n## ")[0]
    assert "haproxy -f deploy/haproxy/haproxy.cfg" in section
    used = set(re.findall(r'"\$\{(\w+)\}"', (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()))
    assert set(re.findall(r"(\w+)=\S*:\d+", section)) == used


def get(client: httpx.Client, _: int) -> httpx.Response:
    return client.get("/graphql", params={"query": "{ movies(first: 1) { nodes { title } } }"})


def post(client: httpx.Client, _: int) -> httpx.Response:
    return client.post("/graphql", json={"query": LIST})


@pytest.fixture
def behind(seeded_database_url: str, model_dir: Path, run_folder: Path) -> Iterator[Cluster]:
    with cluster(seeded_database_url, model_dir, run_folder) as made:
        yield made


def blocked(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        ((count,),) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(count)


def busy(behind: Cluster) -> str:
    """The server with a request in progress; '' for none."""
    return next((name for name, count in behind.figures("current_sessions").items() if count), "")


def test_load_is_even_and_a_killed_process_fails_no_read(behind: Cluster, seeded_database_url: str) -> None:
    load = Load()
    with load.running(behind.url, get, post, post):
        wait_for(lambda: load.answers >= 120)
        shares = behind.figures("sessions_total")
        assert abs(shares["service-1"] - shares["service-2"]) <= 0.1 * sum(shares.values()) / 2
        failed = behind.figures("check_failures_total")["service-1"]
        behind.kill("service-1")
        wait_for(lambda: not behind.is_up("service-1"))
        assert behind.figures("check_failures_total")["service-1"] <= failed + 2
    assert load.failures == []
    behind.start("service-1")
    wait_for(lambda: behind.is_up("service-1"))

    member = sign_up(f"{behind.url}/graphql")
    (movie, *_) = movie_ids(member.url)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(seeded_database_url) as blocker:
        blocker.execute("LOCK TABLE users, sessions IN ACCESS EXCLUSIVE MODE")
        query = pool.submit(member.ask, "{ viewer { id } }")
        wait_for(lambda: blocked(seeded_database_url))
        first = busy(behind)
        behind.kill(first)
        wait_for(lambda: busy(behind) not in ("", first))
        blocker.rollback()
        assert query.result() == {"viewer": {"id": member.id}}  # by the other process

        blocker.execute("LOCK TABLE ratings IN EXCLUSIVE MODE")
        retries = behind.figures("retry_warnings_total")
        rate = {"query": RATE, "variables": {"id": movie}}
        mutation = pool.submit(httpx.post, member.url, json=rate, headers=member.headers, timeout=30)
        wait_for(lambda: blocked(seeded_database_url))
        behind.kill(busy(behind))
        assert mutation.result().status_code == 502  # it may have been written
        assert behind.figures("retry_warnings_total") == retries


def test_a_rolling_deployment_fails_no_request(
    behind: Cluster, seeded_database_url: str, model_dir: Path, tmp_path: Path
) -> None:
    """A migration, another model, and the restart of each process in turn, as docs/operate.md has them."""
    member = sign_up(f"{behind.url}/graphql")
    ids = movie_ids(member.url)

    def rate(client: httpx.Client, number: int) -> httpx.Response:
        body = {"query": RATE, "variables": {"id": ids[number % len(ids)]}}
        return client.post("/graphql", json=body, headers=member.headers)

    model = other_model(seeded_database_url, model_dir)
    authorization = {"Authorization": f"Bearer {member.token}"}
    load = Load()
    with ThreadPoolExecutor() as readers, load.running(behind.url, get, post, rate), ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(member.url, authorization)) for _ in SERVERS]
        for each in sockets:
            each.send("subscribe", "1", CHANGED)
            assert "errors" not in each.receive()["payload"]
        assert behind.figures("current_sessions", "websockets") == dict.fromkeys(SERVERS, 1)
        # Read at once: a client whose messages pile up misses the answers to its pings.
        closed = [readers.submit(closed_with, each) for each in sockets]
        migrate_later(seeded_database_url, tmp_path)
        environment = {"DATABASE_URL": seeded_database_url, "SECRET_KEY": SECRET, "MODEL_DIR": str(model_dir)}
        activated = CliRunner().invoke(app, ["models", "activate", model], env=environment)
        assert activated.exit_code == 0, activated.output
        for server in SERVERS:
            behind.stop(server)
            behind.start(server)
            wait_for(partial(behind.is_up, server))
        codes = [each.result() for each in closed]
    assert load.failures == []
    assert codes == [1012, 1012]
    with httpx.Client(base_url=behind.url) as client:
        answers = [post(client, 0).json()["data"]["recommendations"] for _ in SERVERS]
    assert {answer["modelVersion"] for answer in answers} == {model}


def other_model(database_url: str, model_dir: Path) -> str:
    """A second model, which is a copy of the active one."""
    with psycopg.connect(database_url) as connection:
        ((active,),) = connection.execute("SELECT version FROM model_versions WHERE status = 'ACTIVE'")
        model = f"{active}-{uuid4().hex[:6]}"
        kinds.load(model_dir / active).save(model_dir / model)
        connection.execute(
            "INSERT INTO model_versions (version, status, dataset_version, metrics, trained_at, retired_at) "
            "SELECT %s, 'RETIRED', dataset_version, metrics, trained_at, now() FROM model_versions",
            (model,),
        )
    return model


def closed_with(each: Socket) -> int:
    """The code with which the service closed a websocket."""
    with pytest.raises(ConnectionClosed) as closed:
        read_all(each)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def read_all(each: Socket) -> None:
    while True:
        each.receive()
