"""Change the viewer's password."""

from typing import Annotated

import strawberry

from app.accounts import authentication, login_throttle
from app.accounts.viewer import Role
from schema.core.directives import Cost
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.account import PASSWORD, InvalidCredentials, TooManyAttempts, WeakPassword
from schema.types.user import User


@strawberry.input(description="A new password for the viewer's account.")
class ChangePasswordInput:
    current_password: str = strawberry.field(directives=[PASSWORD], description="The current password.")
    new_password: str = strawberry.field(
        directives=[PASSWORD],
        description="8 to 128 characters, at least 4 of them distinct. The username and the most common "
        "passwords are not allowed.",
    )


@strawberry.type(description="The password was changed and the viewer's other sessions have ended.")
class ChangePasswordPayload:
    viewer: User = strawberry.field(description="The viewer. Their current tokens stay valid.")
    ended_sessions: int = strawberry.field(description="The number of other sessions that ended.")


ChangePasswordResult = Annotated[
    ChangePasswordPayload | InvalidCredentials | TooManyAttempts | WeakPassword,
    strawberry.union("ChangePasswordResult", description="Outcomes of `changePassword`."),
]


@strawberry.type
class PasswordMutation:
    @strawberry.mutation(
        directives=[Cost(weight=3500)],
        description="Change the viewer's password and end their other sessions, at once in all processes. "
        "Wrong passwords count toward the limit of `logIn`.",
        extensions=requires(Role.USER),
    )
    @outcomes(
        {
            authentication.InvalidCredentials: lambda _: InvalidCredentials(
                message="The current password is wrong."
            ),
            login_throttle.TooManyAttempts: TooManyAttempts.of,
            authentication.WeakPassword: WeakPassword,
        }
    )
    async def change_password(
        self,
        info: Info,
        input: Annotated[ChangePasswordInput, strawberry.argument(description="The passwords.")],  # noqa: A002
    ) -> ChangePasswordResult:
        context = info.context
        viewer = await context.require_viewer()
        passwords = input.current_password, input.new_password
        ended = await authentication.change_password(
            context.sessions, context.settings, viewer, *passwords, context.client
        )
        return ChangePasswordPayload(viewer=User.of(viewer), ended_sessions=ended)
