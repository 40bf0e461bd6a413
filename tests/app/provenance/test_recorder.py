"""The recorder: a bounded queue, retries, retention, and members who are deleted."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from app.accounts import authentication, personal_data
from app.activity import ratings
from app.db import partitions
from app.db.engine import create_engine, sessionmaker
from app.provenance import inputs, recorder, rows, states
from app.provenance.inputs import Input
from app.provenance.recorder import Recorder
from app.provenance.replay import Replayer, recorded
from app.serving import live
from app.serving.model import Model
from app.serving.online_updates import Arrivals
from app.serving.rating_updates import RatingUpdates
from app.settings import Settings
from schema import schema
from schema.execution.actor import Credentials
from schema.execution.context import Context

pytestmark = pytest.mark.anyio

LIST = "query { recommendations(first: 5) { requestId edges { node { id } } } }"
GROUP = 'query { groupRecommendations(usernames: ["ada", "bob"], first: 5) { requestId } }'
UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nowhere"
COUNT = "SELECT count(*) FROM served_lists"


@pytest.fixture
async def context(seeded_database_url: str, model_dir: Path) -> AsyncIterator[Context]:
    """The context of a member, ada, who may make lists with another, bob. Both have ratings."""
    settings = Settings.model_validate(
        {"database_url": seeded_database_url, "secret_key": "a secret of the tests, long enough"}
    )
    engine = create_engine(seeded_database_url, settings)
    sessions = sessionmaker(engine)
    served = await live.load(sessions, model_dir)
    for name in ("bob", "ada"):
        tokens = await authentication.sign_up(sessions, settings, name, "a long walk home")
        for movie_id in served.snapshot.movie_ids[:8].tolist():
            await ratings.rate(sessions, tokens.viewer.id, movie_id, 4.5)
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("UPDATE users SET discoverable = true")
    recorder = Recorder(30)
    yield Context(settings, sessions, served, Credentials(tokens.access_token), recorder=recorder)
    if recorder.connection is not None:
        recorder.connection.close()
    await engine.dispose()


async def serve(context: Context, query: str = LIST) -> UUID:
    """Serve a list and return its id."""
    result = await schema.execute(query, context_value=context)
    assert result.errors is None
    (connection,) = (result.data or {}).values()
    return UUID(connection["requestId"])


def count(connection: psycopg.Connection, query: str = COUNT) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


async def test_equal_inputs_are_stored_once(context: Context, seeded_database_url: str) -> None:
    for _ in range(3):
        await serve(context)
    context.recorder.write(seeded_database_url)
    await serve(context)
    context.recorder.write(seeded_database_url)
    with psycopg.connect(seeded_database_url) as connection:
        assert count(connection) == 4
        assert count(connection, "SELECT count(*) FROM served_inputs") == 2  # a history and a mask
        assert count(connection, "SELECT count(*) FROM served_inputs WHERE user_id IS NOT NULL") == 1
        assert count(connection, "SELECT count(*) FROM model_states") == 1


async def test_lists_beyond_the_queue_are_counted(
    context: Context,
    seeded_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(recorder, "MAX_QUEUED", 2)
    for _ in range(5):
        await serve(context)
    with caplog.at_level(logging.WARNING):
        context.recorder.write(seeded_database_url)
        context.recorder.write(seeded_database_url)
    assert (context.recorder.written, context.recorder.dropped) == (2, 3)
    assert [record.message for record in caplog.records] == ["3 served lists are not recorded"]
    monkeypatch.setattr(recorder, "MAX_QUEUED_ROWS", 20)  # 16 of a list of ada
    await serve(context)
    await serve(context)
    await serve(context)
    assert context.recorder.dropped == 4
    context.recorder.write(seeded_database_url)
    await serve(context)
    assert context.recorder.dropped == 4


async def test_an_outage_and_a_lost_answer_neither_lose_nor_double_lists(
    context: Context, seeded_database_url: str
) -> None:
    await serve(context)
    for _ in range(5):
        context.recorder.write(UNREACHABLE)
    assert (context.recorder.written, context.recorder.dropped) == (0, 0)
    again = list(context.recorder.queue)
    context.recorder.write(seeded_database_url)
    context.recorder.batch = again
    await serve(context)
    context.recorder.write(seeded_database_url)
    with psycopg.connect(seeded_database_url) as connection:
        assert count(connection) == 2


async def test_a_refused_batch_is_given_up(
    context: Context, seeded_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("ALTER TABLE served_lists ADD CHECK (cardinality(movie_ids) <> 5)")
    await serve(context)
    for _ in range(recorder.MAX_TRIES):
        context.recorder.write(seeded_database_url)
    assert (context.recorder.dropped, len(context.recorder.batch)) == (1, 0)
    await serve(context, LIST.replace("5", "4"))
    context.recorder.write(seeded_database_url)
    assert context.recorder.written == 1
    assert "violates check constraint" in caplog.text


async def test_a_list_that_cannot_be_packed_is_given_up(
    context: Context,
    seeded_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await serve(context)
    with monkeypatch.context() as patched:
        patched.setattr(inputs, "of_mask", lambda _mask: None)
        context.recorder.write(seeded_database_url)
    assert "cannot record 1 served lists" in caplog.text
    await serve(context)
    context.recorder.write(seeded_database_url)
    assert (context.recorder.written, context.recorder.dropped) == (1, 1)


async def test_nothing_is_recorded_for_zero_days(context: Context, seeded_database_url: str) -> None:
    context.recorder = Recorder(0)
    await serve(context)
    model = context.served.model
    assert model is not None
    context.recorder.write(seeded_database_url, model.state)
    assert not context.recorder.queue
    assert model.state.stored  # so that its updates do not stay in memory
    with psycopg.connect(seeded_database_url) as connection:
        assert count(connection, "SELECT count(*) FROM model_states") == 0


async def test_lists_of_deleted_members_go_with_them(
    context: Context, seeded_database_url: str, model_dir: Path
) -> None:
    alone, together = await serve(context), await serve(context, GROUP)
    context.recorder.write(seeded_database_url)
    with psycopg.connect(seeded_database_url) as connection:
        replayer = Replayer(model_dir)
        (of_group,) = recorded(connection, together)
        assert replayer.replay(connection, of_group).same
        bob = count(connection, "SELECT id FROM users WHERE username = 'bob'")
        ada = count(connection, "SELECT id FROM users WHERE username = 'ada'")
    with psycopg.connect(seeded_database_url) as connection:
        await personal_data.delete_member(context.sessions, bob)
        replayer = Replayer(model_dir)
        (of_group,) = recorded(connection, together)
        assert "has been deleted" in str(replayer.replay(connection, of_group).reason)
        (of_ada,) = recorded(connection, alone)
        assert replayer.replay(connection, of_ada).same
    await serve(context)
    await personal_data.delete_member(context.sessions, ada)
    context.recorder.write(seeded_database_url)
    with psycopg.connect(seeded_database_url) as connection:
        assert count(connection) == 0
        assert count(connection, "SELECT count(*) FROM served_inputs WHERE user_id IS NOT NULL") == 0


async def test_old_days_are_dropped_and_coming_ones_made(context: Context, seeded_database_url: str) -> None:
    long_ago = partitions.today() - timedelta(days=31)
    with psycopg.connect(seeded_database_url, autocommit=True) as connection:
        partitions.make(connection, rows.PARTITIONED, [long_ago, long_ago + timedelta(days=1)])
        connection.execute(
            "INSERT INTO model_states (id, line, model_version, code_version, kind, content, made_at, "
            "used_at) SELECT id, id, 'old', '0', 'LOADED', '', now(), now() - interval '33 days' "
            "FROM gen_random_uuid() AS id"
        )
    await serve(context)
    context.recorder.write(seeded_database_url)
    days = [partitions.today() + timedelta(days=ahead) for ahead in range(recorder.DAYS_AHEAD)]
    kept = [long_ago + timedelta(days=1), *days]
    with psycopg.connect(seeded_database_url) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1"
        )
        assert [name for (name,) in found] == [
            f"{table}_{day:%Y%m%d}" for table in sorted(rows.PARTITIONED) for day in kept
        ]
        assert count(connection, "SELECT count(*) FROM model_states") == 1
        assert count(connection) == 1


async def test_partitions_are_made_later_if_members_are_locked(
    context: Context, seeded_database_url: str
) -> None:
    await serve(context)
    with psycopg.connect(seeded_database_url) as writer:
        writer.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
        context.recorder.write(seeded_database_url)
        assert context.recorder.written == 0
    context.recorder.write(seeded_database_url)
    assert (context.recorder.written, context.recorder.dropped) == (1, 0)


async def test_removed_model_files_are_named(
    context: Context, seeded_database_url: str, model_dir: Path, tmp_path: Path
) -> None:
    request_id = await serve(context)
    context.recorder.write(seeded_database_url)
    with psycopg.connect(seeded_database_url) as connection:
        (served,) = recorded(connection, request_id)
        assert "are not in" in str(Replayer(tmp_path).replay(connection, served).reason)
        connection.execute("UPDATE model_versions SET status = 'REMOVED'")
        assert "KEPT_MODELS" in str(Replayer(model_dir).replay(connection, served).reason)
        connection.execute("DELETE FROM model_states")
        connection.execute("UPDATE model_versions SET status = 'ACTIVE'")
        assert "not stored" in str(Replayer(model_dir).replay(connection, served).reason)


async def test_updates_that_the_model_has_make_no_new_state(context: Context) -> None:
    model = context.served.model
    assert model is not None
    movie_id = int(model.hybrid.item_ids[3])
    moved = np.full_like(model.hybrid.factor_model.item_factors[3], 0.5)
    arrivals = Arrivals(rows={movie_id: moved})
    once = arrivals.applied(model)
    assert once.state.before is model.state
    assert (once.hybrid.factor_model.item_factors[3] == moved).all()
    assert arrivals.applied(once) is once


async def test_ratings_since_the_training_make_the_same_model_again(context: Context) -> None:
    model = context.served.model
    assert model is not None
    assert model.hybrid.ratings is not None
    loved = model.hybrid.ratings.histogram[3] + np.arange(10, dtype=np.int32)
    updates = RatingUpdates(rows={int(model.hybrid.item_ids[3]): loved})
    once = updates.applied(model)
    assert once.state.before is model.state
    assert updates.applied(once) is once
    kind, content = states.packed(once.state.update)
    again = states.applied(model, kind, content)
    for one, other in zip(parts_of(once), parts_of(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert once.hybrid.popularity[3] > model.hybrid.popularity[3]


def parts_of(model: Model) -> list[NDArray[Any]]:
    hybrid = model.hybrid
    assert hybrid.stars is not None
    assert hybrid.match is not None
    assert hybrid.ratings is not None
    stars, match = hybrid.stars, hybrid.match
    return [
        hybrid.popularity, stars.items, stars.item_variance, match.item_statistics, hybrid.ratings.histogram
    ]  # fmt: skip


def test_inputs_survive_packing() -> None:
    rng = np.random.default_rng(0)
    for size in (0, 1, 8, 9, 1000):
        mask = rng.random(size) < 0.3
        again = inputs.mask_in(Input.unpacked(inputs.of_mask(mask).packed()))
        assert (again == mask).all()
        longer = np.append(mask, np.zeros(20, np.bool_))
        assert inputs.bits_of(longer).tobytes() == inputs.bits_of(mask).tobytes()
