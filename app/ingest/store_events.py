"""Store a batch of a stream's lines in one transaction: ratings, events, dead letters, counts and positions.

The positions are locked first, and lines before them are left out. A batch that is stored again, by this
process after a crash or by another one after a rebalance, changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg

from app.accounts import external_members
from app.activity import ratings
from app.ingest import dead_letters
from app.ingest.clean_events import Batch, Cleaned, Line, Stream, clean, rows_of
from app.ingest.stream_events import Refusal
from app.ingest.stream_movies import Connection, StreamMovies
from app.settings import Settings

TRIES = 5
STORED, REPEATED = "STORED", "REPEATED"

Result = TypeVar("Result")

STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_events (
    place integer, user_id bigint, movie_id bigint, kind text, at bigint, half_stars smallint,
    implicit boolean, fraction real, request_id uuid, position smallint, key text
) ON COMMIT DELETE ROWS
"""
_COPY = """
COPY incoming_events (place, user_id, movie_id, kind, at, half_stars, implicit, fraction, request_id,
    position, key) FROM STDIN
"""
_POSITIONS = "SELECT partition, next_position FROM stream_positions WHERE stream = %s"
_START = """
INSERT INTO stream_positions (stream, partition, next_position)
SELECT %(stream)s, partition, 0 FROM unnest(%(partitions)s::bigint[]) AS given (partition)
ORDER BY partition ON CONFLICT (stream, partition) DO NOTHING
"""
_LOCK = """
SELECT partition, next_position FROM stream_positions
WHERE stream = %(stream)s AND partition = ANY(%(partitions)s)
ORDER BY partition FOR UPDATE
"""
_MOVIES = "SELECT id FROM movies WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE"
# A member's own rating replaces an implicit one, and the later of two own ratings counts. Of two implicit
# ones, the higher counts.
_UPSERT = ratings.upsert(
    """
    SELECT DISTINCT ON (user_id, movie_id)
        user_id, movie_id, half_stars, to_timestamp(0) + at * interval '1 microsecond', implicit,
        CAST(NULL AS timestamptz)
    FROM incoming_events WHERE half_stars IS NOT NULL
    ORDER BY user_id, movie_id, implicit, CASE WHEN implicit THEN half_stars END DESC, at DESC, place DESC
    """,
    replaces="""
        CASE WHEN excluded.implicit THEN known.implicit AND excluded.half_stars > known.half_stars
        ELSE known.implicit OR excluded.rated_at > known.rated_at
            OR (excluded.rated_at = known.rated_at AND excluded.half_stars <> known.half_stars) END
    """,
)
_RATE = f"""
WITH written AS ({_UPSERT} RETURNING implicit) SELECT count(*) FROM written WHERE NOT implicit
"""  # noqa: S608 - a constant
# A progress report that goes further changes a row, which fires no trigger: the taste is notified here.
_RECORD = """
WITH written AS (
    INSERT INTO feedback AS known
        (user_id, movie_id, kind, request_id, position, watched_fraction, occurred_at, idempotency_key)
    SELECT user_id, movie_id, kind, request_id, position, fraction,
        to_timestamp(0) + at * interval '1 microsecond', key
    FROM (
        SELECT DISTINCT ON (user_id, key) * FROM incoming_events WHERE kind <> 'RATING'
        ORDER BY user_id, key, fraction DESC NULLS LAST, place
    ) AS first
    ORDER BY user_id, place
    ON CONFLICT (user_id, idempotency_key) DO UPDATE
    SET watched_fraction = excluded.watched_fraction,
        occurred_at = greatest(excluded.occurred_at, known.occurred_at), received_at = now()
    WHERE known.kind = 'WATCH' AND known.idempotency_key = 'watched:' || known.movie_id
        AND excluded.watched_fraction > coalesce(known.watched_fraction, -1)
    RETURNING user_id, kind
)
SELECT count(*), (
    SELECT count(pg_notify('marquee_taste', user_id::text))
    FROM (SELECT DISTINCT user_id FROM written WHERE kind = 'WATCH') AS watchers
) FROM written
"""
_COUNT = """
INSERT INTO stream_counts AS known (stream, outcome, events)
SELECT %(stream)s, * FROM unnest(%(outcomes)s::text[], %(events)s::bigint[])
ON CONFLICT (stream, outcome) DO UPDATE SET events = known.events + excluded.events
"""
_MOVE = """
UPDATE stream_positions SET next_position = given.next, end_position = given.last, stored_at = now()
FROM unnest(%(partitions)s::bigint[], %(nexts)s::bigint[], %(ends)s::bigint[])
    AS given (partition, next, last)
WHERE stream = %(stream)s AND stream_positions.partition = given.partition
"""


class MovieDeleted(Exception):
    """A movie of the batch was deleted since the catalog was read."""


@dataclass(slots=True)
class Store:
    """Stores batches through one connection, which must be in autocommit mode."""

    connection: Connection
    settings: Settings
    movies: StreamMovies = field(default_factory=StreamMovies)

    def __post_init__(self) -> None:
        self.connection.execute(STAGING)

    def positions(self, stream: str) -> dict[int, int]:
        """The next position of each partition that has one."""
        return dict(self.connection.execute(_POSITIONS, (stream,)).fetchall())

    def store(self, stream: Stream, batch: Batch) -> Counter[str]:
        """Store a batch, all of it or nothing; durable when this returns. Returns counts by outcome."""

        def store() -> Counter[str]:
            stored = self._lock(stream, batch)
            lines = [line for line in batch.lines if line.position >= stored[line.partition]]
            cleaned = clean(lines, stream, self.movies)
            self.write(cleaned)
            nexts = {
                partition: max(position, stored[partition]) for partition, position in batch.nexts.items()
            }
            self._count(stream.name, cleaned.counts)
            self._move(stream.name, nexts, batch.ends)
            return cleaned.counts

        return self.in_transaction(store)

    def replay(
        self, count: int, before: int, reason: Refusal | None = None
    ) -> tuple[Counter[str], int | None]:
        """Store the newest dead letters with an id below `before` again, at most `count`.

        Letters that are refused again remain. Returns the counts by outcome, and the lowest id; None at the
        end.
        """

        def replay() -> tuple[Counter[str], int | None]:
            letters = dead_letters.take(self.connection, count, before, reason)
            total: Counter[str] = Counter()
            for name, source in sorted({(letter.stream, letter.default_source) for letter in letters}):
                of_stream = [each for each in letters if (each.stream, each.default_source) == (name, source)]
                lines = [Line(each.partition, each.position, each.raw_line.encode()) for each in of_stream]
                cleaned = clean(lines, Stream(name, source), self.movies)
                times = {(each.partition, each.position): each.received_at for each in of_stream}
                cleaned.letters = [
                    letter._replace(received_at=times[letter.partition, letter.position])
                    for letter in cleaned.letters
                ]
                self.connection.execute("TRUNCATE incoming_events")  # the rows of another stream
                self.write(cleaned)
                effects = {outcome: cleaned.counts[outcome] for outcome in (STORED, REPEATED)}
                self._count(name, effects)  # the refusal was counted when the line came
                total += cleaned.counts
            return total, min((letter.id for letter in letters), default=None)

        return self.in_transaction(replay)

    def in_transaction(self, work: Callable[[], Result]) -> Result:
        """Retry after a conflict with another transaction, with the catalog as of now."""
        for tries in range(1, TRIES + 1):
            self.movies.refresh(self.connection, at_once=tries > 1)
            try:
                with self.connection.transaction():
                    return work()
            except (
                MovieDeleted,
                psycopg.errors.DeadlockDetected,
                psycopg.errors.SerializationFailure,
                psycopg.errors.ForeignKeyViolation,  # a member was deleted after it was found
            ):
                if tries == TRIES:
                    raise
        raise AssertionError

    def _lock(self, stream: Stream, batch: Batch) -> dict[int, int]:
        """Lock the positions of the batch's partitions, and return them by partition."""
        params = {"stream": stream.name, "partitions": list(batch.nexts)}
        stored: dict[int, int] = dict(self.connection.execute(_LOCK, params).fetchall())
        if len(stored) < len(batch.nexts):
            self.connection.execute(_START, params)
            stored = dict(self.connection.execute(_LOCK, params).fetchall())
        return stored

    def write(self, cleaned: Cleaned) -> None:
        """Write ratings, events and dead letters, and count the events. Raises MovieDeleted."""
        settings = self.settings
        dead_letters.write(
            self.connection, cleaned.letters, settings.dead_letter_days, settings.max_dead_letters
        )
        if not cleaned.events:
            return
        movie_ids = list({movie.id for _, movie in cleaned.events})
        if len(self.connection.execute(_MOVIES, (movie_ids,)).fetchall()) < len(movie_ids):
            raise MovieDeleted
        pairs = list({(event.source, event.external_id) for event, _ in cleaned.events})
        members = external_members.find_or_make(self.connection, pairs)
        stored = 0
        with self.connection.cursor() as cursor:
            with cursor.copy(_COPY) as copy:
                for row in rows_of(cleaned.events, members, settings):
                    copy.write_row(row)
            for statement in (_RECORD, _RATE):  # the statistics of movies, which others wait for, last
                stored += (cursor.execute(statement).fetchone() or (0,))[0]
        cleaned.counts[STORED] += stored
        cleaned.counts[REPEATED] += len(cleaned.events) - stored

    def _count(self, stream: str, counts: Mapping[str, int]) -> None:
        rows = sorted((outcome, events) for outcome, events in counts.items() if events)
        outcomes, events = [outcome for outcome, _ in rows], [events for _, events in rows]
        self.connection.execute(_COUNT, {"stream": stream, "outcomes": outcomes, "events": events})

    def _move(self, stream: str, nexts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        self.connection.execute(
            _MOVE,
            {
                "stream": stream,
                "partitions": list(nexts),
                "nexts": list(nexts.values()),
                "ends": [ends.get(partition) for partition in nexts],
            },
        )
