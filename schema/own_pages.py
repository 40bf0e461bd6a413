"""What members see of themselves: their taste, their events, their watchlist, and whom they are like."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry import relay

from app import neighbors
from app.accounts import Viewer
from app.recommendations import Taste as Known
from app.snapshot import Snapshot
from app.taste import Opinions
from schema.constraints import Constraint
from schema.context import Info
from schema.cost import Cost
from schema.cursors import Cursors
from schema.diary import HISTORY, WATCHLIST, HistoryConnection, WatchlistConnection
from schema.errors import CallerError, ErrorCode
from schema.feedback import FeedbackKind
from schema.pagination import After, First, page_size, window
from schema.taste import Taste

if TYPE_CHECKING:
    from schema.user import User


@strawberry.type(description="A member of like taste.")
class SimilarUser:
    similarity: float = strawberry.field(
        description="Correlation of the stars that both gave, 0 to 1; drawn to 0 where both know few films."
    )
    common_movies: int = strawberry.field(description="How many films both have rated.")
    user: Annotated["User", strawberry.lazy("schema.user")] = strawberry.field(description="The member.")


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

    @strawberry.field(directives=[Cost(weight=70)], description="What they did with films, newest first.")
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
        description="Films put on the watchlist and not rated, watched to the end or turned down since; the "
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
        from schema.user import User  # noqa: PLC0415 - it is made of this

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
