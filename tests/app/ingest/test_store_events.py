"""Batches of a stream's lines in Postgres: members, ratings, events, dead letters, counts and positions."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from app.accounts import list_ids
from app.db.engine import create_engine, sessionmaker
from app.ingest import event_files
from app.ingest.store_events import Store
from app.ingest.stream_movies import Connection
from app.recommendations.online_quality import OnlineQuality, online_quality
from app.serving.snapshot import built
from app.settings import Settings
from tests.app.ingest.stream import EVENTS, LETTERS, RATINGS, event, put, rate, rows, watch


def test_a_rating_makes_its_member_and_counts(store: Store, connection: Connection) -> None:
    assert put(store, rate(7, "alien+1979", 4), rate(7, "the+matrix+1999", 3.5)) == {"STORED": 2}
    assert rows(connection, RATINGS) == [("tv", "7", 1, 8, "00", False), ("tv", "7", 2, 7, "00", False)]
    [(user_id,)] = rows(connection, "SELECT id FROM users")
    assert rows(connection, "SELECT username, password_hash, source, role FROM users") == [
        (f"external:{user_id}", None, "tv", "USER")
    ]
    assert rows(connection, "SELECT movie_id, rating_count, half_stars_sum FROM movie_stats ORDER BY 1") == [
        (1, 1, 8), (2, 1, 7)
    ]  # fmt: skip


def test_the_later_rating_counts_in_any_order(store: Store, connection: Connection) -> None:
    counts = put(store, rate(7, "alien+1979", 2, 5), rate(7, "alien+1979", 4, 9), rate(7, "alien+1979", 1, 1))
    assert counts == {"STORED": 1, "REPEATED": 2}
    assert put(store, rate(7, "alien+1979", 5, 3), start=3) == {"REPEATED": 1}
    assert rows(connection, RATINGS) == [("tv", "7", 1, 8, "09", False)]
    assert put(store, rate(7, "alien+1979", 5, 10), start=4) == {"STORED": 1}
    assert rows(connection, RATINGS) == [("tv", "7", 1, 10, "10", False)]
    assert rows(connection, "SELECT rating_count, half_stars_sum FROM movie_stats") == [(1, 10)]


def test_a_member_is_a_pair_of_source_and_user(store: Store, connection: Connection) -> None:
    put(
        store,
        event("rating", value=4),
        event("rating", value=3, source="radio"),
        event("rating", value=2, user="U"),
    )
    assert [row[:4] for row in rows(connection, RATINGS)] == [
        ("radio", "u", 1, 6), ("tv", "U", 1, 4), ("tv", "u", 1, 8)
    ]  # fmt: skip
    assert rows(connection, "SELECT count(*) FROM users") == [(3,)]


def test_the_furthest_progress_is_kept_and_rates_the_movie(store: Store, connection: Connection) -> None:
    assert put(store, *(watch(7, "alien+1979", minute) for minute in (3, 1, 2))) == {
        "STORED": 1,
        "REPEATED": 2,
    }
    assert rows(connection, EVENTS) == [("7", 1, "WATCH", 0.03, None)]
    assert rows(connection, RATINGS) == []
    assert put(store, watch(7, "alien+1979", 50, 5), watch(7, "alien+1979", 2, 6), start=3) == {
        "STORED": 1, "REPEATED": 1
    }  # fmt: skip
    assert rows(connection, EVENTS) == [("7", 1, "WATCH", 0.5, None)]
    assert rows(connection, RATINGS) == [("tv", "7", 1, 7, "05", True)]
    put(store, watch(7, "alien+1979", 90, 7), start=5)
    assert rows(connection, RATINGS) == [("tv", "7", 1, 8, "07", True)]
    put(store, watch(7, "alien+1979", 130, 8), start=6)
    assert rows(connection, EVENTS) == [("7", 1, "WATCH", 1, None)]
    assert rows(connection, RATINGS) == [("tv", "7", 1, 8, "07", True)]
    assert rows(connection, "SELECT events FROM event_counts") == [(1,)]


def test_an_own_rating_outweighs_an_implicit_one(store: Store, connection: Connection) -> None:
    put(store, watch(7, "alien+1979", 95, 9), rate(7, "alien+1979", 1, 5))
    assert rows(connection, RATINGS) == [("tv", "7", 1, 2, "05", False)]
    put(store, watch(8, "alien+1979", 95, 9), start=2)
    put(store, rate(8, "alien+1979", 1, 5), watch(8, "alien+1979", 99, 20), start=3)
    put(store, watch(8, "alien+1979", 100, 30), start=5)
    assert rows(connection, RATINGS)[1] == ("tv", "8", 1, 2, "05", False)
    assert rows(connection, "SELECT rating_count, half_stars_sum FROM movie_stats") == [(2, 4)]


def test_a_movie_without_runtime_has_no_fraction(store: Store, connection: Connection) -> None:
    put(store, watch(7, "heat+1995", 95))
    assert rows(connection, EVENTS) == [("7", 3, "WATCH", None, None)]
    assert rows(connection, RATINGS) == []


def test_thresholds_are_settings(connection: Connection, settings: Settings) -> None:
    changed = settings.model_copy(
        update={"watch_finished_fraction": 0.7, "watch_finished_stars": 5.0, "watch_most_fraction": 0.2}
    )
    put(Store(connection, changed), watch(7, "alien+1979", 20), watch(8, "alien+1979", 70))
    assert [row[3] for row in rows(connection, RATINGS)] == [7, 10]


def test_events_are_stored_once(store: Store, connection: Connection) -> None:
    lines = [
        event("click", position=3),
        event("click", position=3),
        event("like", id="a"),
        event("dislike", id="a", time="2025-02-15T02:00:00Z"),
        event("watch", id="w1", fraction=0.2),
        event("watch", id="w2", fraction=0.2),
        event("like", id="a", user="other"),
    ]
    assert put(store, *lines) == {"STORED": 5, "REPEATED": 2}
    assert put(store, *lines, start=7) == {"REPEATED": 7}
    assert rows(connection, EVENTS) == [
        ("u", 1, "CLICK", None, 3), ("u", 1, "LIKE", None, None), ("u", 1, "WATCH", 0.2, None),
        ("u", 1, "WATCH", 0.2, None), ("other", 1, "LIKE", None, None),
    ]  # fmt: skip


def test_recommendations_are_impressions_or_a_dead_letter(store: Store, connection: Connection) -> None:
    shown = "2025-02-15T01:49:00,7,recommendation request h, status {}, result: alien+1979, {}+1995, 3 ms"
    counts = put(store, shown.format(200, "heat"), shown.format(200, "cold"), shown.format(503, "heat"))
    assert counts == {"STORED": 2, "UNKNOWN_MOVIE": 1, "WITHOUT_EVENT": 1}
    assert rows(connection, EVENTS) == [("7", 1, "IMPRESSION", None, 0), ("7", 3, "IMPRESSION", None, 1)]


def test_a_batch_that_is_stored_twice_changes_nothing(store: Store, connection: Connection) -> None:
    lines = [rate(7, "alien+1979", 3), watch(7, "heat+1995", 9), "bad", event("click")]
    put(store, *lines)
    before = [rows(connection, query) for query in (RATINGS, EVENTS, LETTERS)]
    assert put(store, *lines) == {}
    assert put(store, *lines[2:], rate(8, "alien+1979", 3), start=2) == {"STORED": 1}
    assert [rows(connection, query) for query in (EVENTS, LETTERS)] == before[1:]
    assert rows(connection, "SELECT partition, next_position FROM stream_positions") == [(0, 5)]
    assert rows(connection, "SELECT outcome, events FROM stream_counts ORDER BY 1") == [
        ("MALFORMED", 1), ("STORED", 4)
    ]  # fmt: skip


WRITTEN = (
    "users", "external_members", "ratings", "feedback", "event_counts", "movie_stats", "dead_letters",
    "stream_counts", "stream_positions",
)  # fmt: skip
FAULT = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'interrupted'; END $$;
CREATE TRIGGER fault BEFORE INSERT OR UPDATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION fail()
"""


@pytest.mark.parametrize("table", WRITTEN)
def test_a_batch_that_is_interrupted_anywhere_leaves_nothing(
    store: Store, connection: Connection, table: str
) -> None:
    lines = [rate(7, "alien+1979", 3), watch(7, "heat+1995", 9), "bad"]
    put(store, *lines)
    before = {name: rows(connection, f"SELECT * FROM {name} ORDER BY 1, 2") for name in WRITTEN}  # noqa: S608
    connection.execute(FAULT.format(table).encode())
    more = [rate(8, "heat+1995", 3), watch(9, "alien+1979", 9), "bad", event("like")]
    with pytest.raises(psycopg.errors.RaiseException):
        put(store, *more, start=3)
    after = {name: rows(connection, f"SELECT * FROM {name} ORDER BY 1, 2") for name in WRITTEN}  # noqa: S608
    assert after == before
    connection.execute(f"DROP TRIGGER fault ON {table}".encode())
    assert put(store, *more, start=3) == {"STORED": 3, "MALFORMED": 1}


def test_movies_that_come_and_go(store: Store, connection: Connection) -> None:
    put(store, rate(7, "alien+1979", 3))
    connection.execute("DELETE FROM movies WHERE id = 1")
    assert put(store, rate(8, "alien+1979", 3), start=1) == {"UNKNOWN_MOVIE": 1}
    connection.execute("INSERT INTO movies (id, title, year) VALUES (1, 'Alien', 1979)")
    store.movies.loaded_at = 0
    assert put(store, rate(8, "alien+1979", 3), start=2) == {"STORED": 1}


def test_a_deleted_member_comes_back_as_a_new_one(store: Store, connection: Connection) -> None:
    put(store, rate(7, "alien+1979", 3))
    connection.execute("DELETE FROM users")
    assert rows(connection, "SELECT count(*) FROM external_members") == [(0,)]
    put(store, rate(7, "alien+1979", 3), start=1)
    assert len(rows(connection, RATINGS)) == 1


def test_stores_in_parallel_do_not_conflict(
    database_url: str, connection: Connection, settings: Settings
) -> None:
    """Four partitions with the same members, movies and events."""
    lines = [rate(user, movie, 1 + (user + second) % 5, second) for second in range(20)
             for user in range(30) for movie in ("alien+1979", "heat+1995")]  # fmt: skip
    lines += [event("click", user=user) for user in range(30)]

    def run(partition: int) -> None:
        with psycopg.connect(database_url, autocommit=True) as own:
            store = Store(own, settings)
            mine = lines if partition % 2 else lines[::-1]
            for start in range(0, len(mine), 100):
                put(store, *mine[start : start + 100], start=start, partition=partition)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert rows(connection, "SELECT count(*) FROM users") == [(30,)]
    assert len(rows(connection, RATINGS)) == 60
    assert {row[4] for row in rows(connection, RATINGS)} == {"19"}
    assert rows(connection, "SELECT count(*) FROM feedback") == [(30,)]
    assert rows(connection, "SELECT sum(events) FROM stream_counts") == [(4 * len(lines),)]
    true = "SELECT movie_id, count(*), sum(half_stars) FROM ratings GROUP BY 1 ORDER BY 1"
    assert rows(connection, true) == rows(
        connection, "SELECT movie_id, rating_count, half_stars_sum FROM movie_stats ORDER BY 1"
    )


def test_members_hear_of_their_new_ratings_and_progress(
    database_url: str, store: Store, connection: Connection
) -> None:
    def heard() -> list[str]:
        ids = {
            str(user_id): name
            for name, user_id in rows(connection, "SELECT external_id, user_id FROM external_members")
        }
        return sorted(ids[notice.payload] for notice in listener.notifies(timeout=0.5))

    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN marquee_taste")
        put(store, rate(7, "alien+1979", 3), rate(7, "heat+1995", 3), watch(8, "alien+1979", 3))
        assert heard() == ["7", "8"]
        put(store, rate(7, "alien+1979", 3), watch(8, "alien+1979", 2), start=3)
        assert heard() == []
        put(store, rate(7, "alien+1979", 2, 5), watch(8, "alien+1979", 4), start=5)
        assert heard() == ["7", "8"]


def silent(_stage: str, _fraction: float) -> None:
    pass


def test_a_file_is_continued(store: Store, connection: Connection, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("".join(f"{rate(user, 'alien+1979', 3)}\n" for user in range(5)))
    assert event_files.ingest(path, "tv", store, silent) == {"STORED": 5}
    assert event_files.ingest(path, "tv", store, silent) == {}
    with path.open("a") as file:
        file.write("x" * 100_000 + "\n" + rate(9, "alien+1979", 3))
    assert event_files.ingest(path, "tv", store, silent) == {"STORED": 1, "MALFORMED": 1}
    assert rows(connection, "SELECT char_length(raw_line), is_whole FROM dead_letters") == [(16_384, False)]
    path.write_text(rate(77, "alien+1979", 3) + "\n" + path.read_text())
    assert event_files.ingest(path, "tv", store, silent) == {"STORED": 1, "REPEATED": 6, "MALFORMED": 1}


def test_an_event_keeps_the_id_of_a_list_of_its_member_only(
    store: Store, connection: Connection, settings: Settings
) -> None:
    put(store, event("click", user="u"), event("click", user="other"))
    ids: dict[str, int] = dict(
        connection.execute("SELECT external_id, user_id FROM external_members").fetchall()
    )
    own, visitors, others = (list_ids.issue(settings, owner) for owner in (ids["u"], None, ids["other"]))
    foreign = [others, UUID(int=7), uuid4()]
    lines = [
        event("impression", id=str(number), requestId=str(of))
        for number, of in enumerate([own, visitors, *foreign])
    ]
    assert put(store, *lines, start=2) == {"STORED": len(lines)}
    stored = rows(connection, "SELECT request_id FROM feedback WHERE kind = 'IMPRESSION' ORDER BY id")
    assert stored == [(own,), (visitors,), *[(None,)] * len(foreign)]


def test_click_rates_of_lists_count_events_of_a_stream(
    store: Store, database_url: str, settings: Settings
) -> None:
    clicked, seen = (str(list_ids.issue(settings, None)) for _ in range(2))
    put(
        store,
        *(event("impression", user="u", requestId=of, id=of) for of in (clicked, seen)),
        event("click", user="u", requestId=clicked),
        event("click", user="other", requestId=str(uuid4())),
    )

    async def quality() -> OnlineQuality:
        engine = create_engine(database_url, settings)
        try:
            snapshot = built(0, datetime.now(UTC), {}, {}, [])
            return await online_quality(sessionmaker(engine), snapshot, timedelta(hours=1))
        finally:
            await engine.dispose()

    found = asyncio.run(quality())
    assert (found.lists, found.click_rate) == (2, 0.5)
