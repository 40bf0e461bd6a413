"""An administrator's look at a member's list."""

from uuid import UUID

from app.accounts import admin, audit_log
from app.accounts.api_keys import Scope
from app.accounts.audit_log import Act
from app.accounts.viewer import Role, Viewer
from schema.core.errors import BadArgument
from schema.execution.context import Context
from schema.execution.permissions import Requires

NO_SESSION = UUID(int=0)


async def member_looked_at(context: Context, act: str, username: str) -> Viewer:
    """The member of this name, for an administrator; the audit log notes the look.

    Raises CallerError for other callers, and BadArgument for an unknown name.
    """
    actor = await Requires(Role.ADMIN, Scope.ADMIN).admit(context)
    noted = Act(act, {"input": {"username": username}}, context.client.address)
    entry_id = await audit_log.begin(context.sessions, actor, noted)
    try:
        member = await admin.member_named(context.sessions, username, NO_SESSION)
    except admin.UnknownMember as unknown:
        await audit_log.end(context.sessions, entry_id, "UserNotFound")
        raise BadArgument("for", f"is invalid: {unknown}") from None
    await audit_log.end(context.sessions, entry_id, "done")
    return member
