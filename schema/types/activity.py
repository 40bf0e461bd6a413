"""Paginate a member's feedback events and watchlist."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
import strawberry

from app.activity import history
from app.activity.history import HistoryEntry, Wanted, WatchlistEntry
from app.catalog import browse
from app.catalog.browse import MovieSort
from app.serving.snapshot import MovieFilter, Snapshot
from schema.core.cursors import Cursors
from schema.core.directives import Cost
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
from schema.types.feedback import FeedbackKind
from schema.types.movie import Movie, movie_of
from schema.types.movies.orders import WatchlistOrder, WatchlistOrderField
from schema.types.movies.pages import key_of

HISTORY, WATCHLIST = "history", "watchlist"


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
            movie_ids = await asyncio.to_thread(passing, info.context.snapshot, movie_filter, seen)
        wanted = Wanted(kinds, movie_ids, newest_first)
        found = await history.events(sessions, user_id, asked.count + 1, place_of(asked, row_id), wanted)
        edges = [await history_edge(info, asked.cursors, entry) for entry in found[: asked.count]]
        return cls(
            user_id=user_id,
            wanted=wanted,
            edges=edges,
            page_info=info_of(asked, edges, more=len(found) > asked.count),
        )


def passing(snapshot: Snapshot, movie_filter: MovieFilter, movie_ids: Sequence[int]) -> list[int]:
    """Those of the movies that pass the filter, in their order."""
    positions = snapshot.positions(movie_ids)
    passes = (positions >= 0) & snapshot.mask(movie_filter)[positions]
    return [movie_id for movie_id, kept in zip(movie_ids, passes.tolist(), strict=True) if kept]


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
        if movie_filter is None and order.descending:
            found = await history.watchlist(
                info.context.sessions, user_id, asked.count + 1, place_of(asked, row_id)
            )
            return await cls.by_time(info, user_id, asked, found, None)
        entries = await history.whole_watchlist(info.context.sessions, user_id)
        if movie_filter is not None:
            kept = set(
                await asyncio.to_thread(
                    passing, info.context.snapshot, movie_filter, [entry.movie_id for entry in entries]
                )
            )
            entries = [entry for entry in entries if entry.movie_id in kept]
        if not order.descending:
            entries.reverse()
        key = place_of(asked, row_id)
        start = 0
        if key is not None:
            places = [(entry.added_at, entry.movie_id) for entry in entries]
            passed = (key <= place if order.descending else place <= key for place in places)
            start = sum(passed)
        return await cls.by_time(info, user_id, asked, entries[start : start + asked.count + 1], len(entries))

    @classmethod
    async def by_time(
        cls,
        info: Info,
        user_id: int,
        asked: Window,
        found: Sequence[WatchlistEntry],
        counted: int | None,
    ) -> Self:
        """The page of the movies found, one beyond the page if there are more."""
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
        entries = await history.whole_watchlist(info.context.sessions, user_id)
        positions = snapshot.positions([entry.movie_id for entry in entries])
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
