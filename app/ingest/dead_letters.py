"""Dead letters: lines of streams that were refused, with the reason. They are listed, replayed and expire."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import func, select

from app.accounts import external_members
from app.db import stream_tables
from app.db.engine import Sessions
from app.ingest.stream_events import MAX_LINE_BYTES, Refusal, Refused
from app.ingest.stream_lines import member_in

EXPIRED_AT_ONCE = 1_000

_COPY = """
COPY dead_letters (stream, partition, position, reason, rule, raw_line, is_whole, default_source, source,
    external_id, user_id, received_at)
FROM STDIN
"""
_EXPIRE = """
DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters WHERE received_at < now() - %(days)s * interval '1 day'
    LIMIT %(most)s FOR UPDATE SKIP LOCKED)
"""
# Ids have few gaps, so that they tell how many newer rows there are.
_MAKE_ROOM = """
DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - %(kept)s
    ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED)
"""
_TAKE = """
DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters
    WHERE is_whole AND id < %(before)s AND (%(reason)s::text IS NULL OR reason = %(reason)s)
    ORDER BY id DESC LIMIT %(count)s FOR UPDATE SKIP LOCKED)
RETURNING id, stream, partition, position, raw_line, default_source, received_at
"""


class DeadLetter(NamedTuple):
    """A refused line, before it is stored."""

    stream: str
    partition: int
    position: int
    refused: Refused
    text: bytes
    default_source: str
    received_at: datetime | None = None  # None for now


class TakenLetter(NamedTuple):
    """A dead letter that a replay took out of the table."""

    id: int
    stream: str
    partition: int
    position: int
    raw_line: str
    default_source: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetterEntry:
    """A stored dead letter."""

    id: int
    stream: str
    partition: int
    position: int
    reason: Refusal
    rule: str
    raw_line: str
    is_whole: bool
    received_at: datetime


def write(connection: psycopg.Connection[Any], letters: Sequence[DeadLetter], days: int, kept: int) -> None:
    """Store dead letters in the open transaction.

    Some that are older than `days`, or the oldest beyond `kept`, are deleted.
    """
    if not letters:
        return
    now = datetime.now(UTC)
    pairs = [member_in(letter.text, letter.default_source) for letter in letters]
    members = external_members.find(connection, list({pair for pair in pairs if pair is not None}))
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for letter, pair in zip(letters, pairs, strict=True):
            raw_line, is_whole = storable(letter.text)
            source, external_id = pair or (None, None)
            copy.write_row(
                (
                    *letter[:3],
                    letter.refused.reason.value,
                    letter.refused.rule,
                    raw_line,
                    is_whole,
                    letter.default_source,
                    source,
                    external_id,
                    members.get(pair) if pair else None,
                    letter.received_at or now,
                )
            )
    limits = {"days": days, "kept": kept, "most": max(EXPIRED_AT_ONCE, 2 * len(letters))}
    connection.execute(_EXPIRE, limits)
    connection.execute(_MAKE_ROOM, limits)


def storable(text: bytes) -> tuple[str, bool]:
    """The line as Postgres can hold it, and whether it is the whole line unchanged."""
    try:
        line = text.decode()
        if len(text) <= MAX_LINE_BYTES and "\0" not in line:
            return line, True
    except UnicodeDecodeError:
        pass
    line = text[:MAX_LINE_BYTES].decode(errors="backslashreplace").replace("\0", "\\x00")
    return line[:MAX_LINE_BYTES], False


def take(
    connection: psycopg.Connection[Any], count: int, before: int, reason: Refusal | None
) -> list[TakenLetter]:
    """Delete the newest dead letters with an id below `before` in the open transaction, and return them."""
    params = {"count": count, "before": before, "reason": reason and reason.value}
    return [TakenLetter(*row) for row in connection.execute(_TAKE, params)]


async def entries(
    sessions: Sessions, count: int, before: int | None = None, reason: Refusal | None = None
) -> list[DeadLetterEntry]:
    """At most `count` dead letters, newest first, after the one with the id `before`."""
    letter = stream_tables.DeadLetter
    columns = [getattr(letter, name) for name in DeadLetterEntry.__dataclass_fields__]
    statement = select(*columns).order_by(letter.id.desc()).limit(count)
    if before is not None:
        statement = statement.where(letter.id < before)
    if reason is not None:
        statement = statement.where(letter.reason == reason.value)
    async with sessions() as session:
        rows = [row._mapping for row in await session.execute(statement)]  # noqa: SLF001 - public in SQLAlchemy
    return [DeadLetterEntry(**{**row, "reason": Refusal(row["reason"])}) for row in rows]


async def count_by_reason(sessions: Sessions) -> dict[Refusal, int]:
    """The number of stored dead letters by reason."""
    letter = stream_tables.DeadLetter
    statement = select(letter.reason, func.count()).group_by(letter.reason).order_by(letter.reason)
    async with sessions() as session:
        return {Refusal(reason): count for reason, count in await session.execute(statement)}
