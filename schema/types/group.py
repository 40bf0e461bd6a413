"""Group recommendations: one list for several members."""

import asyncio
from typing import Annotated

import strawberry

from app.accounts.usernames import MAX_GIVEN_LENGTH
from app.accounts.viewer import Role
from app.activity import ratings
from app.recommendations import groups
from app.recommendations.groups import GroupPicks, Member
from app.recommendations.nights import MAX_MEMBERS
from app.recommendations.recommend import Wish
from app.serving.model import Model
from schema.core.constraints import Constraint
from schema.core.cursors import Cursors
from schema.core.directives import Cost, ListSize
from schema.core.errors import BadArgument
from schema.core.pagination import After, Connection, Edge, First, page_info, page_size
from schema.execution.context import Context, Info
from schema.execution.list_cursor import ListPage
from schema.execution.permissions import requires
from schema.types.movie import Movie, movies_of
from schema.types.movie_filter import Filter, wanted

FIELD = "groupRecommendations"

Usernames = Annotated[
    list[str],
    strawberry.argument(
        description=f"Usernames of 1 to {MAX_MEMBERS} members who are discoverable or of the viewer's "
        "movie night; the viewer may be one.",
        directives=[
            Constraint(max_items=MAX_MEMBERS, max_length=MAX_GIVEN_LENGTH),
            Cost(weight=135),
        ],
    ),
]


@strawberry.type(description="How well a movie matches a member of the group.")
class GroupMember:
    username: str = strawberry.field(description="The member's username.")
    match_percent: int | None = strawberry.field(
        description="Calibrated probability, in percent, that the member would rate the movie 4 or more."
    )
    asked_for: str | None = strawberry.field(
        description="The genre, person or collection of the movie that the viewer asked for more of; null "
        "for other members, whose preferences are their own."
    )


@strawberry.type(description="A movie in a group's list.")
class GroupRecommendationEdge(Edge[Movie]):
    rank: int = strawberry.field(description="The movie's position in the list, from 1.")
    score: float = strawberry.field(description="The ranking score; comparable only within one list.")
    promoted: bool = strawberry.field(description="Whether a promotion of an operator decided the place.")
    members: list[GroupMember] = strawberry.field(
        directives=[ListSize(assumed_size=10)], description="The members, in the order of `usernames`."
    )


@strawberry.type(description="A page of a group's list, best first.")
class GroupRecommendationConnection(Connection[GroupRecommendationEdge]):
    request_id: strawberry.ID = strawberry.field(
        description="Id of the list, the same on all its pages. Pass it to `recordFeedback`."
    )
    model_version: str = strawberry.field(description="The model that made the list.")
    arm: str | None = strawberry.field(
        description="The viewer's arms of experiments that the list has, as `experiment/arm`, separated by "
        "spaces; null without one."
    )


@strawberry.type
class GroupQuery:
    @strawberry.field(
        directives=[Cost(weight=160)],
        description="Recommendations for a group. No movie that a member has rated or rejected is listed. A "
        "movie's score is half the members' average score and half the lowest member's score. The viewer may "
        "be left out of the group.",
        extensions=requires(Role.USER),
    )
    async def group_recommendations(
        self,
        info: Info,
        usernames: Usernames,
        first: First,
        after: After = None,
        filter: Filter = None,  # noqa: A002 - as in `recommendations`
    ) -> GroupRecommendationConnection:
        context = info.context
        viewer = await context.require_viewer()
        page = ListPage.of(context, viewer, Cursors.of(info, FIELD, viewer.id), after)
        page.model(context)  # the error of a missing model precedes those of arguments
        size = page_size("first", first)
        kind = wanted(filter, context.snapshot)
        if not usernames:
            raise BadArgument("usernames", f"must name 1 to {MAX_MEMBERS} members, not 0.")
        group = await members_of(context, viewer.id, usernames, page)
        page = page.treated(context, viewer, await n_ratings(context, viewer.id, group, page))
        model = page.model(context)
        wish = Wish(filter=kind, diversity=page.wish(Wish()).diversity)
        rated_since = await page.rated_since(context, [member.id for member in group])
        picks = await asyncio.to_thread(
            groups.recommend,
            context.snapshot,
            model,
            group,
            kind,
            first=size,
            after_rank=page.rank,
            rated_since=rated_since,
            promotions=context.promotions.live(page.shown_at),
            diversity=wish.diversity,
        )
        page.record(
            context,
            model,
            viewer.id,
            [(member.id, member.history) for member in group],
            picks.picks,
            first=size,
            wish=wish,
            skipped=rated_since,
        )
        return connection(context, model, page, viewer.id, group, picks)


async def members_of(context: Context, viewer_id: int, usernames: list[str], page: ListPage) -> list[Member]:
    """The members of the group. Raises BadArgument for a name without a discoverable member."""
    try:
        return await groups.members(context.sessions, viewer_id, usernames, page.shown_at)
    except groups.UnknownUsername as error:
        raise BadArgument(f"usernames[{error.place}]", str(error)) from None


async def n_ratings(context: Context, viewer_id: int, group: list[Member], page: ListPage) -> int | None:
    """The number of the viewer's ratings, if the target of an experiment needs it."""
    if page.rank or not context.running.needs_ratings:
        return None
    for member in group:
        if member.id == viewer_id:
            return member.history.rated
    # The viewer need not be in the group.
    return await ratings.count_ratings(context.sessions, viewer_id)


def connection(
    context: Context, model: Model, page: ListPage, viewer_id: int, group: list[Member], picks: GroupPicks
) -> GroupRecommendationConnection:
    movies = movies_of(context.snapshot, [pick.movie_id for pick in picks.picks])
    cursors = page.cursors_of(model, [pick.rank for pick in picks.picks])
    edges = [
        GroupRecommendationEdge(
            cursor=cursor,
            rank=pick.rank,
            score=pick.score,
            members=[
                GroupMember(
                    username=member.username,
                    match_percent=percent,
                    asked_for=asked_for if member.id == viewer_id else None,
                )
                for member, percent, asked_for in zip(group, pick.match_percents, pick.asked_for, strict=True)
            ],
            promoted=pick.promoted,
            node=movie,
        )
        for pick, cursor in zip(picks.picks, cursors, strict=True)
        if (movie := movies.get(pick.movie_id)) is not None
    ]
    return GroupRecommendationConnection(
        request_id=strawberry.ID(str(page.request_id)),
        model_version=model.version,
        arm=None if page.treatment is None else page.treatment.label,
        edges=edges,
        page_info=page_info(edges, has_previous=page.rank > 0, has_next=picks.has_next),
    )
