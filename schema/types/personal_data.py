"""What is held on the viewer: told, deleted, or kept from others."""

from typing import Annotated

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from app.accounts import authentication, login_throttle, personal_data, preferences
from app.accounts.exports import SMALL, ExportTooLarge, ExportUnderWay
from app.accounts.viewer import Role
from schema.core.directives import Cost
from schema.core.errors import CallerError, ErrorCode
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.account import PASSWORD, InvalidCredentials, TooManyAttempts
from schema.types.user import User

RETRY_SECONDS = 5  # after which to ask for an export again while another one is under way


@strawberry.input(description="The account to delete is the viewer's.")
class DeleteAccountInput:
    password: str = strawberry.field(directives=[PASSWORD], description="Its password, once more.")


@strawberry.input(description="Who may find the viewer.")
class SetDiscoverableInput:
    discoverable: bool = strawberry.field(
        description="Whether others find the viewer. If so, `similarUsers` shows the username to members of "
        "like taste, and members who know it can ask for a group's list with it. That list shows how well "
        "movies match the viewer, and leaves out what the viewer rated or turned down. Off for a new account."
    )


@strawberry.type(description="The account is gone, with all that belonged to it.")
class DeleteAccountPayload:
    deleted_user_id: strawberry.ID = strawberry.field(description="Who was a member.")


@strawberry.type(description="The choice is stored, and holds from the next request on.")
class SetDiscoverablePayload:
    viewer: User = strawberry.field(description="The member, with the choice.")


DeleteAccountResult = Annotated[
    DeleteAccountPayload | InvalidCredentials | TooManyAttempts,
    strawberry.union("DeleteAccountResult", description="Outcomes of `deleteAccount`."),
]
SetDiscoverableResult = Annotated[
    SetDiscoverablePayload,
    strawberry.union("SetDiscoverableResult", description="Outcomes of `setDiscoverable`."),
]


@strawberry.type
class PrivacyQuery:
    @strawberry.field(
        directives=[Cost(weight=1400)],
        description="Everything that is held on the viewer as of one moment, by the table that it is in. "
        "Only hashes of secrets are left out. It may take up to EXPORT_SECONDS, and a member can have one "
        "export made at a time. A large one comes only in an answer in one piece, not over a websocket or as "
        "a stream.",
        extensions=requires(Role.USER),
    )
    async def export_my_data(self, info: Info) -> JSON:
        context = info.context
        try:
            return JSON(await context.export())
        except ExportUnderWay:
            raise CallerError(
                "Another export of your data is being made or sent: ask again when it is complete.",
                ErrorCode.RATE_LIMITED,
                retryAfter=RETRY_SECONDS,
            ) from None
        except TimeoutError:
            raise CallerError(
                f"The export took longer than {context.settings.export_seconds:g} seconds and was stopped.",
                ErrorCode.TIMEOUT,
                setting="EXPORT_SECONDS",
            ) from None
        except ExportTooLarge as error:
            raise CallerError(
                f"The export has {error.size:,} bytes: ask for it with POST and `Accept: application/json`.",
                limit=SMALL,
                asked=error.size,
            ) from None


@strawberry.type
class PrivacyMutation:
    @strawberry.mutation(
        directives=[Cost(weight=2600)],
        description="Delete the viewer's account with everything that is held on them, for good. A model "
        "that is trained from then on knows nothing of them.",
        extensions=requires(Role.USER),
    )
    @outcomes(
        {
            authentication.InvalidCredentials: lambda _: InvalidCredentials(message="The password is wrong."),
            login_throttle.TooManyAttempts: TooManyAttempts.of,
        }
    )
    async def delete_account(
        self,
        info: Info,
        input: Annotated[DeleteAccountInput, strawberry.argument(description="A second look.")],  # noqa: A002
    ) -> DeleteAccountResult:
        context = info.context
        viewer = await context.require_viewer()
        await authentication.confirm(
            context.sessions, context.settings, viewer, input.password, context.client
        )
        await personal_data.delete_member(context.sessions, viewer.id)
        return DeleteAccountPayload(deleted_user_id=strawberry.ID(relay.to_base64("User", viewer.id)))

    @strawberry.mutation(
        directives=[Cost(weight=180)],
        description="Choose whether other members find the viewer.",
        extensions=requires(Role.USER),
    )
    async def set_discoverable(
        self,
        info: Info,
        input: Annotated[SetDiscoverableInput, strawberry.argument(description="The choice.")],  # noqa: A002
    ) -> SetDiscoverableResult:
        viewer = await info.context.require_viewer()
        await preferences.set_discoverable(info.context.sessions, viewer.id, discoverable=input.discoverable)
        return SetDiscoverablePayload(viewer=User.of(viewer))
