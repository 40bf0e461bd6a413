"""Recommendations: for the viewer, for a visitor's likes, or popular movies."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import strawberry

from app.accounts.usernames import MAX_GIVEN_LENGTH
from app.accounts.viewer import Viewer
from app.activity import ratings
from app.recommendations.history import UserHistory, history_for_likes, history_of
from app.recommendations.recommend import Detail, Pick, Picks, Strategy, Wish, recommend
from app.recommendations.shadow import LiveList
from app.serving.model import Model
from app.serving.snapshot import Snapshot
from schema.core.constraints import MAX_ID_LENGTH, Constraint
from schema.core.cursors import Cursors
from schema.core.directives import Cost, ListSize
from schema.core.enums import enum_of
from schema.core.errors import BadArgument
from schema.core.global_ids import local_id
from schema.core.pagination import After, Connection, Edge, First, page_info, page_size
from schema.core.selection import selects
from schema.execution.context import Context, Info
from schema.execution.list_cursor import ListPage
from schema.types.movie import (
    Movie,
    PredictedRating,
    RecommendationReason,
    explained,
    movies_of,
)
from schema.types.movie_filter import Filter, wanted
from schema.types.operator.member_list import member_looked_at

FIELD = "recommendations"
MOVIE_IDS = Constraint(max_items=500, max_length=MAX_ID_LENGTH)

Diversity = Annotated[
    float | None,
    strawberry.argument(
        description="0 (best match first) to 1 (most varied). Above 0, franchises and directors are "
        "limited and movies shown often without a reaction rank lower. At 0 only `score` counts. "
        "A list with a diversity of the client is in no experiment."
    ),
]
Novelty = Annotated[
    float | None,
    strawberry.argument(description="0 to 1 (well-known movies rank lower). No effect if `diversity` is 0."),
]
Likes = Annotated[
    list[strawberry.ID] | None,
    strawberry.argument(
        description="Movies that a signed-out visitor likes; ignored when signed in.",
        directives=[MOVIE_IDS, Cost(weight=1, per=2)],
    ),
]
Looked = Annotated[
    str | None,
    strawberry.argument(
        name="for",
        description="A member whose list an administrator looks at, by username. The look is in the audit "
        "log; it is not recorded as shown to the member. Needs the role ADMIN, or an API key with the scope "
        "ADMIN.",
        directives=[Constraint(max_length=MAX_GIVEN_LENGTH)],
    ),
]
Excluded = Annotated[
    list[strawberry.ID] | None,
    strawberry.argument(description="Movies to leave out.", directives=[MOVIE_IDS, Cost(weight=1, per=10)]),
]

enum_of(
    Strategy,
    "RecommendationStrategy",
    "The basis of a list.",
    {
        Strategy.PERSONALIZED: "The member's own history.",
        Strategy.SESSION: "A signed-out visitor's likes.",
        Strategy.POPULAR: "Popularity; no history or likes are available.",
    },
)


@strawberry.type(description="A movie in a list of recommendations.")
class RecommendationEdge(Edge[Movie]):
    rank: int = strawberry.field(description="The movie's position in the list, from 1.")
    score: float = strawberry.field(description="The ranking score; comparable only within one list.")
    match_percent: int | None = strawberry.field(
        description="Calibrated probability, in percent, that the viewer would rate the movie 4 or more."
    )
    predicted_rating: PredictedRating | None = strawberry.field(
        description="The predicted rating; null if unknown."
    )
    reasons: list[RecommendationReason] = strawberry.field(
        directives=[ListSize(assumed_size=2)], description="The strongest reasons, best first."
    )


@strawberry.type(description="A page of a list of recommendations, best first.")
class RecommendationConnection(Connection[RecommendationEdge]):
    request_id: strawberry.ID = strawberry.field(
        description="Id of the list, the same on all its pages. Pass it to `recordFeedback`."
    )
    model_version: str = strawberry.field(description="The model that made the list.")
    strategy: Strategy = strawberry.field(description="The basis of the list.")
    arm: str | None = strawberry.field(
        description="The arms of experiments that the list has, as `experiment/arm`, separated by spaces; "
        "null without one."
    )


@strawberry.type
class RecommendationQuery:
    @strawberry.field(
        directives=[Cost(weight=80, viewer=460)],
        description="Recommended movies for the viewer; when signed out, for `likes`; with neither, popular "
        "movies. Rated movies are left out, and pages are full while movies remain.",
    )
    async def recommendations(
        self,
        info: Info,
        first: First,
        after: After = None,
        filter: Filter = None,  # noqa: A002 - the contract's name
        diversity: Diversity = None,
        novelty: Novelty = None,
        likes: Likes = None,
        exclude: Excluded = None,
        for_: Looked = None,
    ) -> RecommendationConnection:
        context = info.context
        taste = None
        if after is None and for_ is None:
            viewer, taste = await context.viewer_and_history(shown=may_be_diverse(context, diversity))
        else:
            viewer = await context.viewer()
        owner: object = viewer and viewer.id
        if for_ is not None:
            viewer = await member_looked_at(context, FIELD, for_)
            owner = ["for", viewer.id]
        page = ListPage.of(context, viewer, Cursors.of(info, FIELD, owner), after)
        if diversity is None:
            page = page.treated(context, viewer)
        wish = Wish(
            filter=wanted(filter, context.snapshot),
            diversity=valid_share("diversity", diversity),
            novelty=valid_share("novelty", novelty),
            exclude=movie_ids("exclude", exclude),
        )
        size = page_size("first", first)
        liked = known_movie_ids(context, "likes", likes)
        return await listed(
            context, viewer, page, wish, liked, size, taste, recorded=for_ is None, detail=detail_of(info)
        )


def detail_of(info: Info) -> Detail:
    """The parts of the matches that the operation selects, on a page of RecommendationEdge."""
    if selects(info, ("reasons",)):
        return Detail.REASONS
    return Detail.PREDICTIONS if selects(info, ("matchPercent", "predictedRating")) else Detail.NOTHING


def may_be_diverse(context: Context, diversity: float | None) -> bool:
    """Whether a list with this argument may have a diversity: also an experiment's, without the argument."""
    return bool(context.running.experiments) if diversity is None else diversity > 0


async def listed(
    context: Context,
    viewer: Viewer | None,
    page: ListPage,
    asked: Wish,
    liked: Sequence[int],
    size: int,
    taste: UserHistory | None = None,
    *,
    recorded: bool,
    detail: Detail,
) -> RecommendationConnection:
    """Make the page, for the member or for a visitor's likes. `recorded`: as served to them.

    `taste`: the member's history as of `page.shown_at`, if it is read already.
    """
    wish = page.wish(asked)
    rated_since = None
    if viewer is None:
        taste = history_for_likes(liked)
    else:
        if taste is None:
            taste = await history_of(context.sessions, viewer.id, page.shown_at, shown=wish.diversity > 0)
        rated_since = await page.rated_since(context, [viewer.id])
    if page.treatment is not None:
        page = page.treated(context, viewer, taste.rated)
        wish = page.wish(asked)
    if not wish.diversity:
        taste = replace(taste, shown=None)
    model = page.model(context)
    picks = await asyncio.to_thread(
        recommend,
        context.snapshot,
        model,
        taste,
        wish,
        signed_in=viewer is not None,
        first=size,
        after_rank=page.rank,
        rated_since=rated_since,
        promotions=context.promotions.live(page.shown_at),
        detail=detail,
    )
    user_id = None if viewer is None else viewer.id
    if context.shadow.run is not None and page.treatment is None and not page.rank:
        context.shadow.add(LiveList(taste, wish, viewer is not None))
    users = ((user_id, taste),)
    if recorded:
        page.record(context, model, user_id, users, picks.picks, first=size, wish=wish, skipped=rated_since)
    return connection(context, model, page, picks)


def valid_share(argument: str, share: float | None) -> float:
    if share is None:
        return 0.0
    if not (math.isfinite(share) and 0 <= share <= 1):
        raise BadArgument(argument, f"must be from 0 to 1, not {ratings.in_full(share)}.")
    return share


def movie_ids(argument: str, ids: list[strawberry.ID] | None) -> tuple[int, ...]:
    """Decode movie ids in an argument. Raises BadArgument for an id of another type."""
    return tuple(local_id(id_, "Movie", f"{argument}[{place}]") for place, id_ in enumerate(ids or ()))


def known_movie_ids(context: Context, argument: str, ids: list[strawberry.ID] | None) -> tuple[int, ...]:
    found = movie_ids(argument, ids)
    for place, movie_id in enumerate(found):
        if context.snapshot.position(movie_id) is None:
            raise BadArgument(f"{argument}[{place}]", "is not the id of a movie.")
    return found


def connection(context: Context, model: Model, page: ListPage, picks: Picks) -> RecommendationConnection:
    cursors = page.cursors_of(model, [pick.rank for pick in picks.picks])
    edges = edges_of(context.snapshot, picks.picks, cursors)
    return RecommendationConnection(
        request_id=strawberry.ID(str(page.request_id)),
        model_version=model.version,
        strategy=picks.strategy,
        arm=None if page.treatment is None else page.treatment.label,
        edges=edges,
        page_info=page_info(edges, has_previous=page.rank > 0, has_next=picks.has_next),
    )


def edges_of(snapshot: Snapshot, picks: Sequence[Pick], cursors: Sequence[str]) -> list[RecommendationEdge]:
    """The edges of ranked movies, without those deleted since the training."""
    named = {why.movie_id for pick in picks for why in pick.match.reasons if why.movie_id is not None}
    movies = movies_of(snapshot, named.union(pick.movie_id for pick in picks))
    edges = []
    for pick, cursor in zip(picks, cursors, strict=True):
        if (movie := movies.get(pick.movie_id)) is None:
            continue
        predicted, reasons = explained(pick.match, movies)
        edge = RecommendationEdge(
            cursor=cursor,
            rank=pick.rank,
            score=pick.score,
            match_percent=pick.match.match_percent,
            predicted_rating=predicted,
            reasons=reasons,
            node=movie,
        )
        edges.append(edge)
    return edges
