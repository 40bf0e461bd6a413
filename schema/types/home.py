"""The home page and its shelves, each paginated on its own."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Self

import numpy as np
import strawberry
from strawberry import relay

from app.accounts import list_ids
from app.accounts.viewer import Viewer
from app.activity import ratings
from app.provenance.record import HomeShelf, ServedList
from app.recommendations import shelves
from app.recommendations.home import HomePage, Standing
from app.recommendations.recommend import Pick, Wish
from schema.core.constraints import CURSOR
from schema.core.cursors import Cursors, invalid_cursor
from schema.core.directives import Cost, ListSize
from schema.core.enums import enum_of
from schema.core.pagination import Connection, First, page_info, page_size
from schema.execution.context import Context, Info
from schema.execution.home_list import MAX_SHELVES, HomeList, asked_of
from schema.execution.list_cursor import model_for, require_model, treatment_of
from schema.types.movie import Movie, movies_of
from schema.types.person import Genre
from schema.types.recommendation import RecommendationEdge, detail_of, edges_of, may_be_diverse

SHELF = "shelf"
TITLES = {
    shelves.ShelfKind.TOP_PICKS: "Top picks",
    shelves.ShelfKind.POPULAR: "Popular",
    shelves.ShelfKind.NEW_RELEASES: "New releases",
    shelves.ShelfKind.TRENDING: "Trending",
    shelves.ShelfKind.REDISCOVER: "Rediscover",
}

enum_of(
    shelves.ShelfKind,
    "ShelfKind",
    "How a shelf is built.",
    {
        shelves.ShelfKind.TOP_PICKS: "The best matches for the member.",
        shelves.ShelfKind.POPULAR: "The best movies without a member's history.",
        shelves.ShelfKind.BECAUSE_YOU_LIKED: "The movies most similar to one that the member liked.",
        shelves.ShelfKind.GENRE: "The best matches for the member in a genre they chose or like.",
        shelves.ShelfKind.NEW_RELEASES: "The best of the newest movies.",
        shelves.ShelfKind.TRENDING: "The most rated recently; a rating's weight halves every 14 days.",
        shelves.ShelfKind.REDISCOVER: "Movies that the member rated highly long ago and has not watched "
        "since, and the most similar movies.",
    },
)


@strawberry.type(description="A page of a shelf.")
class ShelfConnection(Connection[RecommendationEdge]):
    pass


@strawberry.type(description="A titled row of movies. No movie appears on two shelves of a home page.")
class Shelf(relay.Node):
    id: relay.NodeID[str]
    title: str = strawberry.field(description="The title to show.")
    kind: shelves.ShelfKind = strawberry.field(description="How the shelf is built.")
    movie: Movie | None = strawberry.field(description="The liked movie that the shelf is based on, if any.")
    genre: Genre | None = strawberry.field(description="The genre of the shelf, if any.")
    home: strawberry.Private[HomePage]
    shelf: strawberry.Private[shelves.Shelf]
    rated_since: strawberry.Private[frozenset[int]]
    home_list: strawberry.Private[HomeList]

    @classmethod
    def of(
        cls,
        context: Context,
        home_list: HomeList,
        home: HomePage,
        shelf: shelves.Shelf,
        rated_since: frozenset[int] = frozenset(),
    ) -> Self:
        movie = genre = None
        title = TITLES.get(shelf.kind, "")
        if shelf.kind is shelves.ShelfKind.BECAUSE_YOU_LIKED and shelf.subject is not None:
            movie = movies_of(context.snapshot, [shelf.subject]).get(shelf.subject)
            title = f"Because you liked {movie.title}" if movie else ""
        if shelf.kind is shelves.ShelfKind.GENRE and shelf.subject is not None:
            row = context.snapshot.genre(shelf.subject)
            genre, title = (None, "") if row is None else (Genre.of(row), row.name)
        return cls(
            id=f"{home_list.key}/{shelf.kind}/{shelf.subject or 0}",
            title=title,
            kind=shelf.kind,
            movie=movie,
            genre=genre,
            home=home,
            shelf=shelf,
            rated_since=rated_since,
            home_list=home_list,
        )

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """Rebuild the viewer's shelves from the home pages they belong to.

        None for a shelf that is now empty, and for one of a page that was not made for the viewer.
        """
        context = info.context
        node_ids = list(node_ids)
        viewer = await context.viewer()
        owner = None if viewer is None else viewer.id
        found: dict[str, Self] = {}
        for asked in dict.fromkeys(HomeList.of(node_id) for node_id in node_ids):
            if not list_ids.was_issued(context.settings, asked.request_id, owner):
                continue
            home_list, user = await asked.with_treatment(context, viewer)
            model = context.served.model_of(asked.version, asked.shown_at) or require_model(context)
            home = await home_list.home(context, model, user)
            rated_since: frozenset[int] = frozenset()
            if viewer is not None:
                since = await ratings.rated_since(context.sessions, [viewer.id], home_list.shown_at)
                rated_since = frozenset(since.tolist())
            for shelf in home.shelves:
                made = cls.of(context, home_list, home, shelf, rated_since)
                found[made.id] = made
        return [found.get(node_id) for node_id in node_ids]

    @strawberry.field(directives=[Cost(weight=40, viewer=50)], description="The movies on the shelf.")
    async def movies(
        self,
        info: Info,
        first: First,
        after: Annotated[
            str | None,
            strawberry.argument(
                description="The cursor to continue after. Query the shelf by its id to use one.",
                directives=[CURSOR],
            ),
        ] = None,
    ) -> ShelfConnection:
        size = page_size("first", first)
        viewer = await info.context.viewer()
        cursors = Cursors.of(info, SHELF, [self.id, viewer and viewer.id])
        standing = standing_of(cursors, after)
        asked = size, standing, self.rated_since, detail_of(info)
        page = await asyncio.to_thread(self.home.page, self.shelf, *asked)
        picks = [pick for pick, _ in page.picks]
        self._record(info.context, viewer, picks, size, standing)
        edges = edges_of(
            info.context.snapshot, picks, cursors.encode_all(tuple(behind) for _, behind in page.picks)
        )
        return ShelfConnection(
            edges=edges,
            page_info=page_info(edges, has_previous=standing is not None, has_next=page.has_next),
        )

    def _record(
        self, context: Context, viewer: Viewer | None, picks: list[Pick], size: int, after: Standing | None
    ) -> None:
        """Record the page of the shelf as served."""
        home_list, user_id = self.home_list, None if viewer is None else viewer.id
        context.recorder.add(
            ServedList(
                name=SHELF,
                request_id=home_list.request_id,
                user_id=user_id,
                shown_at=home_list.shown_at,
                model=self.home.shelving.model,
                snapshot=self.home.shelving.snapshot,
                users=((user_id, self.home.shelving.user),),
                picks=picks,
                first=size,
                after_rank=0 if after is None else after.rank,
                wish=Wish(diversity=home_list.diversity),
                arm=home_list.label,
                skipped=np.array(sorted(self.rated_since), np.int64),
                shelf=HomeShelf(
                    home=self.home,
                    shelf=self.shelf,
                    count=home_list.count,
                    per_shelf=home_list.per_shelf,
                    after=after,
                ),
            )
        )


def standing_of(cursors: Cursors, after: str | None) -> Standing | None:
    """Decode a shelf's cursor. Raises BadArgument if it belongs to another shelf or home page."""
    match after and cursors.decode(after):
        case None | "":
            return None
        case (int(rank), int(place), float(score), int(movie_id)):
            return Standing(rank, place, score, movie_id)
    raise invalid_cursor(wanted="this shelf: ask `node` for the shelf by its id")


@strawberry.type(description="The home page: shelves of movies. No movie appears on two shelves.")
class Home:
    request_id: strawberry.ID = strawberry.field(
        description="Id of the page, the same on all its shelves. Pass it to `recordFeedback`."
    )
    model_version: str = strawberry.field(description="The model that ranked the movies.")
    arm: str | None = strawberry.field(
        description="The arms of experiments that the page has, as `experiment/arm`, separated by spaces; "
        "null without one."
    )
    shelves: list[Shelf] = strawberry.field(description="The shelves, in display order.")


@strawberry.type
class HomeQuery:
    @strawberry.field(
        directives=[
            Cost(weight=80, viewer=370),
            ListSize(slicing_arguments=["shelves"], sized_fields=["shelves"]),
        ],
        description="The viewer's home page, or a general one when signed out. Shelves with too few movies "
        "are left out, and later shelves take their place.",
    )
    async def home(
        self,
        info: Info,
        shelves: Annotated[
            int,
            strawberry.argument(
                description=f"Maximum number of shelves, 1 to {MAX_SHELVES}.",
                directives=[Cost(weight=20, viewer=60)],
            ),
        ],
        per_shelf: Annotated[
            int,
            strawberry.argument(description="Number of movies per shelf on the page, 1 to 100."),
        ],
    ) -> Home:
        context = info.context
        require_model(context)
        count, size = asked_of(shelves, per_shelf)
        viewer, user = await context.viewer_and_history(shown=may_be_diverse(context, None))
        treatment = None if user is None else treatment_of(context, viewer, user.rated)
        model = model_for(context, treatment)
        request_id = list_ids.issue(context.settings, None if viewer is None else viewer.id)
        home_list = HomeList(request_id, model.version, context.pinned_at, count, size, treatment)
        home = await home_list.home(context, model, user)
        return Home(
            request_id=strawberry.ID(str(home_list.request_id)),
            model_version=model.version,
            arm=home_list.label,
            shelves=[Shelf.of(context, home_list, home, shelf) for shelf in home.shelves],
        )
