"""Who operates the service, and what operators did."""

from datetime import datetime
from typing import Annotated, Self

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from app.accounts import admin
from app.accounts import audit_log as audit
from app.accounts.viewer import Role
from schema.core.cursors import Cursors
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import Error
from schema.core.outcomes import outcomes
from schema.core.pagination import After, First, id_of, info_of, window
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.account import USERNAME

AUDIT_LOG = "auditLog"


enum_of(
    Role,
    "Role",
    "What a member may do. Each role may do all that those before it may.",
    {
        Role.USER: "What concerns themselves.",
        Role.CURATOR: "Add, change and delete movies.",
        Role.ADMIN: "Operate the service.",
    },
)


@strawberry.type(description="Something that an operator did.")
class AuditEntry:
    begun_at: datetime = strawberry.field(description="When it began.")
    act: str = strawberry.field(description="The mutation.")
    arguments: JSON = strawberry.field(description="What it was given, without secrets.")
    outcome: str | None = strawberry.field(
        description="The type of its result, or the code of its error; null when it did not come to an end."
    )
    address: str | None = strawberry.field(description="The network address from which it was asked for.")
    username: str | None = strawberry.field(description="Who did it; null for a service and when deleted.")
    api_key_name: str | None = strawberry.field(description="Which service did it; null for a member.")

    @classmethod
    def of(cls, entry: audit.Entry) -> Self:
        return cls(
            begun_at=entry.begun_at,
            act=entry.act,
            arguments=JSON(entry.arguments),
            outcome=entry.outcome,
            address=entry.address,
            username=entry.username,
            api_key_name=entry.api_key_name,
        )


@strawberry.type(description="An act of an operator in a list of them.")
class AuditEntryEdge:
    cursor: str = strawberry.field(description="Give it as `after` to continue behind this act.")
    node: AuditEntry = strawberry.field(description="The act.")


@strawberry.type(description="A page of what operators did.")
class AuditEntryConnection:
    edges: list[AuditEntryEdge] = strawberry.field(description="The acts, newest first.")
    page_info: relay.PageInfo = strawberry.field(description="Where the page ends and whether more follow.")


@strawberry.input(description="The role to give.")
class SetRoleInput:
    username: str = strawberry.field(directives=[USERNAME], description="The member's name, in any case.")
    role: Role = strawberry.field(description="What they may do from now on.")


@strawberry.type(description="The role is given, and holds from the member's next request on.")
class SetRolePayload:
    username: str = strawberry.field(description="The member's name, as they write it.")
    role: Role = strawberry.field(description="What they may do from now on.")


@strawberry.type(description="There is no member of this name who can sign in.")
class MemberNotFound(Error):
    pass


@strawberry.input(description="The member to delete.")
class DeleteUserInput:
    username: str = strawberry.field(directives=[USERNAME], description="The member's name, in any case.")


@strawberry.type(description="The member is gone, with all that was held on them.")
class DeleteUserPayload:
    deleted_user_id: strawberry.ID = strawberry.field(description="The id that the member had.")


@strawberry.type(description="There is no member of this name.")
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
        description="What operators did: each mutation that needs a role, with its outcome.",
        extensions=requires(Role.ADMIN),
    )
    async def audit_log(
        self,
        info: Info,
        first: First,
        after: After = None,
    ) -> AuditEntryConnection:
        asked = window(Cursors.of(info, AUDIT_LOG), first, after)
        found = await audit.entries(info.context.sessions, asked.count + 1, id_of(asked))
        edges = [
            AuditEntryEdge(cursor=asked.cursors.encode(entry.id), node=AuditEntry.of(entry))
            for entry in found[: asked.count]
        ]
        return AuditEntryConnection(
            edges=edges, page_info=info_of(asked, edges, more=len(found) > asked.count)
        )


@strawberry.type
class OperatorMutation:
    @strawberry.mutation(
        directives=[Cost(weight=270)],
        description="Give a member a role, or take it back.",
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
        description="Delete a member with their ratings and all else: movies' figures are right at once, and "
        "the next model has forgotten them.",
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
