"""What is held on a member: all of it told, or all of it deleted.

Nothing here lists tables. What refers to a member is found by its foreign keys, so that a table that is added
later is told of as well; and the database deletes with the member what belongs to them.
"""

from typing import Any

from pydantic.alias_generators import to_camel
from pydantic_core import to_jsonable_python
from sqlalchemy import ColumnElement, FromClause, LargeBinary, Select, delete, func, or_, select, text, update

from app import training_tables  # noqa: F401 - what refers to members is told of, wherever it stands
from app.account_tables import AuditEntry
from app.db import Sessions
from app.tables import Base, Movie, MovieStats, Rating, User

SECRETS = ("password_hash",)
MEMBERS = User.__table__


async def export(sessions: Sessions, user_id: int) -> dict[str, Any]:
    """Everything that is held on a member, as of one moment, as plain JSON: rows by table, films with titles.

    Left out are only secrets, of which no more is held than a hash.
    """
    held: dict[str, Any] = {}
    async with sessions() as session:
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        for table, theirs in held_on(user_id).items():
            rows = (await session.execute(told(table, theirs))).mappings()
            held[to_camel(str(table.description))] = [
                {to_camel(name): value for name, value in row.items()} for row in rows
            ]
    plain: dict[str, Any] = to_jsonable_python(held)
    return plain


def held_on(user_id: int) -> dict[FromClause, ColumnElement[bool]]:
    """Each table that refers to members, itself or through a table that belongs to them, and which rows."""
    theirs: dict[FromClause, ColumnElement[bool]] = {MEMBERS: MEMBERS.c.id == user_id}
    for table in Base.metadata.sorted_tables:
        referring = [
            key.parent.in_(select(key.column).where(theirs[key.column.table]))
            for key in table.foreign_keys
            if key.column.table in theirs and (key.column.table is MEMBERS or key.ondelete == "CASCADE")
        ]
        if referring:
            theirs[table] = or_(*referring)
    return theirs


def told(table: FromClause, theirs: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    columns: list[ColumnElement[Any]] = [
        (column / 2.0).label("stars") if column.name == "half_stars" else column
        for column in table.c
        if not isinstance(column.type, LargeBinary) and column.name not in SECRETS
    ]
    if "movie_id" not in table.c:
        return select(*columns).where(theirs).order_by(*table.primary_key)
    with_film = table.join(Movie.__table__, Movie.id == table.c.movie_id)
    return select(*columns, Movie.title).select_from(with_film).where(theirs).order_by(*table.primary_key)


async def delete_member(sessions: Sessions, user_id: int) -> str | None:
    """Delete a member with all that belongs to them; gives the name they had, None where there is none.

    The films' figures are right again with it, each process signs them out, and a model trained from then on
    is what it would be had they never been here. What operators did with them stays in the audit log, without
    their name.
    """
    rated = select(Rating.movie_id).where(Rating.user_id == user_id)
    async with sessions.begin() as session:
        username = await session.scalar(select(User.username).where(User.id == user_id).with_for_update())
        if username is None:
            return None
        # In one order: two members who leave at once would wait for each other's films.
        stats = select(MovieStats.movie_id).where(MovieStats.movie_id.in_(rated))
        await session.execute(stats.order_by(MovieStats.movie_id).with_for_update())
        named = func.lower(AuditEntry.arguments["input"]["username"].astext) == func.lower(username)
        arguments = AuditEntry.arguments.op("#-")(text("'{input,username}'"))
        await session.execute(update(AuditEntry).where(named).values(arguments=arguments))
        await session.execute(delete(User).where(User.id == user_id))
    return username
