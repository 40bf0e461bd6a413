"""The bulk load leaves the table as the migrations made it, and `movie_stats` exact."""

import threading

import numpy as np
import psycopg
import pytest

from app.db.engine import lock
from app.training.train import TRAINING_LOCK
from seeds.files.report import Count, quiet
from seeds.store.bulk_copy import store_ratings
from seeds.store.dataset import _LOAD_LOCK, transaction
from tests.seeds.conftest import query

DEFINITIONS = """
SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
    WHERE conrelid = 'ratings'::regclass
UNION ALL SELECT indexname, indexdef, true FROM pg_indexes WHERE tablename = 'ratings'
UNION ALL SELECT tgname, pg_get_triggerdef(oid), tgenabled = 'O' FROM pg_trigger
    WHERE tgrelid = 'ratings'::regclass AND NOT tgisinternal
ORDER BY 1, 2
"""
STATS = "SELECT movie_id, rating_count, half_stars_sum FROM movie_stats WHERE rating_count > 0 ORDER BY 1"
COUNTED = "SELECT movie_id, count(*), sum(half_stars)::bigint FROM ratings GROUP BY movie_id ORDER BY 1"
MEMBERS, MOVIES = 40, 30


@pytest.fixture
def filled(database_url: str) -> str:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO users (id, username) SELECT n, 'u' || n FROM generate_series(1, 40) n"
        )
        connection.execute("INSERT INTO movies (id, title) SELECT n, 'm' || n FROM generate_series(1, 30) n")
    return database_url


def store(database_url: str, pairs: np.ndarray, half_stars: int, time: int) -> Count:
    n = len(pairs)
    with transaction(database_url) as connection:
        return store_ratings(
            connection,
            user_ids=1 + pairs // MOVIES,
            movie_ids=1 + pairs % MOVIES,
            half_stars=np.full(n, half_stars, dtype=np.int16),
            timestamps=np.full(n, time, dtype=np.int64),
            progress=quiet,
        )


def test_keys_indexes_and_triggers_are_as_before(filled: str) -> None:
    before = query(filled, DEFINITIONS)
    pairs = np.arange(0, MEMBERS * MOVIES, 2)
    assert store(filled, pairs, 7, 1_000_000_000) == Count(added=len(pairs))
    assert query(filled, DEFINITIONS) == before
    assert query(filled, STATS) == query(filled, COUNTED)
    assert query(filled, "SELECT DISTINCT half_stars, extract(epoch FROM rated_at)::int FROM ratings") == [
        (7, 1_000_000_000)
    ]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        query(filled, "INSERT INTO ratings (user_id, movie_id, half_stars) VALUES (99, 1, 1) RETURNING 1")


def test_merging_keeps_the_later_rating_and_exact_counts(filled: str) -> None:
    pairs = np.arange(100)
    store(filled, pairs, 4, 2_000)
    assert store(filled, pairs + 50, 8, 1_000) == Count(added=50, unchanged=50)
    assert store(filled, pairs, 10, 3_000) == Count(updated=100)
    assert store(filled, pairs, 10, 3_000) == Count(unchanged=100)
    assert store(filled, pairs[:10], 6, 4_000) == Count(updated=10)
    given = (
        "SELECT extract(epoch FROM rated_at)::int, extract(epoch FROM first_rated_at)::int, count(*) "
        "FROM ratings GROUP BY 1, 2 ORDER BY 1"
    )
    assert query(filled, given) == [(1_000, None, 50), (3_000, 2_000, 90), (4_000, 2_000, 10)]
    assert query(filled, STATS) == query(filled, COUNTED)
    query(filled, "UPDATE ratings SET half_stars = 1 WHERE user_id = 1 RETURNING 1")
    query(filled, "DELETE FROM ratings WHERE user_id = 2 RETURNING 1")
    assert query(filled, STATS) == query(filled, COUNTED), "the trigger is on again"


def test_a_rating_inferred_from_watching_is_replaced_once(filled: str) -> None:
    store(filled, np.arange(2), 4, 3_000)
    query(filled, "UPDATE ratings SET implicit = true WHERE movie_id = 1 RETURNING 1")
    assert store(filled, np.arange(2), 9, 2_000) == Count(updated=1, unchanged=1)
    assert store(filled, np.arange(2), 9, 2_000) == Count(unchanged=2)
    assert query(filled, "SELECT half_stars, implicit FROM ratings ORDER BY movie_id") == [
        (9, False),
        (4, False),
    ]
    assert query(filled, STATS) == query(filled, COUNTED)


def test_a_row_that_breaks_a_key_takes_the_whole_load_back(filled: str) -> None:
    before = query(filled, DEFINITIONS)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        store(filled, np.array([1, 2, MEMBERS * MOVIES + 1]), 4, 1_000)
    with pytest.raises(psycopg.errors.UniqueViolation):
        store(filled, np.array([1, 1]), 4, 1_000)
    assert query(filled, "SELECT count(*) FROM ratings") == [(0,)]
    assert query(filled, DEFINITIONS) == before


@pytest.mark.parametrize("already", [0, 100])
def test_ratings_given_meanwhile_are_counted(filled: str, already: int) -> None:
    """Members go on rating while a data set is merged into what they rate."""
    if already:
        store(filled, np.arange(already), 4, 1_000)
    stop = threading.Event()

    def rate() -> None:
        with psycopg.connect(filled, autocommit=True) as connection:
            for n in range(300):
                connection.execute(
                    "INSERT INTO ratings (user_id, movie_id, half_stars) VALUES (%s, %s, 9) "
                    "ON CONFLICT (user_id, movie_id) DO UPDATE SET half_stars = excluded.half_stars",
                    (40 - n % 5, 1 + n % 30),
                )
                if stop.is_set():
                    break

    member = threading.Thread(target=rate)
    member.start()
    try:
        for part in range(5):
            store(filled, np.arange(200 * part, 200 * part + 150), 6, 1_000)
    finally:
        stop.set()
        member.join()
    assert query(filled, STATS) == query(filled, COUNTED)


IN_TRANSACTION = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND (backend_xmin IS NOT NULL OR xact_start IS NOT NULL)
"""
STANDING = "SELECT ctid::text, xmin::text, xmax::text, * FROM ratings ORDER BY user_id, movie_id"


def versions(database_url: str) -> list[tuple[object, ...]]:
    """Each rating with the version of its row: another one after any write, and a mark after any lock."""
    return query(database_url, STANDING)


def test_a_second_load_writes_and_locks_nothing(filled: str) -> None:
    pairs = np.arange(0, MEMBERS * MOVIES, 2)
    store(filled, pairs, 7, 1_000)
    before = versions(filled), query(filled, "SELECT xmin::text, * FROM movie_stats ORDER BY movie_id")
    assert store(filled, pairs, 7, 1_000) == Count(unchanged=len(pairs))
    assert store(filled, pairs, 9, 500) == Count(unchanged=len(pairs)), "what is known later stands"
    after = versions(filled), query(filled, "SELECT xmin::text, * FROM movie_stats ORDER BY movie_id")
    assert after == before


def test_only_what_differs_is_written(filled: str) -> None:
    pairs = np.arange(100)
    store(filled, pairs, 7, 1_000)
    before = {row[3:5]: row for row in versions(filled)}
    times = np.where(pairs % 10 == 0, 2_000, 1_000)
    with transaction(filled) as connection:
        count = store_ratings(
            connection,
            user_ids=1 + pairs // MOVIES,
            movie_ids=1 + pairs % MOVIES,
            half_stars=np.full(100, 3, dtype=np.int16),
            timestamps=times,
            progress=quiet,
        )
    assert count == Count(updated=10, unchanged=90)
    changed = {row[3:5] for row in versions(filled) if row != before[row[3:5]]}
    assert changed == {(1 + pair // MOVIES, 1 + pair % MOVIES) for pair in range(0, 100, 10)}
    assert query(filled, STATS) == query(filled, COUNTED)


def test_a_member_rates_while_a_load_that_changes_nothing_for_them_is_open(filled: str) -> None:
    pairs = np.arange(300)
    store(filled, pairs, 7, 1_000)
    with transaction(filled) as connection:
        store_ratings(
            connection,
            user_ids=1 + pairs // MOVIES,
            movie_ids=1 + pairs % MOVIES,
            half_stars=np.full(300, 7, dtype=np.int16),
            timestamps=np.full(300, 1_000, dtype=np.int64),
            progress=quiet,
        )
        with psycopg.connect(filled, options="-c lock_timeout=2s") as member:
            member.execute("UPDATE ratings SET half_stars = 1 WHERE (user_id, movie_id) = (1, 1)")
    assert query(filled, "SELECT half_stars FROM ratings WHERE user_id = 1 AND movie_id = 1") == [(1,)]
    assert query(filled, STATS) == query(filled, COUNTED)


def test_a_second_load_says_that_it_waits_and_holds_no_snapshot(filled: str) -> None:
    stages: list[str] = []
    waiting, done = threading.Event(), threading.Event()

    def say(stage: str, _fraction: float) -> None:
        stages.append(stage)
        waiting.set()

    def second() -> None:
        with transaction(filled, say):
            done.set()

    other = threading.Thread(target=second)
    with transaction(filled):
        other.start()
        assert waiting.wait(30)
        with psycopg.connect(filled, autocommit=True) as watcher:
            # The load that is open has a transaction; of the one that waits there is none at any look but one
            # in passing.
            looks = [watcher.execute(IN_TRANSACTION).fetchone() for _ in range(20)]
        assert (1,) in looks
        assert not done.is_set()
    other.join(30)
    assert done.is_set()
    assert stages == ["waiting for another load to end"]


def test_a_load_does_not_wait_for_a_training(filled: str) -> None:
    with psycopg.connect(filled, autocommit=True) as training, psycopg.connect(filled) as load:
        lock(training, TRAINING_LOCK, pytest.fail)
        taken = load.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOAD_LOCK,)).fetchone()
    assert taken == (True,)


def test_the_trend_of_a_filled_table_is_that_of_the_triggers(filled: str) -> None:
    rng = np.random.default_rng(5)
    pairs = np.arange(MEMBERS * MOVIES)
    with transaction(filled) as connection:
        store_ratings(
            connection,
            user_ids=1 + pairs // MOVIES,
            movie_ids=1 + pairs % MOVIES,
            half_stars=rng.integers(1, 11, len(pairs)).astype(np.int16),
            timestamps=rng.integers(0, 2_000_000_000, len(pairs)),
            progress=quiet,
        )
    assert query(filled, STATS) == query(filled, COUNTED)
    trends = query(
        filled,
        "SELECT trend, (SELECT sum(trend_weight(rated_at)) FROM ratings "
        "WHERE ratings.movie_id = stats.movie_id) FROM movie_stats AS stats",
    )
    assert len(trends) == MOVIES
    for stored, counted in trends:
        assert stored == pytest.approx(counted, rel=1e-9)
