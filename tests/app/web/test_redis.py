"""Rate limits while Redis dies, hangs, fails over to a replica, and as a Cluster. All servers are real."""

import asyncio
import logging
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from app.settings import Settings
from app.web import rate_limits
from app.web.rate_limits import Charge, RateLimited, RateLimits, SharedCounters
from bench.processes.free_port import free_port
from tests.deploy.cluster import wait_for

Process = subprocess.Popen[bytes]


@contextmanager
def redis(folder: Path, port: int, *options: str) -> Iterator[Process]:
    """A Redis, or a Sentinel if the first option is its file."""
    if (server := shutil.which("redis-server")) is None:
        pytest.skip("redis-server is not installed")
    given = (*options, *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)))
    process = subprocess.Popen([server, *given], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: process.poll() is not None or answers(port))
        yield process
    finally:
        process.kill()
        process.wait(30)


def answers(port: int) -> bool:
    with Redis(port=port, socket_timeout=1) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def limits(url: str) -> RateLimits:
    per_minute = {"operations_per_minute": 100, "cost_per_minute": 0}
    return RateLimits.of(Settings.model_validate({"redis_url": url, **per_minute}))


def counters(limited: RateLimits) -> SharedCounters:
    assert isinstance(limited.counters, SharedCounters)
    return limited.counters


async def returned(limited: RateLimits) -> None:
    """Send operations until Redis answers again."""
    deadline = time.monotonic() + 60
    while not counters(limited).answers:
        assert time.monotonic() < deadline
        await limited.operation("other", 1)
        await asyncio.sleep(0.1)


def test_a_redis_that_dies_under_load_fails_no_operation_and_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rate_limits, "RETRY_SECONDS", 0.3)
    port = free_port()

    async def use() -> None:
        limited = limits(f"redis://127.0.0.1:{port}")
        with redis(tmp_path, port):
            await asyncio.gather(*(limited.operation("ada", 1) for _ in range(20)))
            assert counters(limited).answers
        await asyncio.gather(*(limited.operation("ada", 1) for _ in range(50)))
        with pytest.raises(RateLimited):  # the process counts for itself
            await asyncio.gather(*(limited.operation("ada", 1) for _ in range(60)))
        with redis(tmp_path, port):
            await returned(limited)
            await limited.operation("ada", 1)
        await limited.close()

    with caplog.at_level(logging.INFO, "marquee.rates"):
        asyncio.run(use())
    lost, again = (record.message for record in caplog.records)
    assert lost.startswith("Redis does not answer; each process counts its own rate limits: ")
    assert again == "Redis answers again; the processes share their rate limits"


def test_one_operation_at_a_time_waits_for_a_redis_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "REDIS_SECONDS", 0.2)
    port = free_port()

    async def use(process: Process) -> int:
        limited = limits(f"redis://127.0.0.1:{port}")
        shared, asked = counters(limited), 0
        ask = shared.ask

        async def counted(charges: Sequence[Charge], *, owed: bool) -> object:
            nonlocal asked
            asked += 1
            return await ask(charges, owed=owed)

        monkeypatch.setattr(shared, "ask", counted)
        await limited.operation("ada", 1)
        process.send_signal(signal.SIGSTOP)
        for _ in range(50):
            await limited.operation("ada", 1)
        process.send_signal(signal.SIGCONT)
        await limited.close()
        return asked

    with redis(tmp_path, port) as process:
        assert asyncio.run(use(process)) == 2


def test_the_master_that_a_sentinel_names_is_used_also_after_a_failover(tmp_path: Path) -> None:
    master, replica, sentinel = free_port(), free_port(), free_port()
    file = tmp_path / "sentinel.conf"
    file.write_text(
        f"sentinel monitor main 127.0.0.1 {master} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
    )

    async def use(first: Process) -> None:
        limited = limits(f"redis+sentinel://127.0.0.1:{sentinel}/main")
        await limited.operation("ada", 1)
        assert counters(limited).answers
        first.kill()
        await limited.operation("ada", 1)
        wait_for(lambda: is_master(replica))
        await returned(limited)
        await limited.close()

    (tmp_path / "replica").mkdir()
    with (
        redis(tmp_path, master) as first,
        redis(tmp_path / "replica", replica, "--replicaof", f"127.0.0.1 {master}"),
        redis(tmp_path, sentinel, str(file), "--sentinel"),
    ):
        wait_for(lambda: knows_a_replica(sentinel))
        asyncio.run(use(first))
    assert first.returncode == -signal.SIGKILL


def knows_a_replica(sentinel: int) -> bool:
    with Redis(port=sentinel) as watching:
        return bool(watching.sentinel_slaves("main"))


def is_master(port: int) -> bool:
    with Redis(port=port) as client:
        return client.role()[0] in ("master", b"master")


def is_whole(port: int) -> bool:
    """Whether a node of a Cluster serves requests."""
    with Redis(port=port) as client:
        return bool(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


def test_a_cluster_counts_the_charges_of_an_operation_together(tmp_path: Path) -> None:
    # The nodes talk on the ports above, by 10,000.
    ports = [free_port() for _ in range(3)]
    clustered = ("--cluster-enabled", "yes", "--save", "", "--cluster-config-file")
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(redis(tmp_path, port, *clustered, f"nodes-{port}"))
        nodes = [f"127.0.0.1:{port}" for port in ports]
        made = subprocess.run(
            ["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"], check=False, capture_output=True
        )
        assert made.returncode == 0, made.stdout
        wait_for(lambda: all(map(is_whole, ports)))  # each node learns of the others on its own

        async def use() -> None:
            per_minute = {"operations_per_minute": 100, "cost_per_minute": 600}
            url = f"redis+cluster://{','.join(nodes)}"
            one, other = (
                RateLimits.of(Settings.model_validate({"redis_url": url, **per_minute})) for _ in range(2)
            )
            await one.operation("ada", 500)
            with pytest.raises(RateLimited):
                await other.operation("ada", 200)
            assert counters(one).answers
            assert counters(other).answers
            await one.close()
            await other.close()

        asyncio.run(use())


@pytest.mark.parametrize("url", ["redis+sentinel://127.0.0.1", "http://127.0.0.1", "redis+cluster://a:b"])
def test_an_address_that_is_not_valid_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match=r"REDIS_URL|Redis URL|[Pp]ort"):
        limits(url)
