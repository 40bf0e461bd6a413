"""Kill a primary under load and promote its synchronous replica: seconds until the service writes again.

    python -m bench.faults.failover [--runs 5] [--page FILE]

Members rate movies over HTTP. The primary first stops sending its log to the replica, so that what it would
acknowledge alone would be lost. Exits with 1 if a rating that was acknowledged is lost.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psycopg
from psycopg import sql
from strawberry.relay import to_base64

from app.db import migrations
from bench.faults.fleet import MOVIES
from bench.faults.replica import Pair, count, replicated, wait
from bench.faults.run import RATINGS
from bench.faults.writers import Rater
from bench.figures import ROOT, commit_subject, hardware
from bench.live.parts import Parts
from bench.overload import NO_LIMITS
from bench.processes.start_service import PROGRAM, address_in

PAGE = ROOT / "docs" / "bench" / "failover.md"
RATERS, RATE = 2, 50.0  # members at a time, and ratings of each in a second at most
BEFORE = 30  # ratings before the failure
BROKEN_SECONDS = 0.5  # between the end of the replication and that of the primary
SECRET = "a secret of a benchmark, long enough"  # noqa: S105 - of a temporary service
LISTENING = sql.SQL("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")

Serve = Callable[[str], AbstractContextManager[str]]


@dataclass(frozen=True, slots=True)
class Result:
    """`seconds`: from the kill to the first rating that was acknowledged afterward, with the promotion."""

    seconds: float
    promotion_seconds: float
    acknowledged: int
    unanswered: int
    lost: int


def run(folder: Path, serve: Serve) -> Result:
    """Run one failover under load. `serve` runs a service on a URL and yields its address.

    Raises TimeoutError if the service does not write and listen again.
    """
    with replicated(folder, fill) as pair:
        pair.wait_for_each_commit()
        with serve(pair.url) as url, rating(url, pair) as raters:
            wait(lambda: acknowledged(raters) >= BEFORE)
            pair.break_stream()
            time.sleep(BROKEN_SECONDS)
            pair.kill_primary()
            before, killed_at = acknowledged(raters), time.monotonic()
            pair.promote()
            promoted_at = time.monotonic()
            wait(lambda: acknowledged(raters) > before)
            seconds = time.monotonic() - killed_at
            wait(lambda: acknowledged(raters) >= before + BEFORE)
            wait(lambda: count(pair.addresses[1], LISTENING))
        ratings = {key: stars for rater in raters for key, stars in rater.acknowledged.items()}
        with psycopg.connect(pair.addresses[1]) as connection:
            names = list({name for name, _ in ratings})
            found = connection.execute(RATINGS, (names,)).fetchall()
        stored = {(name, movie): half_stars for name, movie, half_stars in found}
    return Result(
        seconds=seconds,
        promotion_seconds=promoted_at - killed_at,
        acknowledged=len(ratings),
        unanswered=sum(rater.unanswered for rater in raters),
        lost=sum(stored.get(key) != half_stars for key, half_stars in ratings.items()),
    )


def fill(address: str) -> None:
    migrations.upgrade(address)
    with psycopg.connect(address) as connection:
        connection.execute(
            "INSERT INTO movies (title, year) SELECT 'Movie ' || n, 1990 FROM generate_series(1, %s) AS n",
            (MOVIES,),
        )


@contextmanager
def rating(url: str, pair: Pair) -> Iterator[list[Rater]]:
    """Rate in threads until the end of the block."""
    with psycopg.connect(pair.addresses[0]) as connection:
        movies = [row[0] for row in connection.execute("SELECT id FROM movies ORDER BY id")]
    named = [(movie, to_base64("Movie", movie)) for movie in movies]
    raters = [Rater(url, RATE, named) for _ in range(RATERS)]
    stopping = threading.Event()
    threads = [threading.Thread(target=rater.run, args=(stopping,)) for rater in raters]
    for thread in threads:
        thread.start()
    try:
        yield raters
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def acknowledged(raters: list[Rater]) -> int:
    return sum(len(rater.acknowledged) for rater in raters)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--page", type=Path, help=f"write a Markdown page, such as {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    results = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory(prefix="marquee-failover-") as name:
            Path(name).chmod(0o711)
            results.append(run(Path(name), lambda url, folder=Path(name): served(url, folder)))  # type: ignore[misc] # mypy cannot infer the default
        say(str(results[-1]))
    text = table(results)
    say(text)
    if options.page:
        options.page.write_text(page(text, options.runs), encoding="utf-8")
    return int(any(result.lost for result in results))


@contextmanager
def served(url: str, folder: Path) -> Iterator[str]:
    settings = {"DATABASE_URL": url, "SECRET_KEY": SECRET, "DATA_DIR": str(folder / "data"), "PORT": "0"}
    parts = Parts(folder, settings | NO_LIMITS)
    with ExitStack() as stack:
        stack.callback(parts.stop)
        part = parts.start("service", [*PROGRAM, "serve"])
        yield address_in(part.log, part.process)


def table(results: list[Result]) -> str:
    rows = [
        ("runs", f"{len(results)}"),
        ("s to the next acknowledged rating, median", f"{median(each.seconds for each in results):.2f}"),
        ("most", f"{max(each.seconds for each in results):.2f}"),
        ("of these the promotion, median", f"{median(each.promotion_seconds for each in results):.2f}"),
        ("ratings acknowledged", f"{sum(each.acknowledged for each in results):,}"),
        ("ratings without an answer, stored or not", f"{sum(each.unanswered for each in results):,}"),
        ("acknowledged ratings lost", f"{sum(each.lost for each in results):,}"),
    ]
    return "\n".join(["| | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in rows)])


def page(text: str, runs: int) -> str:
    return f"""\
# Failover of the database

Written by `python -m bench.faults.failover --runs {runs}` at the commit "{commit_subject()}",
{datetime.now(UTC):%Y-%m-%d}, on {hardware()}.

A service has the URL of a primary and of its synchronous replica. Members rate movies. The primary stops
sending its log, all its processes are killed {BROKEN_SECONDS:g} s later, and the replica is promoted at once:
a cluster manager adds the time in which it notices the failure. The ratings that were acknowledged are
compared with the rows of the replica.

{text}
"""


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - it is a command


if __name__ == "__main__":
    sys.exit(main())
