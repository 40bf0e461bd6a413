"""Import a member's history: match rows to movies, and store ratings and events in one transaction."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.activity import feedback, ratings
from app.activity.feedback import Kind
from app.db.activity_tables import Feedback, Rating
from app.db.array_literals import array_literal
from app.db.engine import Sessions
from app.db.tables import User
from app.ingest import history_files
from app.ingest.layouts import Source
from app.ingest.matching import MatchedBy, MovieIndex, MovieMatch, by_movie, matched, skip
from app.ingest.pieces import in_pieces
from app.ingest.rows import Contents, Order, Row, Skipped
from app.serving.cards import Card
from app.serving.snapshot import Snapshot

EVENTS = {Contents.WATCHED: Kind.WATCH, Contents.WATCHLIST: Kind.WATCHLIST, Contents.LIKED: Kind.LIKE}
DELETED = "The movie was deleted during the import."
UNDATED = "It has no date, and the movie already has a different rating."
UNREAD_DAY = "Its date ({}) is unreadable or ambiguous, and the movie already has a different rating."
JUST_BEFORE = timedelta(seconds=1)
DOUBT = {by: -place for place, by in enumerate(MatchedBy)}
LONG_AGO = datetime.min.replace(tzinfo=UTC)

# A later rating replaces an earlier, different one. A rating without a date replaces none.
RATE = text(
    ratings.upsert(
        """
    SELECT :user_id, movie_id, half_stars, coalesce(rated_at, :now), false, CAST(NULL AS timestamptz)
    FROM unnest(CAST(:movie_ids AS bigint[]), CAST(:half_stars AS smallint[]), CAST(:times AS timestamptz[]))
        AS imported (movie_id, half_stars, rated_at)
    ORDER BY movie_id
    """,
        replaces="""
        (known.implicit OR excluded.rated_at >= known.rated_at AND excluded.half_stars <> known.half_stars)
        AND excluded.movie_id <> ALL (CAST(:undated AS bigint[]))
    """,
    )
)


LOCK = text(
    """
    SELECT coalesce(array_agg(id), '{}') FROM (
        SELECT id FROM movies WHERE id = ANY (CAST(:movie_ids AS bigint[])) ORDER BY id FOR KEY SHARE
    ) AS locked
    """
)


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import.

    `rated` and `unrated` count the movies matched, and `changed` the ratings and events that are new or
    different. `matches` are the rows stored now or before, doubtful ones first.
    """

    source: Source
    rated: int
    unrated: dict[Contents, int]
    changed: int
    matches: list[MovieMatch]
    skipped: list[Skipped]


async def import_history(
    sessions: Sessions,
    snapshot: Snapshot,
    user_id: int,
    csv: str | None,
    order: Order,
    *,
    file: str | None = None,
) -> Imported:
    """Store the ratings, watched, liked and listed movies of a file in one transaction.

    The file is `csv` as text, or `file` in Base64. Of several ratings of a movie, the last one counts.
    Importing a file again changes nothing. Raises InvalidHistory.
    """
    now = datetime.now(UTC)
    history = await in_pieces(history_files.read(csv, file, order, now))
    matches, skipped = await in_pieces(matched(history.rows, await index_of(snapshot.cards)))
    movie_ids = {match.movie_id for match in matches}
    async with sessions.begin() as session:
        # Imports of a member run one at a time, and the movies cannot be deleted meanwhile.
        await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
        parameters = {"movie_ids": await asyncio.to_thread(array_literal, movie_ids)}
        existing = set((await session.execute(LOCK, parameters)).scalar_one())
        matches, deleted = await asyncio.to_thread(split_deleted, matches, existing)
        rated, unrated = await asyncio.to_thread(row_of_each_movie, matches)
        changed, refused = await store_ratings(session, user_id, rated, now)
        for contents, rows in unrated.items():
            changed += await store_events(session, user_id, EVENTS[contents], rows, now)
    skipped += history.skipped + deleted + [skip(row, reason) for row, reason in refused.values()]
    matches, skipped = await asyncio.to_thread(ordered, matches, skipped, refused)
    return Imported(
        source=history.source,
        rated=len(rated) - len(refused),
        unrated={contents: len(rows) for contents, rows in unrated.items()},
        changed=changed,
        matches=matches,
        skipped=skipped,
    )


def split_deleted(
    matches: Iterable[MovieMatch], existing: Collection[int]
) -> tuple[list[MovieMatch], list[Skipped]]:
    """Separate the matches of existing movies from the rows of deleted ones."""
    kept: list[MovieMatch] = []
    deleted: list[Skipped] = []
    for match in matches:
        if match.movie_id in existing:
            kept.append(match)
        else:
            deleted.append(skip(match.row, DELETED))
    return kept, deleted


def ordered(
    matches: Iterable[MovieMatch], skipped: Iterable[Skipped], refused: Collection[int]
) -> tuple[list[MovieMatch], list[Skipped]]:
    """Sort the stored matches, doubtful ones first, and the skipped rows in the order of the file."""
    stored = [match for match in matches if match.movie_id not in refused or match.row.half_stars is None]
    rows = sorted(skipped, key=lambda each: (each.file or "", each.line))
    return sorted(stored, key=doubt), rows


_index: MovieIndex | None = None


async def index_of(cards: Sequence[Card]) -> MovieIndex:
    """The index of the catalog, cached until a movie changes."""
    global _index  # noqa: PLW0603 - one catalog is served at a time
    if _index is None or _index.cards is not cards:
        _index = await in_pieces(MovieIndex.of(cards))
    return _index


def doubt(match: MovieMatch) -> tuple[int, str, int]:
    """Sort key of matches: doubtful ones first, then the order of the file."""
    return DOUBT[match.by], match.row.file or "", match.row.line


def row_of_each_movie(matches: Iterable[MovieMatch]) -> tuple[dict[int, Row], dict[Contents, dict[int, Row]]]:
    """Choose the row that counts of each movie: of rated movies, and of unrated ones for each contents."""
    rated: dict[int, Row] = {}
    unrated: dict[Contents, dict[int, Row]] = {contents: {} for contents in Contents}
    for movie_id, of_one in by_movie(matches).items():
        row = max((match.row for match in of_one), key=weight)
        if row.half_stars is not None:
            rated[movie_id] = row
            continue
        for contents in Contents:
            rows = [match.row for match in of_one if match.row.contents is contents]
            if rows:
                unrated[contents][movie_id] = max(rows, key=weight)
    return rated, unrated


def weight(row: Row) -> tuple[bool, bool, int, datetime, int]:
    """Sort key of the rows of a movie; the last one, which is the latest rating, counts."""
    return row.half_stars is not None, row.at is not None, row.rank, row.at or LONG_AGO, row.line


async def store_ratings(
    session: AsyncSession, user_id: int, rated: Mapping[int, Row], now: datetime
) -> tuple[int, dict[int, tuple[Row, str]]]:
    """Store ratings. Returns the number that are new or different, and the refused rows by movie id.

    A row without a date is refused, with a reason, if the movie has a different rating.
    """
    undated = [movie_id for movie_id, row in rated.items() if row.at is None]
    refused: dict[int, tuple[Row, str]] = {}
    if undated:
        stored = select(Rating.movie_id, Rating.half_stars).where(
            Rating.user_id == user_id, Rating.movie_id.in_(undated)
        )
        for movie_id, half_stars in await session.execute(stored):
            row = rated[movie_id]
            if half_stars != row.half_stars:
                refused[movie_id] = row, UNREAD_DAY.format(row.unread_day) if row.unread_day else UNDATED
    columns: dict[str, list[Any]] = {
        "movie_ids": list(rated),
        "half_stars": [row.half_stars for row in rated.values()],
        "times": [row.at for row in rated.values()],
        "undated": undated,
    }
    done = await session.execute(
        RATE, {"user_id": user_id, "now": now, **await asyncio.to_thread(literals, columns)}
    )
    return done.rowcount, refused  # type: ignore[attr-defined]


def literals(columns: Mapping[str, Iterable[object]]) -> dict[str, str]:
    return {name: array_literal(values) for name, values in columns.items()}


async def store_events(
    session: AsyncSession, user_id: int, kind: Kind, movies: Mapping[int, Row], now: datetime
) -> int:
    """Store one event for each movie, however often it is imported. Returns the number that are new.

    A watched movie counts as watched to the end. An event without a date is placed just before the member's
    first event for the movie.
    """
    if not movies:
        return 0
    undated = [movie_id for movie_id, row in movies.items() if row.at is None]
    first: dict[int, datetime] = {}
    if undated:
        stored = select(Feedback.movie_id, func.min(Feedback.occurred_at)).where(
            Feedback.user_id == user_id, Feedback.movie_id.in_(undated)
        )
        rows = (await session.execute(stored.group_by(Feedback.movie_id))).all()
        first = {movie_id: time - JUST_BEFORE for movie_id, time in rows}
    n = len(movies)
    columns: dict[str, list[Any]] = {
        "movie_ids": list(movies),
        "kinds": [kind.value] * n,
        "request_ids": [None] * n,
        "positions": [None] * n,
        "watched_fractions": [1.0 if kind is Kind.WATCH else None] * n,
        "occurred_at": [row.at or first.get(movie_id, now) for movie_id, row in movies.items()],
        "idempotency_keys": [f"imported:{kind}:{movie_id}" for movie_id in movies],
    }
    events = {"user_id": user_id, **await asyncio.to_thread(literals, columns)}
    return (await session.execute(feedback.STORE, events)).rowcount  # type: ignore[attr-defined,no-any-return]
