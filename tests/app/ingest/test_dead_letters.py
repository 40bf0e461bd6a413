"""Refused events are dead letters: stored, replayed and expired."""

import asyncio

from app.accounts import personal_data
from app.db.engine import create_engine, sessionmaker
from app.ingest.clean_events import Batch, Line
from app.ingest.store_events import Store
from app.ingest.stream_movies import Connection
from app.settings import Settings
from tests.app.ingest.stream import LETTERS, STREAM, put, rate, rows

BAD = [
    "not an event",
    rate(7, "twins+2010", 3),
    rate(7, "unheard+of+1990", 3),
    rate(7, "alien+1979", 7),
    f"2999{rate(7, 'alien+1979', 3)[4:]}",
    "x\0\ud800",
]


def test_refused_lines_are_dead_letters(store: Store, connection: Connection) -> None:
    placed = [
        Line(0, n, line.encode(errors="surrogatepass"))
        for n, line in enumerate([*BAD, rate(7, "alien+1979", 3)])
    ]
    counts = store.store(STREAM, Batch(placed, {0: 7}))
    assert counts == {"MALFORMED": 2, "UNKNOWN_MOVIE": 2, "VALUE": 1, "FUTURE": 1, "STORED": 1, "REPEATED": 0}
    found = rows(connection, LETTERS)
    assert [row[1] for row in found] == [
        "MALFORMED", "UNKNOWN_MOVIE", "UNKNOWN_MOVIE", "VALUE", "FUTURE", "MALFORMED"
    ]  # fmt: skip
    assert [row[2] for row in found[:-1]] == BAD[:-1]
    assert [row[3] for row in found] == [True] * 5 + [False]
    assert [row[4] for row in found] == [None, "7", "7", "7", "7", None]
    assert rows(connection, "SELECT outcome, events FROM stream_counts ORDER BY 1") == [
        ("FUTURE", 1), ("MALFORMED", 2), ("STORED", 1), ("UNKNOWN_MOVIE", 2), ("VALUE", 1)
    ]  # fmt: skip


def test_a_replay_stores_what_is_valid_now(store: Store, connection: Connection) -> None:
    put(store, *BAD[:-1])
    connection.execute("INSERT INTO movies (title, year) VALUES ('Unheard Of', 1990)")
    store.movies.loaded_at = 0
    before = rows(connection, "SELECT position, received_at FROM dead_letters ORDER BY 1")
    counts, last = store.replay(3, 2**62)
    assert counts == {"STORED": 1, "VALUE": 1, "FUTURE": 1}
    assert last is not None
    assert store.replay(10, last)[0] == {"UNKNOWN_MOVIE": 1, "MALFORMED": 1}
    assert store.replay(10, 0) == ({}, None)
    after = rows(connection, "SELECT position, received_at FROM dead_letters ORDER BY 1")
    assert after == [row for row in before if row[0] != 2]
    assert rows(connection, "SELECT events FROM stream_counts WHERE outcome = 'STORED'") == [(1,)]
    assert rows(connection, "SELECT next_position FROM stream_positions") == [(5,)]


def test_old_dead_letters_expire(store: Store, connection: Connection) -> None:
    put(store, "old")
    connection.execute("UPDATE dead_letters SET received_at = now() - interval '31 days'")
    put(store, "new", start=1)
    assert [row[2] for row in rows(connection, LETTERS)] == ["new"]


def test_the_oldest_dead_letters_make_room(connection: Connection, settings: Settings) -> None:
    store = Store(connection, settings.model_copy(update={"max_dead_letters": 3}))
    put(store, *map(str, range(5)))
    put(store, "5", "6", start=5)
    assert [row[2] for row in rows(connection, LETTERS)] == ["4", "5", "6"]


def test_a_deleted_member_takes_their_dead_letters_along(
    store: Store, connection: Connection, database_url: str, settings: Settings
) -> None:
    put(store, rate(7, "alien+1979", 9), rate(8, "alien+1979", 9))  # before their first event
    put(store, rate(7, "alien+1979", 3), rate(7, "alien+1979", 9), start=2)

    async def delete(user_id: int) -> None:
        engine = create_engine(database_url, settings)
        await personal_data.delete_member(sessionmaker(engine), user_id)
        await engine.dispose()

    [(user_id,)] = rows(connection, "SELECT user_id FROM external_members")
    asyncio.run(delete(user_id))
    assert [row[4] for row in rows(connection, LETTERS)] == ["8"]
