"""The start order of docker-compose.yml, played without Docker by the same commands and checks."""

import os
import re
import shutil
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
from tests.conftest import ROOT
from tests.deploy.cluster import balanced, free_port, wait_for
from tests.services import running

pytestmark = pytest.mark.timeout(600)

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
ALWAYS = {name: service for name, service in SERVICES.items() if "profiles" not in service}
STARTED, HEALTHY, DONE = "service_started", "service_healthy", "service_completed_successfully"
GIVEN = {"POSTGRES_PASSWORD": "none", "SECRET_KEY": "a secret of the tests, long enough"}
COMMANDS = Path(sys.executable).parent


def needs(name: str) -> Mapping[str, str]:
    """What a service waits for, and the condition."""
    given = ALWAYS[name].get("depends_on", {})
    if isinstance(given, list):
        return dict.fromkeys(given, STARTED)
    return {other: needed["condition"] for other, needed in given.items()}


def environment_of(name: str) -> dict[str, str]:
    """The environment of a service, in a shell with GIVEN."""

    def value(found: re.Match[str]) -> str:
        return GIVEN.get(found["name"], found["default"] or "")

    variable = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}")
    return {key: variable.sub(value, str(text)) for key, text in ALWAYS[name]["environment"].items()}


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
        self.redis = f"unix://{run_folder / f'redis-{uuid4().hex[:8]}.sock'}"
        self.url = ""

    def run(self) -> None:
        parts: dict[str, Callable[[], set[str]]] = {
            "database": self.database,
            "migrate": self.migrate,
            "redis": self.start_redis,
            "api-1": lambda: self.api("api-1", self.ports["service-1"]),
            "api-2": lambda: self.api("api-2", self.ports["service-2"]),
            "balancer": self.balancer,
        }
        assert parts.keys() == ALWAYS.keys()
        for name in TopologicalSorter({name: needs(name) for name in ALWAYS}).static_order():
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
        own = {"PORT": port, "REDIS_URL": self.redis, "METRICS_PORT": "", "DRAIN_SECONDS": "0"}
        settings = {**environment_of(name), **own, "DATABASE_URL": self.database_url}
        self.stack.enter_context(running(self.database_url, self.model_dir, self.run_folder, **settings))
        wait_for(lambda: passes(check_of(name, address=f"127.0.0.1:{port}")))
        return {STARTED, HEALTHY}

    def balancer(self) -> set[str]:
        self.url = self.stack.enter_context(balanced(self.ports)).url
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


def test_nothing_reads_the_database_before_it_is_migrated_nor_answers_before_it_is_healthy() -> None:
    assert needs("migrate") == {"database": HEALTHY}
    for name, service in SERVICES.items():
        command = service.get("command", [])
        if "marquee" in str(command) and command != ["marquee", "migrate"]:
            assert service["depends_on"]["migrate"] == {"condition": DONE}, name
    assert needs("balancer") == {"api-1": HEALTHY, "api-2": HEALTHY}
