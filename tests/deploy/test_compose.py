"""The start order of docker-compose.yml, played without Docker by the same commands, settings and checks.

No Grafana can be had for a test; `test_deploy.py` checks what it is provisioned with.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
import yaml
from psycopg.conninfo import conninfo_to_dict

from app.db import migrations
from app.db.cluster import _binaries
from bench.processes.free_port import free_port
from bench.processes.start_broker import Broker, BrokerError, fetched, java, output_of
from tests.app.ingest.ingester import Ingest, click, make_topic, send, wait_for_events
from tests.conftest import ROOT
from tests.deploy.cluster import balanced, is_answered, wait_for
from tests.services import running

pytestmark = pytest.mark.timeout(600)

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
ALWAYS = {name: service for name, service in SERVICES.items() if "profiles" not in service}
LIVE = {name: service for name, service in SERVICES.items() if "live" in service.get("profiles", ())}
STARTED, HEALTHY, DONE = "service_started", "service_healthy", "service_completed_successfully"
GIVEN = {"POSTGRES_PASSWORD": "none", "SECRET_KEY": "a secret of the tests, long enough"}
COMMANDS = Path(sys.executable).parent


def needs(name: str) -> Mapping[str, str]:
    """What a service waits for, and the condition."""
    given = SERVICES[name].get("depends_on", {})
    if isinstance(given, list):
        return dict.fromkeys(given, STARTED)
    return {other: needed["condition"] for other, needed in given.items()}


def environment_of(name: str) -> dict[str, str]:
    """The environment of a service, in a shell with GIVEN."""

    def value(found: re.Match[str]) -> str:
        return GIVEN.get(found["name"], found["default"] or "")

    variable = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}")
    return {key: variable.sub(value, str(text)) for key, text in SERVICES[name]["environment"].items()}


def check_of(name: str, **replaced: str) -> list[str]:
    """The command of a health check, with these parts replaced."""
    command: list[str]
    kind, *command = ALWAYS[name]["healthcheck"]["test"]
    assert kind == "CMD"
    for part, other in replaced.items():
        former = {"address": "127.0.0.1:8000", "host": "--host=127.0.0.1"}[part]
        assert sum(former in word for word in command) == 1
        command = [word.replace(former, other) for word in command]
    return command


def passes(command: list[str], path: Path = COMMANDS) -> bool:
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}
    return subprocess.run(command, env=environment, check=False, capture_output=True).returncode == 0


class Play:
    """Starts the services in their order. `reached`: the conditions that each of them fulfills."""

    def __init__(self, stack: ExitStack, database_url: str, model_dir: Path, run_folder: Path) -> None:
        self.stack, self.database_url, self.model_dir = stack, database_url, model_dir
        self.run_folder = run_folder
        self.reached: dict[str, set[str]] = {}
        self.ports = {"service-1": str(free_port()), "service-2": str(free_port())}
        self.metrics = {name: str(free_port()) for name in ("api-1", "api-2", "ingest")}
        self.broker: Broker | None = None
        self.ingester: Ingest | None = None
        self.prometheus_url = ""
        self.redis = f"unix://{run_folder / f'redis-{uuid4().hex[:8]}.sock'}"
        self.url = ""

    def run(self, services: Mapping[str, Any] = ALWAYS) -> None:
        """Start services in their order, as soon as those that they need are ready."""
        parts: dict[str, Callable[[], set[str]]] = {
            "database": self.database,
            "migrate": self.migrate,
            "redis": self.start_redis,
            "api-1": lambda: self.api("api-1", self.ports["service-1"]),
            "api-2": lambda: self.api("api-2", self.ports["service-2"]),
            "balancer": self.balancer,
            "kafka": self.kafka,
            "ingest": self.ingest,
            "prometheus": self.prometheus,
        }
        assert parts.keys() == ALWAYS.keys() | LIVE.keys() - {"grafana"}
        order = TopologicalSorter({name: needs(name) for name in services}).static_order()
        for name in (name for name in order if name not in self.reached and name in parts):
            for other, condition in needs(name).items():
                assert condition in self.reached[other], (name, other)
            self.reached[name] = parts[name]()

    def database(self) -> set[str]:
        host = f"--host={conninfo_to_dict(self.database_url)['host']}"
        wait_for(lambda: passes(check_of("database", host=host), _binaries()))
        return {STARTED, HEALTHY}

    def migrate(self) -> set[str]:
        settings = {**environment_of("migrate"), "DATABASE_URL": self.database_url}
        program, *arguments = ALWAYS["migrate"]["command"]
        environment = {**os.environ, **settings}
        subprocess.run([COMMANDS / program, *arguments], env=environment, check=True, capture_output=True)
        assert not migrations.is_behind(self.database_url)
        return {STARTED, DONE}

    def start_redis(self) -> set[str]:
        program, *options = ALWAYS["redis"]["command"]
        if (server := shutil.which(program)) is None:
            pytest.skip("redis-server is not installed")
        own = ("--port", "0", "--unixsocket", self.redis.removeprefix("unix://"), "--dir", self.run_folder)
        process = subprocess.Popen([server, *options, *own], stdout=subprocess.DEVNULL)
        self.stack.callback(process.wait, 30)
        self.stack.callback(process.terminate)
        return {STARTED}

    def api(self, name: str, port: str) -> set[str]:
        assert ALWAYS[name]["command"] == ["marquee", "serve"]  # which `running` runs
        own = {
            "PORT": port,
            "REDIS_URL": self.redis,
            "METRICS_PORT": self.metrics[name],
            "DRAIN_SECONDS": "0",
        }
        settings = {**environment_of(name), **own, "DATABASE_URL": self.database_url}
        self.stack.enter_context(running(self.database_url, self.model_dir, self.run_folder, **settings))
        wait_for(lambda: passes(check_of(name, address=f"127.0.0.1:{port}")))
        return {STARTED, HEALTHY}

    def balancer(self) -> set[str]:
        self.url = self.stack.enter_context(balanced(self.ports)).url
        return {STARTED}

    def kafka(self) -> set[str]:
        """A broker with the properties that its image makes of the environment, on other ports."""
        ports = {port: str(free_port()) for port in ("9092", "9093", "9094")}
        folder = self.run_folder / f"kafka-{uuid4().hex[:8]}"
        folder.mkdir()
        properties = ""
        for key, text in environment_of("kafka").items():
            value = re.sub(r"//:", "//127.0.0.1:", text.replace("kafka:", "127.0.0.1:"))
            for port, other in ports.items():
                value = value.replace(f":{port}", f":{other}")
            if key == "KAFKA_LOG_DIRS":
                value = str(folder / "data")
            properties += f"{key.removeprefix('KAFKA_').replace('_', '.').lower()}={value}\n"
        (folder / "server.properties").write_text(properties)
        storage = [*java(fetched()), "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA"]
        output_of([*storage, "-c", str(folder / "server.properties")])
        self.broker = Broker(folder, fetched(), int(ports["9092"]))
        self.stack.callback(self.broker.stop)
        self.broker.start()
        return {STARTED}

    def ingest(self) -> set[str]:
        assert self.broker
        program, *arguments = SERVICES["ingest"]["command"]
        assert arguments[-1] == "kafka:9092"
        assert SERVICES["ingest"]["restart"] == "unless-stopped"
        restarted = ("sh", "-c", 'until "$@"; do sleep 1; done', "sh")
        own = {"DATABASE_URL": self.database_url, "METRICS_PORT": self.metrics["ingest"]}
        log = self.run_folder / f"ingest-{uuid4().hex[:8]}.log"
        with log.open("w") as file:
            self.ingester = Ingest(
                [*restarted, COMMANDS / program, *arguments[:-1], self.broker.address],
                env={**os.environ, **environment_of("ingest"), **own},
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
        self.ingester.log = log
        self.stack.callback(self.ingester.wait, 60)
        self.stack.callback(os.killpg, self.ingester.pid, signal.SIGINT)
        return {STARTED}

    def prometheus(self) -> set[str]:
        """Prometheus with the mounted files, which finds the three processes at their ports."""
        if (program := shutil.which("prometheus")) is None:
            pytest.skip("prometheus is not installed")
        folder = self.run_folder / f"prometheus-{uuid4().hex[:8]}"
        shutil.copytree(ROOT / "deploy" / "prometheus", folder)
        text = (folder / "prometheus.yml").read_text()
        for name, port in self.metrics.items():
            assert text.count(f'"{name}:9464"') == 1
            text = text.replace(f'"{name}:9464"', f'"127.0.0.1:{port}"')
        (folder / "prometheus.yml").write_text(text.replace("15s", "1s"))
        self.prometheus_url = f"http://127.0.0.1:{free_port()}"
        address = self.prometheus_url.removeprefix("http://")
        options = [
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",  # not the folder of the machine, which Debian makes the default
            f"--web.listen-address={address}",
        ]
        process = subprocess.Popen([program, *options], cwd=folder, stderr=subprocess.DEVNULL)
        self.stack.callback(process.wait, 60)
        self.stack.callback(process.terminate)
        wait_for(lambda: is_answered(f"{self.prometheus_url}/-/ready"))
        return {STARTED}


@pytest.fixture
def play(seeded_database_url: str, model_dir: Path, run_folder: Path) -> Iterator[Play]:
    """A play with what the service `seed` has made, before the last migration."""
    migrations.downgrade(seeded_database_url, "-1")
    with ExitStack() as stack:
        yield Play(stack, seeded_database_url, model_dir, run_folder)


def test_each_part_starts_once_those_that_it_needs_are_ready(play: Play) -> None:
    play.run()
    answer = httpx.post(f"{play.url}/graphql", json={"query": "{ movies(first: 1) { nodes { title } } }"})
    assert len(answer.json()["data"]["movies"]["nodes"]) == 1
    with redis.Redis.from_url(play.redis) as limits:
        assert limits.dbsize()  # the rate limits are there

    # The profile `live`: events are read, and all three processes are watched.
    try:
        fetched()
    except BrokerError as error:
        pytest.skip(str(error))
    play.run(ALWAYS | LIVE)
    assert play.broker
    make_topic(play.broker, SERVICES["ingest"]["command"][3])
    send(play.broker, "movielog", [click(number) for number in range(30)])
    wait_for_events(play.database_url, 30, play.ingester)

    def up() -> set[str]:
        found = httpx.get(f"{play.prometheus_url}/api/v1/query", params={"query": "up == 1"}).json()
        return {result["metric"]["instance"] for result in found["data"]["result"]}

    wait_for(lambda: up() == {f"127.0.0.1:{port}" for port in play.metrics.values()})
    rules = httpx.get(f"{play.prometheus_url}/api/v1/rules").json()["data"]["groups"]
    assert any(group["rules"] for group in rules)


def test_nothing_reads_the_database_before_it_is_migrated_nor_answers_before_it_is_healthy() -> None:
    assert needs("migrate") == {"database": HEALTHY}
    for name, service in SERVICES.items():
        command = service.get("command", [])
        if "marquee" in str(command) and command != ["marquee", "migrate"]:
            assert service["depends_on"]["migrate"] == {"condition": DONE}, name
    assert needs("balancer") == {"api-1": HEALTHY, "api-2": HEALTHY}
