"""Measure how many events a second `marquee ingest file` stores, with the ingester and Postgres on one core.

    python -m bench.ingest [--lines 300000] [--json FILE]

The catalog is the bundled one, and Postgres has its usual settings, with durable commits. Rates are events by
the processor time of both processes, so that other work on the machine does not count; the wall time is shown
beside it. Lines are drawn for 20,000 users: each kind alone, and a mix as of a streaming site. One in a
hundred is bad.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import psutil
import psycopg

from app.db import migrations
from app.db.embedded import embedded_postgres
from app.ingest import event_files
from app.ingest.store_events import Store
from app.settings import Settings
from bench.figures import Figure, write
from seeds.bundled import load_bundled

USERS, BAD_SHARE, TARGET = 20_000, 0.01, 20_000
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
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)  # under root, Postgres runs as another account
        with embedded_postgres(Path(name) / "data") as url:
            migrations.upgrade(url)
            load_bundled(url)
            figures = list(measure(url, Path(name), options.lines))
    for figure in figures:
        print(f"{figure.key}: {figure.value:,.1f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, f"{options.lines} random lines of {USERS} users", figures)


def measure(url: str, folder: Path, n: int) -> Iterator[Figure]:
    settings = Settings.model_validate({"database_url": url, "secret_key": SECRET})
    with psycopg.connect(url, autocommit=True) as connection:
        movies = connection.execute("SELECT title, year FROM movies WHERE year IS NOT NULL").fetchall()
        store = Store(connection, settings)
        store.movies.refresh(connection)
        postgres = psutil.Process(connection.info.backend_pid)
        rng = np.random.default_rng(7)
        for name, shares in (*((kind, None) for kind in KINDS), ("mix", MIX)):
            path = folder / f"{name}.log"
            kinds = [name] * n if shares is None else rng.choice(KINDS, n, p=shares).tolist()
            path.write_bytes(b"\n".join(lines(kinds, movies, rng)))
            before, began = used(postgres), time.perf_counter()
            event_files.ingest(path, "bench", store, lambda _stage, _fraction: None)
            wall, after = time.perf_counter() - began, used(postgres)
            own, database = (end - start for start, end in zip(before, after, strict=True))
            target = TARGET if name == "mix" else None
            yield Figure(f"{name}/events a second of one core", n / (own + database), "events/s", target)
            yield Figure(f"{name}/events a second of wall time", n / wall, "events/s")
            yield Figure(f"{name}/processor time of the ingester", own / n * 1e6, "us an event")
            yield Figure(f"{name}/processor time of Postgres", database / n * 1e6, "us an event")


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
