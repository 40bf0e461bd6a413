"""Members: the viewer, and what only the viewer sees of themselves."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry import relay

from app.accounts import preferences
from app.accounts.viewer import Viewer
from app.activity import ratings
from app.recommendations import similar_users as neighbors
from app.recommendations.history import Taste as Known
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
    info_of,
    moment,
    page_size,
    place_of,
    row_id,
    window,
)
from schema.execution.context import Info
from schema.types.activity import HISTORY, WATCHLIST, HistoryConnection, WatchlistConnection
from schema.types.feedback import FeedbackKind
from schema.types.movie import Rating
from schema.types.person import Genre
from schema.types.session import SESSIONS, SessionConnection
from schema.types.taste import Taste

RATINGS = "ratings"


@strawberry.type(description="A rating in a list of them.")
class RatingEdge:
    cursor: str = strawberry.field(
        description="Pass as `after` or `before` to fetch the items after or before this one."
    )
    node: Rating = strawberry.field(description="The rating.")


@strawberry.type(description="A page of the viewer's ratings.")
class RatingConnection:
    user_id: strawberry.Private[int]
    edges: list[RatingEdge] = strawberry.field(description="The ratings, newest first.")
    page_info: relay.PageInfo = strawberry.field(
        description="The page's cursors, and whether more pages exist."
    )

    @strawberry.field(directives=[Cost(weight=50)], description="The number of ratings on all pages.")
    async def total_count(self, info: Info) -> int:
        return await ratings.count_ratings(info.context.sessions, self.user_id)


@strawberry.type(description="A member of like taste.")
class SimilarUser:
    similarity: float = strawberry.field(
        description="Correlation of the stars that both gave, 0 to 1; drawn to 0 where both know few movies."
    )
    common_movies: int = strawberry.field(description="How many movies both have rated.")
    user: "User" = strawberry.field(description="The member.")


def taste_in(snapshot: Snapshot, known: Known) -> Taste:
    return Taste.of(Opinions.of(snapshot, known.movie_ids, known.stars, known.rated))


@strawberry.type
class OwnPages(relay.Node):
    id: relay.NodeID[int]
    username: str = strawberry.field(description="The name they sign in with.")

    @strawberry.field(
        directives=[Cost(weight=750)], description="What they like, by genre, decade and person."
    )
    async def taste(self, info: Info) -> Taste:
        await self.require_own(info)
        return await asyncio.to_thread(taste_in, info.context.snapshot, await info.context.taste())

    @strawberry.field(directives=[Cost(weight=70)], description="What they did with movies, newest first.")
    async def history(
        self,
        info: Info,
        first: First,
        after: After = None,
        kinds: Annotated[
            list[FeedbackKind] | None,
            strawberry.argument(
                description="Only events of these kinds.",
                directives=[Constraint(max_items=len(FeedbackKind))],
            ),
        ] = None,
    ) -> HistoryConnection:
        asked = window(Cursors.of(info, HISTORY, self.id), first, after)
        await self.require_own(info)
        return await HistoryConnection.of(info, self.id, asked, kinds)

    @strawberry.field(
        directives=[Cost(weight=130)],
        description="Movies put on the watchlist and not rated, watched to the end or turned down since; the "
        "last added first.",
    )
    async def watchlist(self, info: Info, first: First, after: After = None) -> WatchlistConnection:
        asked = window(Cursors.of(info, WATCHLIST, self.id), first, after)
        await self.require_own(info)
        return await WatchlistConnection.of(info, self.id, asked)

    @strawberry.field(
        directives=[Cost(weight=1900)],
        description="Members who rate as they do, most alike first, among those who let others find them. "
        "Simulated members are marked as such.",
    )
    async def similar_users(self, info: Info, first: First) -> list[SimilarUser]:
        from schema.types.user import User  # noqa: PLC0415 - it is made of this

        size = page_size("first", first)
        await self.require_own(info)
        context = info.context
        found = await neighbors.similar(context.sessions, context.snapshot, self.id, size)
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


@strawberry.type(description="A member. Only they themselves see more than id, username and `simulated`.")
class User(OwnPages):
    member_since: strawberry.Private[datetime]
    simulated: bool = strawberry.field(
        default=False,
        description="Whether they are no person, but drawn by a simulator.",
    )

    @classmethod
    def of(cls, viewer: Viewer) -> Self:
        return cls(id=viewer.id, username=viewer.username, member_since=viewer.created_at)

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """The viewer under their own id; nobody is told which other ids there are."""
        viewer = await info.context.viewer()
        return [cls.of(viewer) if viewer and node_id == str(viewer.id) else None for node_id in node_ids]

    @strawberry.field(description="When the account was made.")
    async def created_at(self, info: Info) -> datetime:
        await self.require_own(info)
        return self.member_since

    @strawberry.field(
        directives=[Cost(weight=80), ListSize(assumed_size=5)],
        description="The genres they chose, most preferred first.",
    )
    async def favorite_genres(self, info: Info) -> list[Genre]:
        await self.require_own(info)
        wanted = await preferences.favorite_genre_ids(info.context.sessions, self.id)
        known = {row.id: row for row in info.context.snapshot.genres}
        return [Genre.of(known[genre_id]) for genre_id in wanted if genre_id in known]

    @strawberry.field(directives=[Cost(weight=65)], description="What they have rated, newest first.")
    async def ratings(
        self,
        info: Info,
        first: FirstOrNone = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> RatingConnection:
        asked = window(Cursors.of(info, RATINGS, self.id), first, after, last, before)
        place = place_of(asked, row_id)
        await self.require_own(info)
        found = await ratings.user_ratings(
            info.context.sessions, self.id, asked.count + 1, place, backward=asked.backward
        )
        shown = found[-asked.count :] if asked.backward else found[: asked.count]
        edges = [
            RatingEdge(
                cursor=asked.cursors.encode(moment(rating.rated_at), rating.movie_id),
                node=Rating.of(rating),
            )
            for rating in shown
        ]
        return RatingConnection(
            user_id=self.id,
            edges=edges,
            page_info=info_of(asked, edges, more=len(found) > asked.count),
        )

    @strawberry.field(directives=[Cost(weight=60)], description="Where they are signed in, newest first.")
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
        description="Whether others find them: in `similarUsers`, and by name for a group's list. Off unless "
        "they chose it with `setDiscoverable`.",
    )
    async def discoverable(self, info: Info) -> bool:
        await self.require_own(info)
        return await preferences.discoverable(info.context.sessions, self.id)


@strawberry.type
class UserQuery:
    @strawberry.field(directives=[Cost(weight=0, viewer=110)], description="Who asks; null when signed out.")
    async def viewer(self, info: Info) -> User | None:
        viewer = await info.context.viewer()
        return None if viewer is None else User.of(viewer)
