"""`mergeMember` and `createMergeCode`: take over what a visitor or another member did into an account."""

from datetime import datetime
from typing import Annotated

import strawberry

from app.accounts.external_members import MAX_ID_LENGTH
from app.accounts.viewer import Role, Viewer
from app.activity import merging
from app.activity.merging import LONGEST_CODE, MAX_CHOICES, MAX_VISITOR_ID_LENGTH, Merged
from schema.core.constraints import DECOMPOSED, Constraint
from schema.core.constraints import MAX_ID_LENGTH as MAX_GLOBAL_ID
from schema.core.directives import Cost
from schema.core.errors import Error
from schema.core.global_ids import local_id
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.user import User

MOVIES = Constraint(max_items=MAX_CHOICES + 100, max_length=MAX_GLOBAL_ID)


@strawberry.input(
    description="What to take over: either the choices of a visitor, or a member of another system by `code` "
    "or `externalId`."
)
class MergeMemberInput:
    visitor_id: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=DECOMPOSED * MAX_VISITOR_ID_LENGTH)],
        description="An id that your client gives the visitor, such as a UUID, 1 to 200 characters. The "
        "choices of a visitor are taken over once. Required with `likes` and `dislikes`.",
    )
    likes: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        directives=[MOVIES, Cost(weight=1)],
        description="Movies that the visitor liked; together with `dislikes` at most 500. Movies that were "
        "deleted are ignored.",
    )
    dislikes: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        directives=[MOVIES, Cost(weight=1)],
        description="Movies that the visitor disliked.",
    )
    code: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=LONGEST_CODE)],
        description="A code that `createMergeCode` made for the member.",
    )
    external_id: str | None = strawberry.field(
        default=None,
        directives=[Constraint(max_length=DECOMPOSED * MAX_ID_LENGTH)],
        description="The id of another member of your system, for an API key that acts for the viewer.",
    )


@strawberry.type(description="The viewer has what was taken over. The next list reflects it.")
class MergeMemberPayload:
    viewer: User = strawberry.field(description="The member who has it.")
    already_merged: bool = strawberry.field(
        description="Whether all of it had been taken over before, so that nothing changed."
    )
    choices: int = strawberry.field(
        description="The number of likes and dislikes taken over. Movies on which the viewer has an opinion "
        "are left out."
    )
    ratings: int = strawberry.field(
        description="The number of ratings taken over. Of two ratings of a movie the later one stays."
    )
    events: int = strawberry.field(description="The number of events taken over.")


@strawberry.type(description="The merge breaks a rule. Nothing was taken over.")
class InvalidMerge(Error):
    pass


@strawberry.type(description="The code was made.")
class CreateMergeCodePayload:
    code: str = strawberry.field(
        description="Send it to `mergeMember`, signed in as the account. Keep it secret."
    )
    expires_at: datetime = strawberry.field(description="When the code expires, after 10 minutes.")


MergeMemberResult = Annotated[
    MergeMemberPayload | InvalidMerge,
    strawberry.union("MergeMemberResult", description="Outcomes of `mergeMember`."),
]
CreateMergeCodeResult = Annotated[
    CreateMergeCodePayload | InvalidMerge,
    strawberry.union("CreateMergeCodeResult", description="Outcomes of `createMergeCode`."),
]


@strawberry.type
class MergeMutation:
    @strawberry.mutation(
        directives=[Cost(weight=400)],
        description="Take over what an anonymous visitor liked, or all that a member of another system did, "
        "into the viewer's account, once. The id in the other system then names the account.",
        extensions=requires(Role.USER, noted_for_keys=True),
    )
    @outcomes({merging.InvalidMerge: InvalidMerge})
    async def merge_member(
        self,
        info: Info,
        input: Annotated[MergeMemberInput, strawberry.argument(description="What to take over.")],  # noqa: A002
    ) -> MergeMemberResult:
        viewer = await info.context.require_viewer()
        chosen = bool(input.likes or input.dislikes)
        if [chosen, input.code is not None, input.external_id is not None].count(True) != 1:
            raise merging.InvalidMerge(
                "Send exactly one of: `likes` and `dislikes`; a `code`; an `externalId`."
            )
        merged = await (merged_choices if chosen else merged_member)(info, viewer, input)
        return MergeMemberPayload(
            viewer=User.of(viewer),
            already_merged=merged.already,
            choices=merged.choices,
            ratings=merged.ratings,
            events=merged.events,
        )

    @strawberry.mutation(
        directives=[Cost(weight=180)],
        description="Make a code with which an account can take over the viewer, a member of another system: "
        "send it to `mergeMember`, signed in as the account.",
        extensions=requires(Role.USER, noted_for_keys=True),
    )
    @outcomes({merging.InvalidMerge: InvalidMerge})
    async def create_merge_code(self, info: Info) -> CreateMergeCodeResult:
        viewer, context = await info.context.require_viewer(), info.context
        code, expires_at = await merging.make_code(context.sessions, context.settings, viewer.id)
        return CreateMergeCodePayload(code=code, expires_at=expires_at)


async def merged_choices(info: Info, viewer: Viewer, given: MergeMemberInput) -> Merged:
    likes, dislikes = (
        [local_id(id_, "Movie", f"input.{name}[{place}]") for place, id_ in enumerate(ids)]
        for name, ids in (("likes", given.likes), ("dislikes", given.dislikes))
    )
    if given.visitor_id is None:
        raise merging.InvalidMerge("Choices need a `visitorId`, so that they are taken over once.")
    visitor_id = given.visitor_id
    return await merging.merge_choices(info.context.sessions, viewer.id, visitor_id, likes, dislikes)


async def merged_member(info: Info, viewer: Viewer, given: MergeMemberInput) -> Merged:
    context = info.context
    if given.code is not None:
        pair = merging.pair_in(context.settings, given.code)
    else:
        key = None if viewer.key_id is None else await context.authentication.key()
        if key is None or key.source is None:
            raise merging.InvalidMerge(
                "`externalId` is for an API key that acts for the viewer. Others send a `code`."
            )
        pair = key.source, given.external_id or ""
    return await merging.merge_external(context.sessions, viewer.id, *pair)
