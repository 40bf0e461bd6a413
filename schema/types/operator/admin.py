"""Administration: roles, member deletion and the audit log."""

from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from app.accounts import admin, audit_log
from app.accounts.viewer import Role
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import Error
from schema.core.outcomes import outcomes
from schema.core.pagination import After, Connection, Edge, First, id_of, page_of, window
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.account import USERNAME

AUDIT_LOG = "auditLog"


enum_of(
    Role,
    "Role",
    "A member's permissions. Each role includes those before it.",
    {
        Role.USER: "Manage one's own account and data.",
        Role.CURATOR: "Add, change and delete movies.",
        Role.ADMIN: "Operate the service.",
    },
)


@strawberry.type(description="An operator's action.")
class AuditEntry:
    begun_at: datetime = strawberry.field(description="When the action began.")
    act: str = strawberry.field(
        description="The name of the mutation. A command has the name of the mutation that does the same."
    )
    arguments: JSON = strawberry.field(description="The mutation's arguments, without secrets.")
    outcome: str | None = strawberry.field(
        description="The type of the result or the code of the error, of a command `done` or the name of the "
        "error; null if the action did not finish."
    )
    address: str | None = strawberry.field(
        description="The network address of the client; for a command `command line` and the account of the "
        "operating system."
    )
    username: str | None = strawberry.field(
        description="The member who acted; null for a service, a command or a deleted member."
    )
    api_key_name: str | None = strawberry.field(
        description="The API key of the service that acted; null for a member or a command."
    )

    @classmethod
    def of(cls, entry: audit_log.Entry) -> Self:
        return cls(
            begun_at=entry.begun_at,
            act=entry.act,
            arguments=JSON(entry.arguments),
            outcome=entry.outcome,
            address=entry.address,
            username=entry.username,
            api_key_name=entry.api_key_name,
        )


@strawberry.type(description="A page of the audit log, newest first.")
class AuditEntryConnection(Connection[Edge[AuditEntry]]):
    pass


@strawberry.input(description="The role to assign.")
class SetRoleInput:
    username: str = strawberry.field(
        directives=[USERNAME], description="The member's username. Case is ignored."
    )
    role: Role = strawberry.field(description="The new role.")


@strawberry.type(description="The role was assigned. It takes effect with the member's next request.")
class SetRolePayload:
    username: str = strawberry.field(description="The member's username, as registered.")
    role: Role = strawberry.field(description="The new role.")


@strawberry.type(description="No member with this username can sign in.")
class MemberNotFound(Error):
    pass


@strawberry.input(description="The member to delete.")
class DeleteUserInput:
    username: str = strawberry.field(
        directives=[USERNAME], description="The member's username. Case is ignored."
    )


@strawberry.type(description="The member and all their data were deleted.")
class DeleteUserPayload:
    deleted_user_id: strawberry.ID = strawberry.field(description="The id of the deleted member.")


@strawberry.type(description="No member has this username.")
class UserNotFound(Error):
    pass


SetRoleResult = Annotated[
    SetRolePayload | MemberNotFound, strawberry.union("SetRoleResult", description="Outcomes of `setRole`.")
]
DeleteUserResult = Annotated[
    DeleteUserPayload | UserNotFound,
    strawberry.union("DeleteUserResult", description="Outcomes of `deleteUser`."),
]


@strawberry.type
class OperatorQuery:
    @strawberry.field(
        directives=[Cost(weight=160)],
        description="The audit log: each mutation that needs a role, and each command that does "
        "the same, with its outcome.",
        extensions=requires(Role.ADMIN),
    )
    async def audit_log(
        self,
        info: Info,
        first: First,
        after: After = None,
    ) -> AuditEntryConnection:
        asked = window(Cursors.of(info, AUDIT_LOG), first, after)
        found = await audit_log.entries(info.context.sessions, asked.count + 1, id_of(asked))
        return page_of(
            AuditEntryConnection,
            asked,
            found,
            lambda entry: Edge(cursor=asked.cursors.encode(entry.id), node=AuditEntry.of(entry)),
        )


@strawberry.type
class OperatorMutation:
    @strawberry.mutation(
        directives=[Cost(weight=340)],
        description="Set a member's role.",
        extensions=requires(Role.ADMIN, members_only=True),
    )
    @outcomes({admin.UnknownMember: MemberNotFound})
    async def set_role(
        self,
        info: Info,
        input: Annotated[SetRoleInput, strawberry.argument(description="The role.")],  # noqa: A002
    ) -> SetRoleResult:
        username = await admin.set_role(info.context.sessions, input.username, input.role)
        return SetRolePayload(username=username, role=input.role)

    @strawberry.mutation(
        directives=[Cost(weight=700)],
        description="Delete a member with all their data. Rating counts and averages are updated at once; "
        "the next trained model no longer includes the member.",
        extensions=requires(Role.ADMIN),
    )
    @outcomes({admin.UnknownMember: UserNotFound})
    async def delete_user(
        self,
        info: Info,
        input: Annotated[DeleteUserInput, strawberry.argument(description="The member.")],  # noqa: A002
    ) -> DeleteUserResult:
        user_id = await admin.delete_member(info.context.sessions, input.username)
        return DeleteUserPayload(deleted_user_id=strawberry.ID(relay.to_base64("User", user_id)))
