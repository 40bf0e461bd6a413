"""Prometheus scrapes two live processes under load: each expression of dashboards and alerts has data."""

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from tests.conftest import ROOT
from tests.monitoring.conftest import LIST, RANKED, RATE, Client, StartClient

PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
LOAD_SECONDS = 8
START_SECONDS = 30
HEAVY = "{ movies(first: 100) { edges { node { similar(first: 50) { edges { node { title } } } } } } }"
COMPARISON = re.compile(r"^(?P<inner>.*?)\s*[<>]=?\s*[\d.]+$", re.DOTALL)


def inner_expressions(expression: str) -> list[str]:
    """The sides of an alert's comparisons, which have values in health too."""
    found = []
    for part in re.split(r"\s+and\s+", expression.strip()):
        compared = COMPARISON.match(part)
        assert compared is not None, f"not a comparison with a number: {part}"
        found.append(compared["inner"])
    return found


def expressions() -> list[tuple[str, str]]:
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"].replace("$__rate_interval", "1m")
                found.append((f"{path.stem}: {panel['title']}", expression))
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            found += [(rule["alert"], inner) for inner in inner_expressions(rule["expr"])]
    return found


@pytest.fixture
def prometheus(tmp_path: Path, clients: list[Client]) -> Iterator[str]:
    """A Prometheus with our configuration that scrapes the clients' services every half second."""
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    targets = [client.metrics.removeprefix("http://").removesuffix("/metrics") for client in clients]
    config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(PROMETHEUS / "alerts.yml", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not is_ready(f"http://{address}"):
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(30)


def is_ready(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/-/ready").status_code == 200
    return False


@pytest.fixture
def clients(seeded_database_url: str, start_client: StartClient) -> list[Client]:
    return [start_client(seeded_database_url, MAX_COST="3000") for _ in range(2)]


def load(client: Client, until: float, faults: list[Exception]) -> None:
    """Browse, recommend, rate, report events, and make mistakes, until a time."""
    try:
        client.sign_up()
        turn = 0
        while time.monotonic() < until:
            (movie, *_) = client.show(click=turn % 3 == 0)
            client.ask(RATE, id=movie, stars=1 + turn % 5)
            client.ask(LIST)
            client.ask(RANKED)
            client.ask("{ movies(first: 5) { edges { node { title } } } }")
            client.ask(HEAVY)
            client.ask("{ nothing }")
            turn += 1
    except Exception as fault:  # noqa: BLE001 - raised by the test
        faults.append(fault)


def series(prometheus: str, expression: str) -> list[Any]:
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": expression}, timeout=30).json()
    assert answer["status"] == "success", (expression, answer)
    found: list[Any] = answer["data"]["result"]
    return found


@pytest.mark.timeout(240)
def test_each_expression_has_data_under_load(
    prometheus: str, clients: list[Client], seeded_database_url: str
) -> None:
    faults: list[Exception] = []
    until = time.monotonic() + LOAD_SECONDS
    threads = [
        threading.Thread(target=load, args=(Client(each.url, each.metrics, each.http), until, faults))
        for each in clients
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
    time.sleep(1.5)  # two more scrapes

    empty, checked = [], expressions()
    for name, expression in checked:
        found = series(prometheus, expression)
        if not found or all(each["value"][1] == "NaN" for each in found):
            empty.append((name, expression))
    assert not empty, f"{len(empty)} of {len(checked)} expressions have no data: {empty}"

    names = {each["metric"]["operation"] for each in series(prometheus, "marquee_operation_seconds_count")}
    assert {"Ranked", "List", "Rate", "Feedback", "anonymous", "other"} <= names
    (shown,) = series(prometheus, 'max(marquee_shown_lists{window="hour"})')
    with psycopg.connect(seeded_database_url) as connection:
        lists = connection.execute("SELECT count(DISTINCT request_id) FROM feedback").fetchone()
    assert 0 < int(shown["value"][1]) <= (lists or (0,))[0]
    alerts = httpx.get(f"{prometheus}/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in alerts for rule in group["rules"]]
    assert len(rules) == 15
    assert {rule["health"] for rule in rules} == {"ok"}
