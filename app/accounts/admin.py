"""Who runs the service: members with a role above USER."""

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.accounts import authentication, passwords, personal_data, usernames
from app.accounts.usernames import named, username_in
from app.accounts.viewer import Role
from app.db.account_tables import AuditEntry, Session
from app.db.engine import Sessions
from app.db.tables import User

BY_COMMAND = "marquee create-admin"  # as the audit log names it, which knows nobody who did it


class UnknownMember(Exception):
    """An expected outcome; its message is for the caller."""


async def create_admin(sessions: Sessions, given: str, password: str) -> None:
    """Make an account with the role ADMIN; one that is there gets the role and this password.

    Raises InvalidUsername, UsernameTaken or WeakPassword.
    """
    username = username_in(given)
    if (rule := passwords.weakness(password, username)) is not None:
        raise authentication.WeakPassword(rule)
    granted = {"password_hash": await passwords.hashed(password), "role": Role.ADMIN.value}
    async with sessions.begin() as session:
        statement = update(User).where(named(username)).values(granted).returning(User.id)
        user_id = await session.scalar(statement) if username else None
        if user_id is None:
            account = upsert(User).values(
                **usernames.columns(authentication.valid_username(given)), **granted
            )
            user_id = await session.scalar(account.on_conflict_do_nothing().returning(User.id))
        if user_id is None:
            raise authentication.UsernameTaken(f"The username {username} looks like one that is taken.")
        # Who is signed in, is so with a password that is not valid any longer.
        await authentication.end(session, Session.user_id == user_id)
        arguments = {"input": {"username": username}}
        await session.execute(insert(AuditEntry).values(act=BY_COMMAND, arguments=arguments, outcome="done"))


async def set_role(sessions: Sessions, username: str, role: Role) -> str:
    """Give a member a role, which holds from their next request on; gives their name as they write it.

    Raises UnknownMember, also for members that came with a data set: nobody signs in as one.
    """
    username = username_in(username)
    theirs = named(username), User.password_hash.is_not(None)
    statement = update(User).where(*theirs).values(role=role.value).returning(User.username)
    async with sessions.begin() as session:
        found = await session.scalar(statement) if username else None
    if found is None:
        raise UnknownMember("There is no member of this name who can sign in.")
    return found


async def delete_member(sessions: Sessions, username: str) -> int:
    """Delete a member, also one that came with a data set; gives the id they had. Raises UnknownMember."""
    user_id = None
    if username := username_in(username):
        async with sessions() as session:
            user_id = await session.scalar(select(User.id).where(named(username)))
    if user_id is None or await personal_data.delete_member(sessions, user_id) is None:
        raise UnknownMember("There is no member of this name.")
    return user_id
