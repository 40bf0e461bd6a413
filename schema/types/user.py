"""Members, and the fields that only the viewer sees of themselves."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry import relay

from app.accounts import preferences
from app.accounts.viewer import Viewer
from app.recommendations import nights, similar_users
from app.recommendations.history import UserHistory
from app.recommendations.taste_profile import Opinions
from app.serving.snapshot import Snapshot
from schema.core.constraints import Constraint
from schema.core.cursors import Cursors
from schema.core.directives import Cost, ListSize
from schema.core.errors import CallerError, ErrorCode
from schema.core.pagination import (
    After,
    Before,
    First,
    FirstOrNone,
    Last,
    page_size,
    window,
)
from schema.execution.context import Info
from schema.types.activity import (
    HISTORY,
    WATCHLIST,
    FeedbackKind,
    HistoryConnection,
    WatchlistConnection,
)
from schema.types.movie_filter import Filter, OrderDirection, wanted
from schema.types.movies.nights import Night
from schema.types.movies.orders import RatingOrder, WatchlistOrder
from schema.types.movies.own_ratings import RATINGS, RatingConnection
from schema.types.person import Genre
from schema.types.session import SESSIONS, SessionConnection
from schema.types.steering.preference import Preference, preferences_of
from schema.types.taste import Taste


@strawberry.type(description="A member of similar taste.")
class SimilarUser:
    similarity: float = strawberry.field(
        description="Correlation of both members' ratings, 0 to 1; shrunk toward 0 for few movies."
    )
    common_movies: int = strawberry.field(description="The number of movies that both members rated.")
    user: "User" = strawberry.field(description="The member.")


def taste_in(snapshot: Snapshot, known: UserHistory) -> Taste:
    return Taste.of(Opinions.of(snapshot, known.movie_ids, known.stars, known.rated))


@strawberry.type(
    description="A member. All fields but `id`, `username` and `simulated` are visible only to the member."
)
class User(relay.Node):
    id: relay.NodeID[int]
    username: str = strawberry.field(description="The member's username.")

    @strawberry.field(
        directives=[Cost(weight=750)], description="The member's taste profile, by genre, decade and person."
    )
    async def taste(self, info: Info) -> Taste:
        await self.require_own(info)
        return await asyncio.to_thread(taste_in, info.context.snapshot, await info.context.history())

    @strawberry.field(
        directives=[Cost(weight=130)],
        description="The member's feedback events, by default newest first.",
    )
    async def history(
        self,
        info: Info,
        first: First,
        after: After = None,
        kinds: Annotated[
            list[FeedbackKind] | None,
            strawberry.argument(
                description="Return only events of these kinds.",
                directives=[Constraint(max_items=len(FeedbackKind))],
            ),
        ] = None,
        filter: Filter = None,  # noqa: A002 - as in `movies`
        direction: Annotated[
            OrderDirection | None,
            strawberry.argument(
                description="Newest first by default; oldest first with `ASC`. A cursor is valid only in its "
                "own direction."
            ),
        ] = None,
    ) -> HistoryConnection:
        newest_first = direction is not OrderDirection.ASC
        asked = window(Cursors.of(info, HISTORY, self.id), first, after)
        await self.require_own(info)
        kind = None if filter is None else wanted(filter, info.context.snapshot)
        return await HistoryConnection.of(info, self.id, asked, kinds, kind, newest_first=newest_first)

    @strawberry.field(
        directives=[Cost(weight=130)],
        description="The member's watchlist, by default most recently added first. Movies that were since "
        "rated, watched to the end or rejected are left out.",
    )
    async def watchlist(
        self,
        info: Info,
        first: First,
        after: After = None,
        filter: Filter = None,  # noqa: A002 - as in `movies`
        order_by: Annotated[
            WatchlistOrder | None,
            strawberry.argument(description="The sort order. A cursor is valid only in its own order."),
        ] = None,
    ) -> WatchlistConnection:
        asked = window(Cursors.of(info, WATCHLIST, self.id), first, after)
        await self.require_own(info)
        kind = None if filter is None else wanted(filter, info.context.snapshot)
        return await WatchlistConnection.of(info, self.id, asked, kind, order_by)

    @strawberry.field(
        directives=[Cost(weight=1900)],
        description="Discoverable members of similar taste, most similar first. Simulated members are marked "
        "with `simulated`.",
    )
    async def similar_users(self, info: Info, first: First) -> list[SimilarUser]:
        size = page_size("first", first)
        await self.require_own(info)
        context = info.context
        found = await similar_users.similar(context.sessions, context.snapshot, self.id, size)
        return [
            SimilarUser(
                similarity=round(neighbor.similarity, 4),
                common_movies=neighbor.common_movies,
                user=User(
                    id=neighbor.user_id,
                    username=neighbor.username,
                    member_since=neighbor.created_at,
                    simulated=neighbor.simulated,
                ),
            )
            for neighbor in found
        ]

    async def require_own(self, info: Info) -> Viewer:
        viewer = await info.context.require_viewer()
        if viewer.id != self.id:
            raise CallerError(f"Only {self.username} may see this.", ErrorCode.FORBIDDEN)
        return viewer

    member_since: strawberry.Private[datetime]
    simulated: bool = strawberry.field(
        default=False,
        description="Whether the account is simulated.",
    )

    @classmethod
    def of(cls, viewer: Viewer) -> Self:
        return cls(id=viewer.id, username=viewer.username, member_since=viewer.created_at)

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """Return the viewer for their own id; None for all others, which hides whether they exist."""
        viewer = await info.context.viewer()
        return [cls.of(viewer) if viewer and node_id == str(viewer.id) else None for node_id in node_ids]

    @strawberry.field(description="When the account was created.")
    async def created_at(self, info: Info) -> datetime:
        await self.require_own(info)
        return self.member_since

    @strawberry.field(
        directives=[Cost(weight=80), ListSize(assumed_size=5)],
        description="The member's favorite genres, most preferred first.",
    )
    async def favorite_genres(self, info: Info) -> list[Genre]:
        await self.require_own(info)
        wanted = await preferences.favorite_genre_ids(info.context.sessions, self.id)
        known = {row.id: row for row in info.context.snapshot.genres}
        return [Genre.of(known[genre_id]) for genre_id in wanted if genre_id in known]

    @strawberry.field(
        directives=[Cost(weight=80), ListSize(assumed_size=10)],
        description="What the member asked for more or less of, last set first.",
    )
    async def preferences(self, info: Info) -> list[Preference]:
        await self.require_own(info)
        return await preferences_of(info, self.id)

    @strawberry.field(
        directives=[Cost(weight=65)],
        description="The member's ratings, by default newest first. By title, those of movies that are "
        "hidden from lists are left out.",
    )
    async def ratings(
        self,
        info: Info,
        first: FirstOrNone = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        order_by: Annotated[
            RatingOrder | None,
            strawberry.argument(description="The sort order. A cursor is valid only in its own order."),
        ] = None,
    ) -> RatingConnection:
        asked = window(Cursors.of(info, RATINGS, self.id), first, after, last, before)
        await self.require_own(info)
        return await RatingConnection.of(info, self.id, asked, order_by)

    @strawberry.field(directives=[Cost(weight=60)], description="The member's movie night; null without one.")
    async def night(self, info: Info) -> Night | None:
        await self.require_own(info)
        found = await nights.night_of(info.context.sessions, self.id)
        return None if found is None else Night.of(found)

    @strawberry.field(directives=[Cost(weight=60)], description="The member's sessions, newest first.")
    async def sessions(
        self,
        info: Info,
        first: First,
        after: After = None,
    ) -> SessionConnection:
        asked = window(Cursors.of(info, SESSIONS, self.id), first, after)
        return await SessionConnection.of(info, await self.require_own(info), asked)

    @strawberry.field(
        directives=[Cost(weight=50)],
        description="Whether other members can find the member in `similarUsers` and name them in "
        "`groupRecommendations`. False unless set with `setDiscoverable`.",
    )
    async def discoverable(self, info: Info) -> bool:
        await self.require_own(info)
        return await preferences.discoverable(info.context.sessions, self.id)


@strawberry.type
class UserQuery:
    @strawberry.field(
        directives=[Cost(weight=0, viewer=110)], description="The signed-in member; null when signed out."
    )
    async def viewer(self, info: Info) -> User | None:
        viewer = await info.context.viewer()
        return None if viewer is None else User.of(viewer)
