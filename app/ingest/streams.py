"""The state of streams: positions, lag and counts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from app.db.engine import Sessions
from app.db.stream_tables import StreamCount, StreamPosition

MAX_STREAMS = 1_000


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream. `lag`: the events, or bytes of a file, that were there at `stored_at` and are not stored."""

    stream: str
    partitions: int
    lag: int
    stored_at: datetime
    counts: dict[str, int]


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
