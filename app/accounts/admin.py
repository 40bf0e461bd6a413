"""Administration of members: admin accounts, roles and deletion."""

from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.accounts import authentication, passwords, personal_data, usernames
from app.accounts.usernames import named, username_in
from app.accounts.viewer import MEMBER, Role, Viewer, viewer
from app.db.account_tables import AuditEntry, Session
from app.db.engine import Sessions
from app.db.tables import User

BY_COMMAND = "marquee create-admin"  # in the audit log, where its entries have no operator


class UnknownMember(Exception):
    """An expected failure; its message is shown to the client."""


async def create_admin(sessions: Sessions, name: str, password: str) -> None:
    """Create an account with the role ADMIN, or give an existing account the role and this password.

    Raises InvalidUsername, UsernameTaken or WeakPassword.
    """
    username = username_in(name)
    if (rule := passwords.weakness(password, username)) is not None:
        raise authentication.WeakPassword(rule)
    granted = {"password_hash": await passwords.hashed(password), "role": Role.ADMIN.value}
    async with sessions.begin() as session:
        statement = update(User).where(named(username)).values(granted).returning(User.id)
        user_id = await session.scalar(statement) if username else None
        if user_id is None:
            account = upsert(User).values(**usernames.columns(authentication.valid_username(name)), **granted)
            user_id = await session.scalar(account.on_conflict_do_nothing().returning(User.id))
        if user_id is None:
            raise authentication.UsernameTaken(f"The username {username} looks like one that is taken.")
        # Existing sessions were begun with a password that is no longer valid.
        await authentication.end(session, Session.user_id == user_id)
        arguments = {"input": {"username": username}}
        await session.execute(insert(AuditEntry).values(act=BY_COMMAND, arguments=arguments, outcome="done"))


async def set_role(sessions: Sessions, username: str, role: Role) -> str:
    """Set a member's role, effective from their next request. Returns the username as registered.

    Raises UnknownMember, also for members of a data set, who cannot sign in.
    """
    username = username_in(username)
    can_sign_in = User.password_hash.is_not(None)
    changed = update(User).where(named(username), can_sign_in).values(role=role.value)
    statement = changed.returning(User.username)
    async with sessions.begin() as session:
        found = await session.scalar(statement) if username else None
    if found is None:
        raise UnknownMember("There is no member of this name who can sign in.")
    return found


async def member_named(sessions: Sessions, username: str, session_id: UUID) -> Viewer:
    """The member of this name, as if they had sent the request in a session. Raises UnknownMember."""
    found = None
    if username := username_in(username):
        async with sessions() as session:
            found = (await session.execute(select(*MEMBER).where(named(username)))).one_or_none()
    if found is None:
        raise UnknownMember("there is no member of this name.")
    return viewer(found, session_id)


async def delete_member(sessions: Sessions, username: str) -> int:
    """Delete a member, also one of a data set. Returns the member's id. Raises UnknownMember."""
    user_id = None
    if username := username_in(username):
        async with sessions() as session:
            user_id = await session.scalar(select(User.id).where(named(username)))
    if user_id is None or await personal_data.delete_member(sessions, user_id) is None:
        raise UnknownMember("There is no member of this name.")
    return user_id
