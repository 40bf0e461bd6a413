"""The viewer's personal data: export, deletion and discoverability."""

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

RETRY_SECONDS = 5  # a client waits this long while another export is running


@strawberry.input(description="Confirms the deletion of the viewer's account.")
class DeleteAccountInput:
    password: str | None = strawberry.field(
        default=None,
        directives=[PASSWORD],
        description="The viewer's password. A member of another system has none and leaves it out.",
    )


@strawberry.input(description="The viewer's discoverability.")
class SetDiscoverableInput:
    discoverable: bool = strawberry.field(
        description="Whether other members can find the viewer. If true, `similarUsers` shows the username "
        "to members of similar taste, and members who know it can use it in `groupRecommendations`. That "
        "list shows how well movies match the viewer and omits those they rated or rejected. False by "
        "default."
    )


@strawberry.type(description="The account and all its data were deleted.")
class DeleteAccountPayload:
    deleted_user_id: strawberry.ID = strawberry.field(description="The id of the deleted member.")


@strawberry.type(description="The setting was stored. It takes effect with the next request.")
class SetDiscoverablePayload:
    viewer: User = strawberry.field(description="The member, with the new setting.")


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
        directives=[Cost(weight=1800)],
        description="Export all data held on the viewer, by table, as of one moment. Only hashes of secrets "
        "are left out. An export may take up to EXPORT_SECONDS; a member can run one at a time. A large "
        "export is sent only as a single response, not over a websocket or as a stream.",
        extensions=requires(Role.USER, noted_for_keys=True),
    )
    async def export_my_data(self, info: Info) -> JSON:
        context = info.context
        try:
            return JSON(await context.export())
        except ExportUnderWay:
            raise CallerError(
                "Another export of your data is running. Retry when it is complete.",
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
                f"The export has {error.size:,} bytes. Request it with POST and `Accept: application/json`.",
                limit=SMALL,
                asked=error.size,
            ) from None


@strawberry.type
class PrivacyMutation:
    @strawberry.mutation(
        directives=[Cost(weight=1850)],
        description="Permanently delete the viewer's account and all their data. Models trained afterwards "
        "do not include the data.",
        extensions=requires(Role.USER, noted_for_keys=True),
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
        input: Annotated[DeleteAccountInput, strawberry.argument(description="The confirmation.")],  # noqa: A002
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
        description="Choose whether other members can find the viewer.",
        extensions=requires(Role.USER),
    )
    async def set_discoverable(
        self,
        info: Info,
        input: Annotated[SetDiscoverableInput, strawberry.argument(description="The setting.")],  # noqa: A002
    ) -> SetDiscoverableResult:
        viewer = await info.context.require_viewer()
        await preferences.set_discoverable(info.context.sessions, viewer.id, discoverable=input.discoverable)
        return SetDiscoverablePayload(viewer=User.of(viewer))
