"""The viewer's ratings, in an order."""

import asyncio
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Self

import numpy as np
import strawberry

from app.activity import ratings
from app.catalog import browse
from app.catalog.browse import MovieSort, OrderField
from app.serving.snapshot import MovieFilter
from schema.core.directives import Cost
from schema.core.pagination import (
    Connection,
    Edge,
    Window,
    moment,
    of_moment,
    page_info,
    page_of,
    place_of,
    row_id,
)
from schema.execution.context import Info
from schema.types.movie import Rating
from schema.types.movies.orders import RatingOrder, RatingOrderField
from schema.types.movies.pages import key_of

RATINGS = "ratings"
NEWEST_FIRST = RatingOrder(field=RatingOrderField.RATED_AT)


@strawberry.type(description="A page of the viewer's ratings, by default newest first.")
class RatingConnection(Connection[Edge[Rating]]):
    user_id: strawberry.Private[int]

    @strawberry.field(directives=[Cost(weight=50)], description="The number of ratings on all pages.")
    async def total_count(self, info: Info) -> int:
        return await ratings.count_ratings(info.context.sessions, self.user_id)

    @classmethod
    async def of(cls, info: Info, user_id: int, asked: Window, order: RatingOrder | None) -> Self:
        order = order or NEWEST_FIRST
        if order.field is RatingOrderField.TITLE:
            return await cls.by_title(info, user_id, asked, MovieSort(OrderField.TITLE, order.descending))
        by_stars = order.field is RatingOrderField.STARS
        found = await ratings.user_ratings(
            info.context.sessions,
            user_id,
            asked.count + 1,
            place_by_stars(asked) if by_stars else place_of(asked, row_id),
            by_stars=by_stars,
            descending=order.descending,
            backward=asked.backward,
        )

        def edge(rating: ratings.Rating) -> Edge[Rating]:
            stars = (rating.half_stars,) if by_stars else ()
            cursor = asked.cursors.encode(*stars, moment(rating.rated_at), rating.movie_id)
            return Edge(cursor=cursor, node=Rating.of(rating))

        return page_of(partial(cls, user_id=user_id), asked, found, edge)

    @classmethod
    async def by_title(cls, info: Info, user_id: int, asked: Window, sort: MovieSort) -> Self:
        """The page by the titles of the movies. Ratings of movies that are not in lists are left out."""
        snapshot, sessions, key = info.context.snapshot, info.context.sessions, key_of(sort, asked)
        movie_ids, *_ = await ratings.history(sessions, user_id)
        positions = snapshot.positions(movie_ids)
        among = np.zeros(len(snapshot.cards), np.bool_)
        among[positions[positions >= 0]] = True
        page = await asyncio.to_thread(
            browse.page,
            snapshot,
            MovieFilter(),
            sort,
            asked.count,
            key,
            backward=asked.backward,
            among=among,
        )
        found = await ratings.ratings_of(sessions, user_id, [movie_id for _, movie_id in page.keys])
        edges = [
            Edge(cursor=asked.cursors.encode(*key), node=Rating.of(found[key[1]]))
            for key in page.keys
            if key[1] in found  # not removed meanwhile
        ]
        return cls(
            user_id=user_id,
            edges=edges,
            page_info=page_info(edges, has_previous=page.has_previous, has_next=page.has_next),
        )


def place_by_stars(asked: Window) -> tuple[int, datetime, int] | None:
    """The key of a list by stars, time and movie. Raises BadArgument for the cursor of another list."""
    match asked.key:
        case None:
            return None
        case (int(half_stars), int(microseconds), movie_id) if 0 < half_stars <= ratings.MAX_HALF_STARS:
            with suppress(ValueError, OverflowError):
                return half_stars, of_moment(microseconds), row_id(movie_id)
    raise asked.invalid_cursor()
