"""Paginate a member's feedback events and watchlist."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import strawberry

from app.activity import history
from app.activity.feedback import Kind
from app.activity.history import HistoryEntry
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.errors import CallerError
from schema.core.pagination import Connection, Edge, Window, info_of, moment, place_of, row_id
from schema.execution.context import Info
from schema.types.feedback import FeedbackKind
from schema.types.movie import Movie, movie_of

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


@strawberry.type(description="A page of the viewer's events, newest first.")
class HistoryConnection(Connection[HistoryEdge]):
    user_id: strawberry.Private[int]
    kinds: strawberry.Private[Sequence[Kind] | None]

    @strawberry.field(directives=[Cost(weight=110)], description="The number of events on all pages.")
    async def total_count(self, info: Info) -> int:
        return await history.count_events(info.context.sessions, self.user_id, self.kinds)

    @classmethod
    async def of(cls, info: Info, user_id: int, asked: Window, kinds: Sequence[FeedbackKind] | None) -> Self:
        key = place_of(asked, row_id)
        found = await history.events(info.context.sessions, user_id, asked.count + 1, key, kinds)
        edges = [await history_edge(info, asked.cursors, entry) for entry in found[: asked.count]]
        return cls(
            user_id=user_id,
            kinds=kinds,
            edges=edges,
            page_info=info_of(asked, edges, more=len(found) > asked.count),
        )


@strawberry.type(description="A page of the viewer's watchlist, most recently added first.")
class WatchlistConnection(Connection[Edge[Movie]]):
    user_id: strawberry.Private[int]

    @strawberry.field(directives=[Cost(weight=70)], description="The number of movies on all pages.")
    async def total_count(self, info: Info) -> int:
        return await history.count_watchlist(info.context.sessions, self.user_id)

    @classmethod
    async def of(cls, info: Info, user_id: int, asked: Window) -> Self:
        key = place_of(asked, row_id)
        found = await history.watchlist(info.context.sessions, user_id, asked.count + 1, key)
        edges = [
            Edge(
                cursor=asked.cursors.encode(moment(wanted.added_at), wanted.movie_id),
                node=await known_movie(info, wanted.movie_id),
            )
            for wanted in found[: asked.count]
        ]
        return cls(
            user_id=user_id, edges=edges, page_info=info_of(asked, edges, more=len(found) > asked.count)
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
