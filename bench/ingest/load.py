"""Measure how many ratings a second `marquee load ratings` stores in an empty table, and what it costs.

    python -m bench.ingest.load [--rows 3000000] [--json FILE]

The file is csv, with the ratings of each user together and the movies of each in no order. Postgres is the
embedded one, with its usual settings and durable commits. Processor time counts this process and all of
Postgres, so that other work on the machine matters less; the wall time is shown beside it. The file is loaded
twice, and the second time must change nothing.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import psycopg
import pyarrow as pa
from pyarrow import csv

from app.db import migrations
from app.db.embedded import embedded_postgres
from app.ingest.loads import ratings
from bench.figures import Figure, write
from seeds.files.report import Count

USER_ROWS, MOVIES, TARGET = 150, 10_000, 1_000_000
SOURCE = "own"
REAPED_SECONDS = 5.0  # after which the time of a backend that ended counts as that of its parent
_ADD_MOVIES = """
WITH added AS (INSERT INTO movies (title) SELECT 'movie ' || n FROM generate_series(1, %s) AS n RETURNING id)
INSERT INTO movie_external_ids (source, external_id, movie_id)
SELECT %s, row_number() OVER (ORDER BY id), id FROM added
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # under root, Postgres runs as another account
        write_ratings(folder / "ratings.csv", options.rows)
        with embedded_postgres(folder / "data") as url:
            migrations.upgrade(url)
            with psycopg.connect(url) as connection:
                connection.execute(_ADD_MOVIES, (MOVIES, SOURCE))
            pid = int((folder / "data/postgres/postmaster.pid").read_text().partition("\n")[0])
            figures = list(measure(url, folder / "ratings.csv", psutil.Process(pid), options.rows))
    for figure in figures:
        print(f"{figure.key}: {figure.value:,.2f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, f"{options.rows} random ratings of {MOVIES} movies", figures)


def write_ratings(path: Path, n: int) -> None:
    """Write ratings whose movies are drawn for each user by popularity, without repeats."""
    rng = np.random.default_rng(3)
    n_users = -(-n // USER_ROWS)
    popularity = 0.8 * np.log(np.arange(1, MOVIES + 1, dtype=np.float32))
    # Drawing without replacement: the users' smallest exponential variates divided by the weights.
    movies = [
        np.argpartition(np.log(rng.exponential(size=MOVIES)) + popularity, USER_ROWS)[:USER_ROWS]
        for _ in range(n_users)
    ]
    begin = 1_500_000_000 + rng.integers(0, 200_000_000, n_users)
    columns = {
        "user": np.repeat(np.arange(n_users), USER_ROWS)[:n],
        "movie": np.concatenate(movies)[:n] + 1,
        "rating": rng.integers(1, 11, n) / 2,
        "time": np.add.outer(begin, 60 * np.arange(USER_ROWS)).ravel()[:n],
    }
    csv.write_csv(pa.table(columns), path)


def measure(url: str, path: Path, postmaster: psutil.Process, n: int) -> Iterator[Figure]:
    for name, expected in (("empty table", Count(added=n)), ("again", Count(unchanged=n))):
        before, began = used(postmaster), time.perf_counter()
        report = ratings.load(url, path, ratings.RatingOptions(SOURCE), lambda _stage, _fraction: None)
        wall = time.perf_counter() - began
        time.sleep(REAPED_SECONDS)
        after = used(postmaster)
        assert report.ratings == expected, report.ratings
        own, database = (end - start for start, end in zip(before, after, strict=True))
        target = TARGET if name == "empty table" else None
        yield Figure(f"{name}/ratings a second of wall time", n / wall, "ratings/s", target)
        yield Figure(f"{name}/ratings a second of processor time", n / (own + database), "ratings/s")
        yield Figure(f"{name}/processor time of the load", own, "s")
        yield Figure(f"{name}/processor time of Postgres", database, "s")


def used(postmaster: psutil.Process) -> tuple[float, float]:
    """Processor seconds of this process and of Postgres with its ended processes."""
    times = postmaster.cpu_times()
    database = times.user + times.system + times.children_user + times.children_system
    for process in postmaster.children(recursive=True):
        try:
            each = process.cpu_times()
        except psutil.NoSuchProcess:  # it has ended since, and counts next time
            continue
        database += each.user + each.system
    return time.process_time(), database


if __name__ == "__main__":
    main()
