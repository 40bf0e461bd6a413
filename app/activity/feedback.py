"""Feedback: members' events on movies, and the signals that the recommender gets from them."""

import asyncio
import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.activity_tables import Feedback
from app.db.array_literals import array_literal
from app.db.engine import Sessions
from app.db.tables import User

MAX_EVENTS = 500
MAX_KEY_LENGTH = 200
MAX_POSITION = 32_767
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(minutes=5)
LATEST_EVENTS = 2000  # searched for movies shown without engagement
SHOWN_FOR = timedelta(days=60)  # then a movie may be recommended again


class Kind(enum.StrEnum):
    IMPRESSION = "IMPRESSION"
    CLICK = "CLICK"
    WATCH = "WATCH"
    LIKE = "LIKE"
    DISLIKE = "DISLIKE"
    NOT_INTERESTED = "NOT_INTERESTED"
    WATCHLIST = "WATCHLIST"


class InvalidFeedback(Exception):
    """A batch that breaks a rule; none of it is stored. The message names the event, field and rule.

    `index` counts from 0. `index` and `field` are None for a rule on the whole batch.
    """

    def __init__(self, rule: str, index: int | None = None, field: str | None = None) -> None:
        super().__init__(rule if index is None else f"events[{index}].{field} {rule}")
        self.index = index
        self.field = field


@dataclass(frozen=True, slots=True)
class Event:
    movie_id: int
    kind: Kind
    request_id: UUID | None = None
    position: int | None = None
    watched_fraction: float | None = None
    occurred_at: datetime | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Signals:
    """Events as graded observations.

    `movie_ids` int64 (n,) ascending, `stars` float32 (n,) and `timestamps` int64 (n,) in seconds since 1970
    are of movies that the member has not rated. `hidden` int64 (m,): movies marked NOT_INTERESTED, rated or
    not. `shown`, if read: ids int64 (s,) of movies recently shown and not acted on (impressions without
    engagement), and int32 (s,) the number of lists that showed each.
    """

    movie_ids: NDArray[np.int64]
    stars: NDArray[np.float32]
    timestamps: NDArray[np.int64]
    hidden: NDArray[np.int64]
    shown: tuple[NDArray[np.int64], NDArray[np.int32]] | None = None


# Inserted in the order of the events, so that of two events with the same time the later has the higher id.
STORE = text(
    """
    INSERT INTO feedback (user_id, movie_id, kind, request_id, position, watched_fraction, occurred_at,
        idempotency_key)
    SELECT :user_id, movie_id, kind, request_id, position, watched_fraction, occurred_at, idempotency_key
    FROM unnest(CAST(:movie_ids AS bigint[]), CAST(:kinds AS text[]), CAST(:request_ids AS uuid[]),
        CAST(:positions AS smallint[]), CAST(:watched_fractions AS real[]),
        CAST(:occurred_at AS timestamptz[]), CAST(:idempotency_keys AS text[])) WITH ORDINALITY
        AS event (movie_id, kind, request_id, position, watched_fraction, occurred_at, idempotency_key, place)
    ORDER BY place
    ON CONFLICT (user_id, idempotency_key) DO NOTHING
    """
)

# Locks the movies of a batch. The place of the first event, from 1, whose movie does not exist.
LOCK_MOVIES = text(
    """
    WITH movie AS (
        SELECT id FROM movies WHERE id = ANY (CAST(:movie_ids AS bigint[])) ORDER BY id FOR KEY SHARE
    )
    SELECT min(place) FROM unnest(CAST(:movie_ids AS bigint[])) WITH ORDINALITY AS event (movie_id, place)
    WHERE NOT EXISTS (SELECT FROM movie WHERE movie.id = event.movie_id)
    """
)

# An opinion outweighs watching, and the latest opinion outweighs earlier ones. Of WATCH events, the largest
# fraction counts: players report a movie in pieces and in any order.
SIGNALS_OF = """
    WITH events AS (
        SELECT * FROM feedback
        WHERE user_id = {user_id} AND received_at <= coalesce(CAST(:until AS timestamptz), 'infinity')
            AND kind IN ('LIKE', 'DISLIKE', 'NOT_INTERESTED', 'WATCH')
    ), decisive AS (
        SELECT DISTINCT ON (movie_id) * FROM events
        ORDER BY movie_id, kind = 'WATCH', CASE WHEN kind = 'WATCH' THEN watched_fraction END DESC NULLS LAST,
            occurred_at DESC, id DESC
    ), graded AS (
        SELECT movie_id, occurred_at, CASE
            WHEN kind = 'LIKE' THEN 4.5
            WHEN kind = 'DISLIKE' THEN 1.5
            WHEN kind = 'NOT_INTERESTED' THEN 2.0
            WHEN watched_fraction >= 0.9::real THEN 4.0
            WHEN watched_fraction <= 0.1::real THEN 2.5
        END AS stars
        FROM decisive
        WHERE NOT EXISTS (
            SELECT FROM ratings WHERE ratings.user_id = {user_id} AND ratings.movie_id = decisive.movie_id
                AND rated_at <= coalesce(CAST(:until AS timestamptz), 'infinity'))
        ORDER BY movie_id
    )
    SELECT array_agg(movie_id), array_agg(stars::real), array_agg(extract(epoch FROM occurred_at)::bigint),
        (SELECT array_agg(DISTINCT movie_id) FROM events WHERE kind = 'NOT_INTERESTED')
    FROM graded WHERE stars IS NOT NULL
"""
# Reads only the latest events, so that the cost is bounded for members with a long history. Impressions of
# one list count once.
SHOWN = """
    SELECT array_agg(movie_id), array_agg(times) FROM (
        SELECT movie_id,
            (count(DISTINCT request_id) + count(*) FILTER (WHERE request_id IS NULL))::integer AS times
        FROM (
            SELECT movie_id, kind, request_id FROM feedback
            WHERE user_id = :user_id AND received_at <= coalesce(CAST(:until AS timestamptz), 'infinity')
                AND occurred_at > coalesce(CAST(:until AS timestamptz), now()) - CAST(:shown_for AS interval)
            ORDER BY occurred_at DESC LIMIT :latest
        ) AS latest
        GROUP BY movie_id HAVING bool_and(kind = 'IMPRESSION')
    ) AS shown
"""
# The arguments of `signals_in`; without the movies shown if `latest` is 0.
SIGNALS = (
    "SELECT signals.*, shown.* "  # noqa: S608 - constants
    f"FROM ({SIGNALS_OF.format(user_id=':user_id')}) AS signals (movie_ids, stars, timestamps, hidden), "
    f"({SHOWN}) AS shown (shown_ids, shown_times)"
)
SIGNALS_OF_EACH = text(
    "SELECT member.id, signals.* FROM unnest(CAST(:user_ids AS bigint[])) AS member (id) "  # noqa: S608
    f"CROSS JOIN LATERAL ({SIGNALS_OF.format(user_id='member.id')}) "
    "AS signals (movie_ids, stars, timestamps, hidden)"
)


async def record(sessions: Sessions, user_id: int, events: Sequence[Event]) -> int:
    """Store a batch of events, all or none. Returns the number of events accepted.

    An event with an idempotency key that the member has sent before is accepted but not stored again, so that
    clients can retry a batch. Raises InvalidFeedback.
    """
    if len(events) > MAX_EVENTS:
        raise InvalidFeedback(f"A batch has at most {MAX_EVENTS} events, not {len(events)}.")
    columns = await asyncio.to_thread(columns_of, events, datetime.now(UTC))
    async with sessions.begin() as session:
        # Batches of a member are serialized: two with the same keys in different orders would deadlock.
        await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
        missing = await session.scalar(LOCK_MOVIES, {"movie_ids": columns["movie_ids"]})
        if missing is not None:
            raise InvalidFeedback("is not the id of a movie.", missing - 1, "movieId")
        await session.execute(STORE, {"user_id": user_id, **columns})
    return len(events)


def columns_of(events: Sequence[Event], now: datetime) -> dict[str, str]:
    """The parameters of STORE. Raises InvalidFeedback for an event that breaks a rule."""
    for index, event in enumerate(events):
        validate(index, event, now)
    return {
        "movie_ids": array_literal(event.movie_id for event in events),
        "kinds": array_literal(event.kind.value for event in events),
        "request_ids": array_literal(event.request_id for event in events),
        "positions": array_literal(event.position for event in events),
        "watched_fractions": array_literal(event.watched_fraction for event in events),
        "occurred_at": array_literal(event.occurred_at or now for event in events),
        "idempotency_keys": array_literal(event.idempotency_key for event in events),
    }


async def remove(sessions: Sessions, user_id: int, movie_id: int, kinds: Collection[Kind]) -> int:
    """Delete a member's events of these kinds on a movie. Returns their number."""
    of_movie = Feedback.user_id == user_id, Feedback.movie_id == movie_id
    statement = delete(Feedback).where(*of_movie, Feedback.kind == func.any([kind.value for kind in kinds]))
    async with sessions.begin() as session:
        deleted = await session.scalars(statement.returning(Feedback.id))
        return len(deleted.all())


def parameters_of(user_id: int, until: datetime | None = None, *, shown: bool = False) -> dict[str, Any]:
    """The parameters of SIGNALS, for the events received up to `until`.

    LIKE counts as 4.5 stars, DISLIKE as 1.5, NOT_INTERESTED as 2, and WATCH as 4 from nine tenths on and as
    2.5 up to one tenth. Impressions, clicks and the watchlist are not graded. `shown`: also read the movies
    that have recent impressions and no other events.
    """
    latest = LATEST_EVENTS if shown else 0
    return {"user_id": user_id, "until": until, "latest": latest, "shown_for": SHOWN_FOR}


async def signals_of_each(
    session: AsyncSession, user_ids: Sequence[int], until: datetime | None = None
) -> dict[int, Signals]:
    """Read the signals of several members without the movies shown, by member id."""
    rows = await session.execute(SIGNALS_OF_EACH, {"user_ids": list(user_ids), "until": until})
    return {user_id: signals_in(*columns) for user_id, *columns in rows}


def signals_in(
    movie_ids: list[int] | None,
    stars: list[float] | None,
    timestamps: list[int] | None,
    hidden: list[int] | None,
    shown_ids: list[int] | None = None,
    shown_times: list[int] | None = None,
) -> Signals:
    return Signals(
        np.array(movie_ids or [], np.int64),
        np.array(stars or [], np.float32),
        np.array(timestamps or [], np.int64),
        np.array(hidden or [], np.int64),
        (np.array(shown_ids, np.int64), np.array(shown_times, np.int32)) if shown_ids else None,
    )


def validate(index: int, event: Event, now: datetime) -> None:
    def refuse(field: str, rule: str) -> InvalidFeedback:
        return InvalidFeedback(rule, index, field)

    if event.position is not None and not 0 <= event.position <= MAX_POSITION:
        raise refuse("position", f"must be from 0 to {MAX_POSITION}.")
    if event.watched_fraction is not None and not 0 <= event.watched_fraction <= 1:
        raise refuse("watchedFraction", "must be from 0 to 1.")
    if event.occurred_at is not None and not EARLIEST <= event.occurred_at <= now + CLOCK_SKEW:
        raise refuse("occurredAt", "must not be before 2000, nor more than 5 minutes in the future.")
    key = event.idempotency_key
    if key is not None and not (0 < len(key) <= MAX_KEY_LENGTH and key.isprintable()):
        raise refuse("idempotencyKey", f"must have 1 to {MAX_KEY_LENGTH} printable characters.")
