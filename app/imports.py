"""A member's history from elsewhere, brought in: films found, ratings and events stored at once."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app import feedback, history_files
from app.cards import Card
from app.db import Sessions
from app.feedback import Kind
from app.history_files import Contents, Row, Skipped, Source
from app.snapshot import Snapshot
from app.tables import Movie, User
from app.titles import fold, parse_title

KINDS = ("imdb_id", "tmdb_id", "movielens_id")
EVENTS = {Contents.WATCHED: Kind.WATCH, Contents.WATCHLIST: Kind.WATCHLIST, Contents.LIKED: Kind.LIKE}
NO_FILM = "No film here has its id, or its title and year."
SEVERAL = "Several films here have its title and year."
DELETED = "The film was deleted meanwhile."

# A later rating stands against an earlier one; one that says the same changes nothing. Films are taken in
# their order, so that two files at once do not wait for each other.
RATE = text(
    """
    INSERT INTO ratings (user_id, movie_id, half_stars, rated_at)
    SELECT :user_id, movie_id, half_stars, rated_at
    FROM unnest(CAST(:movie_ids AS bigint[]), CAST(:half_stars AS smallint[]), CAST(:times AS timestamptz[]))
        AS given (movie_id, half_stars, rated_at)
    ORDER BY movie_id
    ON CONFLICT (user_id, movie_id) DO UPDATE
    SET half_stars = excluded.half_stars, rated_at = excluded.rated_at
    WHERE excluded.rated_at >= ratings.rated_at AND excluded.half_stars <> ratings.half_stars
    """
)


@dataclass(frozen=True, slots=True)
class Imported:
    """`rated` and `unrated` count films whose row was found, whether or not it told something new.

    `contents` is what was stored of the unrated ones.
    """

    source: Source
    contents: Contents | None
    rated: int
    unrated: int
    changed: int
    skipped: list[Skipped]


async def import_history(
    sessions: Sessions,
    snapshot: Snapshot,
    user_id: int,
    csv_text: str,
    source: Source | None = None,
    contents: Contents | None = None,
) -> Imported:
    """Store what a file says that a member has rated, watched, liked or means to see: all in one transaction.

    A film that is in the file more than once counts as it was rated last. A file that is read a second time
    changes nothing. Raises InvalidHistory.
    """
    now = datetime.now(UTC)
    history = await asyncio.to_thread(history_files.read, csv_text, source, contents, now)
    films, unmatched = await asyncio.to_thread(matched, history.rows, snapshot)
    async with sessions.begin() as session:
        # One file at a time for a member, and no film goes while its rating comes.
        await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
        lock = select(Movie.id).where(Movie.id.in_(films)).order_by(Movie.id)
        known = set((await session.scalars(lock.with_for_update(read=True, key_share=True))).all())
        kept = {movie_id: latest(rows) for movie_id, rows in films.items() if movie_id in known}
        rated = {movie_id: row for movie_id, row in kept.items() if row.half_stars is not None}
        unrated = {movie_id: row for movie_id, row in kept.items() if row.half_stars is None}
        changed = await store_ratings(session, user_id, rated, now)
        if history.contents is not None:
            changed += await store_events(session, user_id, EVENTS[history.contents], unrated, now)
    gone = [row for movie_id, rows in films.items() if movie_id not in known for row in rows]
    skipped = history.skipped + unmatched + [Skipped(row.line, row.shown, DELETED) for row in gone]
    skipped.sort(key=lambda each: each.line)
    return Imported(history.source, history.contents, len(rated), len(unrated), changed, skipped)


def matched(rows: Sequence[Row], snapshot: Snapshot) -> tuple[dict[int, list[Row]], list[Skipped]]:
    """The rows of each film that they are of, and those that are of none."""
    cards = Cards.wanted_by(rows, snapshot.cards)
    films, unmatched = defaultdict[int, list[Row]](list), []
    for row in rows:
        found = cards.of(row)
        if len(found) == 1:
            films[found[0].id].append(row)
        else:
            unmatched.append(Skipped(row.line, row.shown, SEVERAL if found else NO_FILM))
    return dict(films), unmatched


def latest(rows: Iterable[Row]) -> Row:
    """What was rated last; what was not rated says less."""
    return max(rows, key=lambda row: (row.half_stars is not None, row.at is None, row.at, row.line))


@dataclass(frozen=True, slots=True)
class Cards:
    """Films by what rows may know them by; only those that some row asks for."""

    by_id: dict[tuple[str, Any], Card]
    by_title: dict[str, list[Card]]

    @classmethod
    def wanted_by(cls, rows: Sequence[Row], cards: Sequence[Card]) -> "Cards":
        ids = {(kind, getattr(row, kind)) for row in rows for kind in KINDS}
        titles = {title for row in rows for title in titles_of(row)}
        by_id: dict[tuple[str, Any], Card] = {}
        by_title = defaultdict[str, list[Card]](list)
        for card in cards:
            for kind in KINDS:
                key = kind, getattr(card, kind)
                if key[1] is not None and key in ids:
                    by_id[key] = card
            for title in {fold(card.title), fold(card.original_title or "")} & titles:
                by_title[title].append(card)
        return cls(by_id, dict(by_title))

    def of(self, row: Row) -> list[Card]:
        """An id decides. Without one that is known, title and year do, unless the ids of a kind differ."""
        for kind in KINDS:
            if (card := self.by_id.get((kind, getattr(row, kind)))) is not None:
                return [card]
        cards = {card.id: card for title in titles_of(row) for card in self.by_title.get(title, ())}
        possible = [card for card in cards.values() if not ids_differ(row, card)]
        year = row.year or parse_title(row.title)[2]
        if year is None:
            return possible
        exact = [card for card in possible if card.year == year]
        return exact or [card for card in possible if card.year is None or abs(card.year - year) == 1]


def titles_of(row: Row) -> set[str]:
    """The title as it stands, and as MovieLens would have meant it; folded."""
    return {folded for title in (row.title, parse_title(row.title)[0]) if (folded := fold(title))}


def ids_differ(row: Row, card: Card) -> bool:
    pairs = ((getattr(row, kind), getattr(card, kind)) for kind in KINDS)
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


async def store_ratings(session: AsyncSession, user_id: int, rated: dict[int, Row], now: datetime) -> int:
    """How many were new or other than before."""
    given = {
        "user_id": user_id,
        "movie_ids": list(rated),
        "half_stars": [row.half_stars for row in rated.values()],
        "times": [row.at or now for row in rated.values()],
    }
    return (await session.execute(RATE, given)).rowcount  # type: ignore[attr-defined,no-any-return]


async def store_events(
    session: AsyncSession, user_id: int, kind: Kind, films: dict[int, Row], now: datetime
) -> int:
    """One of each film, however often it is brought; what was watched was seen to the end."""
    n = len(films)
    events = {
        "user_id": user_id,
        "movie_ids": list(films),
        "kinds": [kind.value] * n,
        "request_ids": [None] * n,
        "positions": [None] * n,
        "watched_fractions": [1.0 if kind is Kind.WATCH else None] * n,
        "occurred_at": [row.at or now for row in films.values()],
        "idempotency_keys": [f"imported:{kind}:{movie_id}" for movie_id in films],
    }
    return (await session.execute(feedback.STORE, events)).rowcount  # type: ignore[attr-defined,no-any-return]
