"""One run: random kills while ratings and events are written, and what the database has at the end."""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.faults.fleet import MOVIES, TARGETS, TRAINER, Fleet, running_fleet
from bench.faults.writers import BAD_EVERY, Key, Writers, writing

RATERS = 2
TRAINER_SECONDS = 20.0  # in which a trainer must be found; otherwise another process is killed
GAP_SECONDS = 3.0  # the longest pause before a kill
RECOVERED = 0.5  # of the kills, after a new rating was acknowledged; others may hit a system that starts
RECOVER_SECONDS = 60.0
END_SECONDS = 600.0  # in which the rest must be stored
POLL_SECONDS = 0.2

RATINGS = """
SELECT username, movie_id, half_stars FROM ratings JOIN users ON users.id = user_id
WHERE username = ANY(%s)
"""
READ = "SELECT coalesce(sum(next_position), 0)::bigint FROM stream_positions"
COUNTS = """
SELECT coalesce(sum(events) FILTER (WHERE outcome <> 'REPEATED'), 0)::bigint,
    coalesce(sum(events) FILTER (WHERE outcome = 'REPEATED'), 0)::bigint
FROM stream_counts
"""
# The numbers of events, from the rows that they became.
STORED = """
SELECT idempotency_key::bigint FROM feedback
UNION ALL SELECT raw_line::bigint FROM dead_letters
UNION ALL
SELECT 2 * (%s * split_part(external_id, '-', 2)::bigint + split_part(title, ' ', 2)::bigint) + 1
FROM ratings JOIN external_members USING (user_id) JOIN movies ON movies.id = movie_id
"""
COUNTED = "SELECT coalesce(sum(events), 0)::bigint - (SELECT count(*) FROM feedback) FROM event_counts"
# A statistic that a trigger has written twice, or not, differs from the rows.
WRONG_STATISTICS = """
SELECT count(*) FROM (
    SELECT movie_id, count(*) AS n, sum(half_stars) AS total FROM ratings GROUP BY movie_id
) AS rows FULL JOIN movie_stats USING (movie_id)
WHERE (coalesce(n, 0), coalesce(total, 0)) <> (coalesce(rating_count, 0), coalesce(half_stars_sum, 0))
"""
TRAINED = "SELECT count(*) FROM model_versions WHERE status = 'ACTIVE' AND trained_at > %s"


@dataclass(frozen=True, slots=True)
class Result:
    """`ratings` and `events` were acknowledged; `dead` of the events were malformed.

    `unanswered` ratings and `failed` events may be stored or not. `doubled` events have two rows or are
    counted twice. `wrong` movies have statistics that differ from their ratings.
    """

    seed: int
    seconds: float
    kills: Mapping[str, int]
    ends: Mapping[str, int]
    ratings: int
    unanswered: int
    events: int
    dead: int
    failed: int
    lost_ratings: int
    lost_events: int
    doubled_events: int
    wrong: int
    trained: bool

    @property
    def holds(self) -> bool:
        return self.trained and not (
            self.lost_ratings or self.lost_events or self.doubled_events or self.wrong
        )


def run(
    folder: Path,
    kills: int,
    seed: int,
    *,
    ratings: float = 20.0,
    events: float = 50.0,
    gap: float = GAP_SECONDS,
    minutes: float = math.inf,
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Kill processes at random moments, then wait until everything is stored, and compare.

    `ratings`, `events`: a second, at most. Kills stop after `minutes`. Raises BrokerError, or
    TimeoutError if the rest is not stored.
    """
    rng = random.Random(seed)  # noqa: S311 - the same kills in each run
    began = time.monotonic()
    with running_fleet(folder) as fleet:
        with writing(fleet, RATERS, ratings, events) as writers:
            wait(fleet, lambda: bool(writers.acknowledged()) and read(fleet) > 0)
            for number, target in enumerate(drawn(rng, kills), 1):
                if time.monotonic() > began + 60 * minutes:
                    break
                if rng.random() < RECOVERED:
                    recover(fleet, writers)
                fleet.tend(rng.uniform(0, gap))
                killed = strike(fleet, target, rng)
                say(f"{number} of {kills}: {killed}; {len(writers.acknowledged()):,} ratings, "
                    f"{len(writers.sender.acknowledged):,} events")  # fmt: skip
            fleet.tend(gap)
            if fleet.starting is not None:
                fleet.starting.result()
        wait(fleet, lambda: read(fleet) >= len(writers.sender.acknowledged))
        with psycopg.connect(fleet.database_url) as connection:
            (now,) = connection.execute("SELECT now()").fetchone() or (None,)
        fleet.queue_training()
        wait(fleet, lambda: count(fleet, TRAINED, now) > 0, fleet.queue_training)
        return compared(fleet, writers, seed, time.monotonic() - began)


def drawn(rng: random.Random, kills: int) -> Iterator[str]:
    """Targets in random order; each of them once in five kills."""
    for number in range(kills):
        if number % len(TARGETS) == 0:
            block = rng.sample(TARGETS, len(TARGETS))
        yield block[number % len(TARGETS)]


def recover(fleet: Fleet, writers: Writers) -> None:
    """Wait until another rating is acknowledged, for a limited time."""
    before, deadline = len(writers.acknowledged()), time.monotonic() + RECOVER_SECONDS
    while len(writers.acknowledged()) == before and time.monotonic() < deadline:
        fleet.tend(POLL_SECONDS)


def strike(fleet: Fleet, target: str, rng: random.Random) -> str:
    """Kill the target, or another process if it does not run for long. Returns what was killed."""
    deadline = time.monotonic() + TRAINER_SECONDS
    while True:
        if target == TRAINER:
            fleet.queue_training()
        if fleet.kill(target):
            return target
        if time.monotonic() > deadline:
            target = rng.choice([name for name in TARGETS if name != TRAINER])
        fleet.tend(rng.uniform(0, POLL_SECONDS))


def wait(fleet: Fleet, is_done: Callable[[], bool], again: Callable[[], None] = lambda: None) -> None:
    """Wait, and call `again` meanwhile. Raises TimeoutError."""
    deadline = time.monotonic() + END_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text()[-2000:] for path in sorted(fleet.folder.glob("*.log")))
            raise TimeoutError(f"the rest was not stored:\n{logs}")
        fleet.tend(POLL_SECONDS)
        again()


def read(fleet: Fleet) -> int:
    """The number of events that the ingester has finished; 0 while Postgres does not answer."""
    return count(fleet, READ)


def count(fleet: Fleet, query: str, *parameters: object) -> int:
    try:
        with psycopg.connect(fleet.database_url, connect_timeout=5) as connection:
            row = connection.execute(query.encode(), parameters or None).fetchone()
    except psycopg.OperationalError:
        return 0
    return 0 if row is None else int(row[0])


def compared(fleet: Fleet, writers: Writers, seed: int, seconds: float) -> Result:
    """Compare the database with what was acknowledged."""
    acknowledged = writers.acknowledged()
    names = list({name for name, _ in acknowledged})
    with psycopg.connect(fleet.database_url) as connection:
        found = connection.execute(RATINGS, (names,)).fetchall()
        stored: dict[Key, int] = {(name, movie): half_stars for name, movie, half_stars in found}
        numbers = [row[0] for row in connection.execute(STORED, (MOVIES,))]
        ((counted, repeated),) = connection.execute(COUNTS).fetchall()
        ((difference,),) = connection.execute(COUNTED).fetchall()
        ((wrong,),) = connection.execute(WRONG_STATISTICS).fetchall()
    sent = writers.sender.acknowledged
    # Rows, the ingester's counts and the counters of triggers must agree.
    doubled = len(numbers) - len({*numbers}) + repeated + abs(counted - len(numbers)) + abs(difference)
    return Result(
        seed=seed,
        seconds=seconds,
        kills=dict(fleet.kills),
        ends=dict(fleet.ends),
        ratings=len(acknowledged),
        unanswered=sum(rater.unanswered for rater in writers.raters),
        events=len(sent),
        dead=sum(number % BAD_EVERY == 0 for number in sent),
        failed=writers.sender.failed,
        lost_ratings=sum(stored.get(key) != half_stars for key, half_stars in acknowledged.items()),
        lost_events=len(sent - {*numbers}),
        doubled_events=doubled,
        wrong=wrong,
        trained=count(fleet, "SELECT count(*) FROM model_versions WHERE status = 'ACTIVE'") == 1,
    )
