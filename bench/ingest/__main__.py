"""Measure how many events a second `marquee ingest` stores, with the ingester and Postgres on one core.

    python -m bench.ingest [--lines 300000] [--kafka] [--json FILE]

The catalog is the bundled one, and Postgres has its usual settings, with durable commits. Rates are events by
the processor time of both processes, so that other work on the machine does not count; the wall time is shown
beside it. Lines are drawn for 20,000 users: each kind alone, and a mix as of a streaming site. One in a
hundred is bad. `--kafka` also reads the mix from a topic of three partitions; the broker has the other cores.
"""

import argparse
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import psutil
import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from app.db import migrations
from app.db.embedded import embedded_postgres
from app.ingest import event_files
from app.ingest.kafka import Ingester
from app.ingest.kafka_topics import consumer_of, read_topics
from app.ingest.store_events import Store
from app.ingest.stream_movies import Connection
from app.settings import Settings
from bench.figures import Figure, write
from bench.processes.start_broker import Broker, running_broker
from seeds.bundled import load_bundled

USERS, BAD_SHARE, TARGET = 20_000, 0.01, 20_000
TOPIC, PARTITIONS = "bench", 3
BEGIN = np.datetime64("2025-01-01T00:00:00")
KINDS = ("ratings", "watched minutes", "JSON impressions and clicks")
MIX = (0.15, 0.6, 0.25)
SECRET = "a secret of the benchmark, long enough"  # noqa: S105 - of a temporary database


@dataclass(frozen=True, slots=True)
class Draw:
    """The draws of a line: the user, a slug and id of a movie, the time, and a number."""

    user: int
    slug: str
    title: str
    year: int
    time: str
    number: int


def rating(draw: Draw) -> bytes:
    return f"{draw.time},{draw.user},GET /rate/{draw.slug}={1 + draw.number % 5}".encode()


def minute(draw: Draw) -> bytes:
    return f"{draw.time},{draw.user},GET /data/m/{draw.slug}/{draw.number % 120}.mpg".encode()


def impression(draw: Draw) -> bytes:
    kind = "click" if draw.number % 10 == 0 else "impression"
    movie = {"title": draw.title, "year": draw.year}
    event = {"version": 1, "kind": kind, "user": draw.user, "movie": movie, "time": draw.time}
    return orjson.dumps(
        event | {"id": f"{draw.user}-{draw.time}-{draw.number}", "position": draw.number % 20}
    )


MAKERS: dict[str, Callable[[Draw], bytes]] = dict(zip(KINDS, (rating, minute, impression), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--kafka", action="store_true", help="also read from Kafka, which needs Java")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)  # under root, Postgres runs as another account
        broker = stack.enter_context(running_broker(folder / "kafka")) if options.kafka else None
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        url = stack.enter_context(embedded_postgres(folder / "data"))
        migrations.upgrade(url)
        load_bundled(url)
        figures = list(measure(url, folder, options.lines, broker))
    for figure in figures:
        print(f"{figure.key}: {figure.value:,.1f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, f"{options.lines} random lines of {USERS} users", figures)


def measure(url: str, folder: Path, n: int, broker: Broker | None) -> Iterator[Figure]:
    settings = Settings.model_validate({"database_url": url, "secret_key": SECRET})
    with psycopg.connect(url, autocommit=True) as connection:
        movies = connection.execute("SELECT title, year FROM movies WHERE year IS NOT NULL").fetchall()
        store = Store(connection, settings)
        store.movies.refresh(connection)
        rng = np.random.default_rng(7)
        for name, shares in (*((kind, None) for kind in KINDS), ("mix", MIX)):
            path = folder / f"{name}.log"
            kinds = [name] * n if shares is None else rng.choice(KINDS, n, p=shares).tolist()
            path.write_bytes(b"\n".join(lines(kinds, movies, rng)))
            ingest = partial(event_files.ingest, path, "bench", store, lambda _stage, _fraction: None)
            yield from timed(name, ingest, connection, n)
        if broker is not None:
            kinds = rng.choice(KINDS, n, p=MIX).tolist()
            ingester = ingester_of(broker, list(lines(kinds, movies, rng)), store)
            yield from timed("mix from Kafka", partial(ingester.run, to_end=True), connection, n)


def timed(name: str, ingest: Callable[[], Counter[str]], connection: Connection, n: int) -> Iterator[Figure]:
    """Measure the ingestion of n lines."""
    postgres = psutil.Process(connection.info.backend_pid)
    before, began = used(postgres), time.perf_counter()
    ingest()
    wall, after = time.perf_counter() - began, used(postgres)
    own, database = (end - start for start, end in zip(before, after, strict=True))
    target = TARGET if name.startswith("mix") else None
    yield Figure(f"{name}/events a second of one core", n / (own + database), "events/s", target)
    yield Figure(f"{name}/events a second of wall time", n / wall, "events/s")
    yield Figure(f"{name}/processor time of the ingester", own / n * 1e6, "us an event")
    yield Figure(f"{name}/processor time of Postgres", database / n * 1e6, "us an event")


def ingester_of(broker: Broker, sent: Sequence[bytes], store: Store) -> Ingester:
    """Send lines to a new topic of three partitions, and make an ingester of it."""
    brokers = {"bootstrap.servers": broker.address}
    admin = AdminClient({**brokers})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS)])[TOPIC].result(30)
    producer = Producer({**brokers, "linger.ms": 50})
    for number, line in enumerate(sent):
        while True:
            try:
                producer.produce(TOPIC, line, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(120)
    stopping = threading.Event()
    topics = read_topics(brokers, [TOPIC], "bench", stopping)

    def connect() -> Connection:
        raise AssertionError("Postgres was lost during the measurement")

    return Ingester(consumer_of(brokers, TOPIC), topics, store, connect, stopping)


def used(postgres: psutil.Process) -> tuple[float, float]:
    """Processor seconds of this process and of the backend."""
    times = postgres.cpu_times()
    return time.process_time(), times.user + times.system


def lines(kinds: list[str], movies: list[tuple[str, int]], rng: np.random.Generator) -> Iterator[bytes]:
    n = len(kinds)
    slugs = ["+".join([*title.lower().split(), str(year)]) for title, year in movies]
    popular = np.minimum((rng.pareto(1.0, n) * 20).astype(int), len(movies) - 1)
    users = np.minimum((rng.pareto(0.8, n) * 500).astype(int), USERS - 1)
    times = np.datetime_as_string(BEGIN + np.arange(n) * 60 % 30_000_000, unit="s")
    columns = (users.tolist(), popular.tolist(), times.tolist(), rng.integers(0, 1 << 30, n).tolist())
    bad = rng.random(n) < BAD_SHARE
    for kind, is_bad, user, movie, at, number in zip(kinds, bad.tolist(), *columns, strict=True):
        title, year = movies[movie]
        line = MAKERS[kind](Draw(user, slugs[movie], title, year, at, number))
        yield line[: len(line) // 2] if is_bad else line


if __name__ == "__main__":
    main()
