"""A member's data is exported completely, deleted with the account, and not used by the next model."""

import asyncio
import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import Text, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.accounts import authentication, personal_data
from app.accounts.exports import Export, export
from app.db import migrations
from app.db.engine import Sessions, create_engine, sessionmaker
from app.db.tables import Base, User
from app.settings import Settings
from app.training import train
from app.web.client import Client

pytestmark = pytest.mark.anyio

PASSWORD = "a long walk home"

# A row in every table that refers to a member.
TRACES = """
INSERT INTO movies (id, title) VALUES (1, 'Alien');
INSERT INTO genres (id, name) VALUES (1, 'Horror');
INSERT INTO favorite_genres (user_id, genre_id, position) SELECT id, 1, 0 FROM users;
INSERT INTO ratings (user_id, movie_id, half_stars) SELECT id, 1, 9 FROM users;
INSERT INTO feedback (user_id, movie_id, kind, occurred_at) SELECT id, 1, 'LIKE', now() FROM users;
INSERT INTO api_keys (key_hash, beginning, name, scopes, created_by)
    SELECT username::bytea, 'mq_', username, '{}', id FROM users;
INSERT INTO audit_log (user_id, act, arguments, address)
    SELECT id, 'setRole', '{"input": {"username": "ADA", "role": "USER"}}', '192.0.2.1' FROM users;
INSERT INTO training_jobs (requested_by, status) SELECT id, 'FAILED' FROM users;
INSERT INTO external_members (source, external_id, user_id) SELECT 'tv', username, id FROM users;
INSERT INTO merged_visitors (user_id, visitor_id) SELECT id, username FROM users;
INSERT INTO member_batches (api_key_id, idempotency_key, checksum, outcome)
    SELECT id, 'b-1', '', '{}' FROM api_keys;
INSERT INTO dead_letters
    (stream, partition, position, reason, rule, raw_line, is_whole, default_source, user_id)
    SELECT 'tv', 0, 0, 'VALUE', 'It has no value.', username, true, 'tv', id FROM users;
CREATE TABLE served_lists_20260101 PARTITION OF served_lists DEFAULT;
CREATE TABLE served_inputs_20260101 PARTITION OF served_inputs DEFAULT;
INSERT INTO served_lists (served_at, id, request_id, user_id, field, model_version, model_state, history_at,
    parameters, inputs, movie_ids, ranks, scores)
    SELECT now(), gen_random_uuid(), gen_random_uuid(), id, 'recommendations', '1', gen_random_uuid(), now(),
        '{}', '', '{1}', '{1}', '{0.5}' FROM users;
INSERT INTO served_inputs (served_on, digest, user_id, content)
    SELECT '2026-01-01', username::bytea, id, '' FROM users;
INSERT INTO list_preferences (user_id, genre_id, direction) SELECT id, 1, 'LESS' FROM users;
INSERT INTO night_members (user_id, night, ends_at)
    SELECT id, gen_random_uuid(), now() + interval '1 hour' FROM users;
INSERT INTO promotions (kind, genre_id, starts_at, ends_at, created_by)
    SELECT 'PIN', 1, now(), now() + interval '1 day', id FROM users;
"""
PEOPLE, MOVIES = 40, 30


async def held_on(sessions: Sessions, user_id: int) -> dict[str, list[dict[str, Any]]]:
    made = Export()
    with closing(made):
        await export(sessions, user_id, made)
        held: dict[str, list[dict[str, Any]]] = json.loads(made.whole())
    return held


async def referring(sessions: Sessions) -> set[str]:
    """The tables that refer to members or to their rows, by the foreign keys of the database."""
    statement = """
        WITH RECURSIVE owned AS (
            SELECT 'users'::regclass AS of UNION
            SELECT conrelid FROM pg_constraint JOIN owned ON confrelid = owned.of
            JOIN pg_class ON pg_class.oid = conrelid AND NOT relispartition
            WHERE contype = 'f' AND (confdeltype = 'c' OR confrelid = 'users'::regclass)
        ) SELECT of::text FROM owned
    """
    async with sessions() as session:
        return set((await session.scalars(text(statement))).all())


async def test_no_table_is_left_out(sessions: Sessions, settings: Settings) -> None:
    for username in ("Ada", "bob"):
        await authentication.sign_up(sessions, settings, username, PASSWORD, Client("192.0.2.1"))
    async with sessions.begin() as session:
        for statement in filter(str.strip, TRACES.split(";")):
            await session.execute(text(statement))
        ada = await session.scalar(select(User.id).where(User.username == "Ada"))
        assert ada is not None
    held = await held_on(sessions, ada)
    tables = {name.replace("_", "").lower() for name in await referring(sessions)}
    assert {name.lower() for name in held} == tables
    assert all(len(rows) == 1 for rows in held.values()), {name: len(rows) for name, rows in held.items()}
    assert "bob" not in str(held)

    assert await personal_data.delete_member(sessions, ada) == "Ada"
    assert await personal_data.delete_member(sessions, ada) is None
    assert not any((await held_on(sessions, ada)).values())
    async with sessions() as session:
        for name in await referring(sessions):
            rows = (await session.scalars(text(f"SELECT row::text FROM {name} AS row"))).all()  # noqa: S608
            assert "Ada" not in str(rows)
            kept = {"api_keys": 2, "audit_log": 2, "member_batches": 2, "promotions": 2, "training_jobs": 2}
            assert len(rows) == kept.get(name, 1), name


# Tables that are kept when a member is deleted, and their text columns without personal data.
NOT_PERSONAL = {
    "api_keys": {"beginning", "scopes", "source"},
    "audit_log": {"act", "outcome"},
    "promotions": {"kind", "collection"},
    "member_batches": {"idempotency_key", "outcome"},
    "training_jobs": {"status", "stage", "message", "model_version"},
}
ADDRESS, AGENT, NOTE = "203.0.113.77", "Ada with a browser", "asked for by ADA, on her own machine"
WRITTEN = """
INSERT INTO api_keys (id, key_hash, beginning, name, scopes, created_by) VALUES
    (100, 'a', 'mq_a', 'Ada: trainer of ada-laptop', '{}', :ada), (101, 'b', 'mq_b', 'adaptive', '{}', :bob),
    (102, 'c', 'mq_c', 'for ada', '{}', :bob);
INSERT INTO audit_log (user_id, api_key_id, act, arguments, address) VALUES
    (:ada, NULL, 'trainModel', CAST(:own AS jsonb), :address),
    (NULL, 100, 'trainModel', '{}', :address),
    (:bob, NULL, 'trainModel', CAST(:others AS jsonb), '192.0.2.9'),
    (:bob, NULL, 'createApiKey', '{"input": {"name": "for ada", "scopes": ["READ"]}}', '192.0.2.9'),
    (:bob, NULL, 'deleteUser', '{"input": {"username": "aDa"}}', '192.0.2.9');
INSERT INTO training_jobs (requested_by, status) VALUES (:ada, 'FAILED');
"""


def test_every_kept_text_column_is_checked() -> None:
    """A new text column is either cleared or listed as not personal."""
    cleared = {"api_keys": {"name"}, "audit_log": {"arguments", "address"}}
    for table in Base.metadata.sorted_tables:
        keys = {key.column.table.name: key.ondelete for key in table.foreign_keys}
        if keys.get("users") == "SET NULL":
            texts = {column.name for column in table.c if isinstance(column.type, Text | JSONB | ARRAY)}
            assert texts == cleared.get(table.name, set()) | NOT_PERSONAL[table.name], table.name


async def test_a_dump_after_deletion_has_no_data_of_the_member(
    sessions: Sessions, settings: Settings
) -> None:
    """A deleted operator's name, address, user agent and notes are in no column of any table."""
    client = Client(ADDRESS, AGENT)
    ada = (await authentication.sign_up(sessions, settings, "Ada", PASSWORD, client)).viewer.id
    await authentication.log_in(sessions, settings, "ada", PASSWORD, client)
    bob = (
        await authentication.sign_up(sessions, settings, "bob", PASSWORD, Client("192.0.2.9", "B"))
    ).viewer.id
    written = {
        "ada": ada,
        "bob": bob,
        "address": ADDRESS,
        "own": json.dumps({"input": {"note": NOTE}}),
        "others": json.dumps({"input": {"note": "Ada (adaptive) and ADA."}}),
    }
    async with sessions.begin() as session:
        for statement in filter(str.strip, WRITTEN.split(";")):
            names = [name for name in written if f":{name}" in statement]
            await session.execute(text(statement), {name: written[name] for name in names})
    before = await dump(sessions)
    for trace in (ADDRESS, AGENT, NOTE, "Ada"):
        assert trace in before
    await personal_data.delete_member(sessions, ada)
    after = await dump(sessions)
    for trace in (ADDRESS, AGENT, "machine"):
        assert trace not in after
    assert re.findall(r"(?i)\w*ada\w*", after) == ["adaptive", "adaptive"]
    assert "(deleted member): trainer of (deleted member)-laptop" in after
    assert "(deleted member) (adaptive) and (deleted member)." in after
    assert "192.0.2.9" in after


async def dump(sessions: Sessions) -> str:
    async with sessions() as session:
        rows = [
            (await session.scalars(text(f"SELECT row::text FROM {table.name} AS row"))).all()  # noqa: S608
            for table in Base.metadata.sorted_tables
        ]
    return str(rows)


async def test_every_foreign_key_has_a_deletion_rule(sessions: Sessions) -> None:
    """A foreign key without a rule would prevent the deletion of members."""
    async with sessions() as session:
        found = await session.execute(
            text("SELECT conname, confdeltype FROM pg_constraint WHERE confrelid = 'users'::regclass")
        )
        assert {rule for _, rule in found} <= {"c", "n"}


async def test_concurrent_deletions_do_not_deadlock(database_url: str, settings: Settings) -> None:
    # They wait for each other, which takes a while on a slow machine.
    engine = create_engine(database_url, settings.model_copy(update={"statement_timeout_ms": 60_000}))
    sessions = sessionmaker(engine)
    fill(database_url, PEOPLE)
    async with sessions() as session:
        everyone = (await session.scalars(select(User.id))).all()
    await asyncio.gather(*(personal_data.delete_member(sessions, user_id) for user_id in everyone))
    async with sessions() as session:
        counts = (await session.scalars(text("SELECT rating_count FROM movie_stats"))).all()
    await engine.dispose()
    assert len(counts) == MOVIES
    assert set(counts) == {0}


def fill(database_url: str, people: int) -> None:
    """Members 1 to `people`, each with some ratings. The last one likes movies that no one else has rated."""
    rng = np.random.default_rng(3)
    with psycopg.connect(database_url) as connection:
        for movie in range(1, MOVIES + 1):
            connection.execute("INSERT INTO movies (id, title) VALUES (%s, %s)", (movie, f"Movie {movie}"))
        for member in range(1, PEOPLE + 1):
            movies = rng.choice(MOVIES, 12, replace=False) + 1
            half_stars = rng.integers(1, 11, 12)
            if member > people:
                continue
            connection.execute(
                "INSERT INTO users (id, username) VALUES (%s, %s)", (member, f"member {member}")
            )
            for movie, value in zip(movies.tolist(), half_stars.tolist(), strict=True):
                connection.execute(
                    "INSERT INTO ratings VALUES (%s, %s, %s, '2020-01-01')", (member, movie, value)
                )


@pytest.fixture
def without(empty_database_url: str) -> str:
    """A database without the last member."""
    migrations.upgrade(empty_database_url)
    fill(empty_database_url, PEOPLE - 1)
    return empty_database_url


def test_the_next_model_does_not_use_a_deleted_member(
    database_url: str, without: str, settings: Settings, tmp_path: Path
) -> None:
    """All arrays of the model are equal bit for bit."""

    async def leave() -> None:
        engine = create_engine(database_url, settings)
        assert await personal_data.delete_member(sessionmaker(engine), PEOPLE) == f"member {PEOPLE}"
        await engine.dispose()

    fill(database_url, PEOPLE)
    with_them = trained(database_url, tmp_path)
    asyncio.run(leave())
    afterwards = trained(database_url, tmp_path)
    never = trained(without, tmp_path)
    assert afterwards.keys() == never.keys() == with_them.keys()
    assert {name for name in never if afterwards[name] != never[name]} == set()
    assert {name for name in never if with_them[name] != never[name]} != set()


def trained(database_url: str, models: Path) -> dict[str, bytes]:
    """The arrays on disk of a newly trained model."""
    folder = models / train.train(database_url, models, lambda _stage, _fraction: None, kept_models=3)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.npy")}
