"""Paginate a member's feedback events and watchlist."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
import strawberry
from numpy.typing import NDArray

from app.activity import history
from app.activity.feedback import Kind
from app.activity.history import HistoryEntry, Wanted
from app.catalog import browse
from app.catalog.browse import MovieSort
from app.db.array_literals import array_literal
from app.serving.snapshot import MovieFilter, Snapshot
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import CallerError
from schema.core.pagination import (
    Connection,
    Edge,
    Window,
    info_of,
    moment,
    page_info,
    place_of,
    row_id,
)
from schema.execution.context import Info
from schema.types.movie import Movie, movie_of
from schema.types.movies.orders import WatchlistOrder, WatchlistOrderField
from schema.types.movies.pages import key_of

HISTORY, WATCHLIST = "history", "watchlist"
FeedbackKind = Kind  # import it from here, where its values get their descriptions
enum_of(
    FeedbackKind,
    "FeedbackKind",
    "The kind of a feedback event.",
    {
        Kind.IMPRESSION: "The movie was shown.",
        Kind.CLICK: "The viewer opened the movie.",
        Kind.WATCH: "The viewer watched the movie, up to `watchedFraction`.",
        Kind.LIKE: "The viewer likes the movie.",
        Kind.DISLIKE: "The viewer dislikes the movie.",
        Kind.NOT_INTERESTED: "The viewer rejected the movie. It is not recommended again.",
        Kind.WATCHLIST: "The viewer added the movie to the watchlist.",
    },
)


@strawberry.type(description="A feedback event of the viewer on a movie.")
class FeedbackEvent:
    kind: FeedbackKind = strawberry.field(description="The kind of event.")
    occurred_at: datetime = strawberry.field(description="When the event occurred.")
    watched_fraction: float | None = strawberry.field(
        description="The fraction of the movie that was watched, 0 to 1; only for `WATCH`."
    )
    movie: Movie = strawberry.field(description="The movie.")


@strawberry.type(description="An event in a page of history.")
class HistoryEdge(Edge[FeedbackEvent]):
    pass


@strawberry.type(description="A page of the viewer's events, by default newest first.")
class HistoryConnection(Connection[HistoryEdge]):
    user_id: strawberry.Private[int]
    wanted: strawberry.Private[Wanted]

    @strawberry.field(directives=[Cost(weight=110)], description="The number of events on all pages.")
    async def total_count(self, info: Info) -> int:
        return await history.count_events(info.context.sessions, self.user_id, self.wanted)

    @classmethod
    async def of(
        cls,
        info: Info,
        user_id: int,
        asked: Window,
        kinds: Sequence[FeedbackKind] | None,
        movie_filter: MovieFilter | None,
        *,
        newest_first: bool,
    ) -> Self:
        sessions = info.context.sessions
        movie_ids = None
        if movie_filter is not None:
            seen = await history.movies_of_events(sessions, user_id)
            movie_ids = (await asyncio.to_thread(passing, info.context.snapshot, movie_filter, seen))[0]
        wanted = Wanted(kinds, movie_ids, newest_first)
        found = await history.events(sessions, user_id, asked.count + 1, place_of(asked, row_id), wanted)
        edges = [await history_edge(info, asked.cursors, entry) for entry in found[: asked.count]]
        return cls(
            user_id=user_id,
            wanted=wanted,
            edges=edges,
            page_info=info_of(asked, edges, more=len(found) > asked.count),
        )


def passing(snapshot: Snapshot, movie_filter: MovieFilter, movie_ids: NDArray[np.int64]) -> tuple[str, int]:
    """Those of the movies that pass the filter, as an array literal, and their number."""
    positions = snapshot.positions(movie_ids)
    passed = movie_ids[(positions >= 0) & snapshot.mask(movie_filter)[positions]].tolist()
    return array_literal(passed), len(passed)


@strawberry.type(description="A page of the viewer's watchlist, by default most recently added first.")
class WatchlistConnection(Connection[Edge[Movie]]):
    user_id: strawberry.Private[int]
    counted: strawberry.Private[int | None] = None

    @strawberry.field(directives=[Cost(weight=70)], description="The number of movies on all pages.")
    async def total_count(self, info: Info) -> int:
        if self.counted is not None:
            return self.counted
        return await history.count_watchlist(info.context.sessions, self.user_id)

    @classmethod
    async def of(
        cls,
        info: Info,
        user_id: int,
        asked: Window,
        movie_filter: MovieFilter | None,
        order: WatchlistOrder | None,
    ) -> Self:
        order = order or WatchlistOrder(field=WatchlistOrderField.ADDED_AT)
        sort = order.by_facts()
        if sort is not None:
            return await cls.by_facts(info, user_id, asked, movie_filter or MovieFilter(), sort)
        sessions, movie_ids, counted = info.context.sessions, None, None
        if movie_filter is not None:
            listed = await history.movies_of_watchlist(sessions, user_id)
            movie_ids, counted = await asyncio.to_thread(passing, info.context.snapshot, movie_filter, listed)
        wanted = Wanted(movie_ids=movie_ids, newest_first=order.descending)
        found = await history.watchlist(sessions, user_id, asked.count + 1, place_of(asked, row_id), wanted)
        edges = [
            Edge(
                cursor=asked.cursors.encode(moment(entry.added_at), entry.movie_id),
                node=await known_movie(info, entry.movie_id),
            )
            for entry in found[: asked.count]
        ]
        more = len(found) > asked.count
        return cls(user_id=user_id, counted=counted, edges=edges, page_info=info_of(asked, edges, more=more))

    @classmethod
    async def by_facts(
        cls, info: Info, user_id: int, asked: Window, movie_filter: MovieFilter, sort: MovieSort
    ) -> Self:
        """The page in an order by facts of the movies."""
        snapshot, key = info.context.snapshot, key_of(sort, asked)
        positions = snapshot.positions(await history.movies_of_watchlist(info.context.sessions, user_id))
        among = np.zeros(len(snapshot.cards), np.bool_)
        among[positions[positions >= 0]] = True
        page = await asyncio.to_thread(
            browse.page, snapshot, movie_filter, sort, asked.count, key, among=among
        )
        edges = [
            Edge(cursor=asked.cursors.encode(*key), node=Movie.at(snapshot, position))
            for position, key in zip(page.positions.tolist(), page.keys, strict=True)
        ]
        return cls(
            user_id=user_id,
            counted=page.total,
            edges=edges,
            page_info=page_info(edges, has_previous=page.has_previous, has_next=page.has_next),
        )


async def history_edge(info: Info, cursors: Cursors, entry: HistoryEntry) -> HistoryEdge:
    return HistoryEdge(
        cursor=cursors.encode(moment(entry.occurred_at), entry.id),
        node=FeedbackEvent(
            kind=entry.kind,
            occurred_at=entry.occurred_at,
            watched_fraction=None if entry.watched_fraction is None else round(entry.watched_fraction, 4),
            movie=await known_movie(info, entry.movie_id),
        ),
    )


async def known_movie(info: Info, movie_id: int) -> Movie:
    movie = await movie_of(info.context, movie_id)
    if movie is None:
        raise CallerError("A movie was deleted during the request.")
    return movie
