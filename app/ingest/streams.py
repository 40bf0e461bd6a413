"""The state of streams: positions, lag and counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from app.db.engine import Sessions
from app.db.stream_tables import StreamCount, StreamPosition

MAX_STREAMS = 1_000
MAX_PARTITIONS = 200  # with figures in metrics


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream. `lag`: the events, or bytes of a file, that were there at `stored_at` and are not stored."""

    stream: str
    partitions: int
    lag: int
    stored_at: datetime
    counts: dict[str, int]


class PartitionLag(NamedTuple):
    """A partition. `lag` is that of `stored_at`, `age` the seconds since then."""

    stream: str
    partition: int
    lag: int
    age: float


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """The partitions that were stored last, and the events of their streams by stream and outcome."""

    partitions: list[PartitionLag]
    events: list[tuple[str, str, int]]


async def figures(sessions: Sessions) -> StreamFigures:
    """The figures of at most MAX_PARTITIONS partitions."""
    position = StreamPosition
    lag = func.greatest(func.coalesce(position.end_position, 0) - position.next_position, 0)
    age = func.extract("epoch", func.now() - position.stored_at)
    latest = (
        select(position.stream, position.partition, lag, age)
        .order_by(position.stored_at.desc(), position.stream, position.partition)
        .limit(MAX_PARTITIONS)
    )
    async with sessions() as session:
        partitions = [
            PartitionLag(stream, partition, int(lag), max(0.0, float(age)))
            for stream, partition, lag, age in await session.execute(latest)
        ]
        names = list({each.stream for each in partitions})
        counted = await session.execute(
            select(StreamCount.stream, StreamCount.outcome, StreamCount.events)
            .where(StreamCount.stream == func.any(names))
            .order_by(StreamCount.stream, StreamCount.outcome)
        )
        return StreamFigures(partitions, [(stream, outcome, count) for stream, outcome, count in counted])


async def states(sessions: Sessions) -> list[StreamState]:
    """The streams in which an event was stored last, latest first."""
    position = StreamPosition
    lag = func.sum(func.greatest(func.coalesce(position.end_position, 0) - position.next_position, 0))
    stored_at = func.max(position.stored_at)
    statement = (
        select(position.stream, func.count(), lag, stored_at)
        .group_by(position.stream)
        .order_by(stored_at.desc(), position.stream)
        .limit(MAX_STREAMS)
    )
    async with sessions() as session:
        rows = (await session.execute(statement)).all()
        names = [row[0] for row in rows]
        counted = await session.execute(
            select(StreamCount.stream, StreamCount.outcome, StreamCount.events)
            .where(StreamCount.stream == func.any(names))
            .order_by(StreamCount.stream, StreamCount.outcome)
        )
        counts: dict[str, dict[str, int]] = {name: {} for name in names}
        for stream, outcome, events in counted:
            counts[stream][outcome] = events
    return [StreamState(name, partitions, int(lag), at, counts[name]) for name, partitions, lag, at in rows]
