"""Movie nights: share lists for a group by a link."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry

from app.accounts.viewer import Role
from app.recommendations import nights
from schema.core.constraints import GLOBAL_ID
from schema.core.directives import Cost, ListSize
from schema.core.errors import Error
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires

HOURS = int(nights.LIFE.total_seconds()) // 3600


@strawberry.type(
    description="A movie night. Its members may name each other in `groupRecommendations`, also those who "
    "are not discoverable."
)
class Night:
    code: strawberry.ID = strawberry.field(
        description="Send it to others, such as in a link: a member who has it may call `joinNight`."
    )
    ends_at: datetime = strawberry.field(description="When the night ends, and its code with it.")
    usernames: list[str] = strawberry.field(
        directives=[ListSize(assumed_size=nights.MAX_MEMBERS)],
        description="The members, first the one who has been there longest.",
    )

    @classmethod
    def of(cls, night: nights.Night) -> Self:
        return cls(code=strawberry.ID(str(night.code)), ends_at=night.ends_at, usernames=night.usernames)


@strawberry.input(description="The night to join.")
class JoinNightInput:
    code: strawberry.ID = strawberry.field(directives=[GLOBAL_ID], description="`code` of the night.")


@strawberry.type(description="The viewer has a night.")
class OpenNightPayload:
    night: Night = strawberry.field(description="The night, of the viewer alone.")


@strawberry.type(description="The viewer is a member of the night.")
class JoinNightPayload:
    night: Night = strawberry.field(description="The night.")


@strawberry.type(description="The viewer has no night.")
class LeaveNightPayload:
    left: bool = strawberry.field(description="Whether there was a night to leave.")


@strawberry.type(description="The night cannot be joined: it has ended, or has no place left.")
class InvalidNight(Error):
    pass


JoinNightResult = Annotated[
    JoinNightPayload | InvalidNight,
    strawberry.union("JoinNightResult", description="Outcomes of `joinNight`."),
]


@strawberry.type
class NightMutation:
    @strawberry.mutation(
        directives=[Cost(weight=180)],
        description=f"Begin a movie night of the viewer, for {HOURS} hours, to which others may be "
        "invited by its code. The viewer leaves an earlier night.",
        extensions=requires(Role.USER),
    )
    async def open_night(self, info: Info) -> OpenNightPayload:
        viewer = await info.context.require_viewer()
        return OpenNightPayload(night=Night.of(await nights.open_night(info.context.sessions, viewer.id)))

    @strawberry.mutation(
        directives=[Cost(weight=220)],
        description=f"Join a movie night, which has at most {nights.MAX_MEMBERS} members. They see how well "
        "movies match the viewer until it ends. The viewer leaves an earlier night.",
        extensions=requires(Role.USER),
    )
    @outcomes({nights.InvalidNight: InvalidNight})
    async def join_night(
        self,
        info: Info,
        input: Annotated[JoinNightInput, strawberry.argument(description="The night.")],  # noqa: A002
    ) -> JoinNightResult:
        viewer = await info.context.require_viewer()
        night = await nights.join(info.context.sessions, viewer.id, code_in(input.code))
        return JoinNightPayload(night=Night.of(night))

    @strawberry.mutation(
        directives=[Cost(weight=180)],
        description="Leave the viewer's movie night. Its other members no longer see the viewer.",
        extensions=requires(Role.USER),
    )
    async def leave_night(self, info: Info) -> LeaveNightPayload:
        viewer = await info.context.require_viewer()
        return LeaveNightPayload(left=await nights.leave(info.context.sessions, viewer.id))


def code_in(given: strawberry.ID) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        raise nights.InvalidNight("This is not the code of a night. Copy the whole link.") from None
