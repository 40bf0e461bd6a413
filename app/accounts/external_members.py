"""Members of other systems: each pair of source and external id is a member without a password.

They are made at their first use. A member that was merged into an account has the account's id.
"""

import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.viewer import Viewer, viewer_in
from app.db.array_literals import text_array_literal
from app.db.engine import Sessions
from app.db.reads import sql_of

MAX_SOURCE_LENGTH = 64
MAX_ID_LENGTH = 128
SOURCE_RULE = f"must have 1 to {MAX_SOURCE_LENGTH} lower-case letters, digits and `.`, `_`, `-`"
ID_RULE = f"must have 1 to {MAX_ID_LENGTH} characters without control characters and outer spaces"
UNSTORABLE = {"Cc", "Cs", "Zl", "Zp"}  # categories: controls, half characters, ends of lines and paragraphs

# The pair is inserted first and in one order, so that of two transactions one waits, and no account is left
# without a pair. The foreign key is checked at the end of the statement. No one can register the username.
_MAKE = """
WITH missing AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('users', 'id')) AS id, source, external_id
    FROM unnest(%(sources)s::text[], %(external_ids)s::text[]) AS given (source, external_id)
    WHERE NOT EXISTS (SELECT FROM external_members AS known
        WHERE (known.source, known.external_id) = (given.source, given.external_id))
), made AS (
    INSERT INTO external_members (source, external_id, user_id)
    SELECT source, external_id, id FROM missing ORDER BY source, external_id
    ON CONFLICT (source, external_id) DO NOTHING RETURNING user_id, source
)
INSERT INTO users (id, username, source) SELECT user_id, 'external:' || user_id, source FROM made
"""
_FIND = """
SELECT source, external_id, user_id FROM external_members
JOIN unnest(%(sources)s::text[], %(external_ids)s::text[]) AS given (source, external_id)
    USING (source, external_id)
"""
# An account with a password, or of another source, into which a member was merged.
_FOREIGN = """
SELECT id FROM users WHERE id = ANY(%s) AND (password_hash IS NOT NULL OR source IS DISTINCT FROM %s)
"""

# The columns of MEMBER, and those that tell whether the member was merged.
_MEMBER = text(
    """
    SELECT users.id, username, role, users.created_at, users.source, password_hash IS NOT NULL AS has_password
    FROM users JOIN external_members ON external_members.user_id = users.id
    WHERE external_members.source = :source AND external_id = :external_id
    """
)
_MEMBER_SQL = sql_of(_MEMBER)

Pair = tuple[str, str]  # a source and an external id


class MemberMerged(Exception):
    """The member was merged into an account for which nobody but its owner may act."""

    def __init__(self) -> None:
        super().__init__(
            "This member was merged into an account that is not of the key's source: requests must be signed "
            "in as the account."
        )


def is_source(text: str) -> bool:
    """Whether this may name a source: lower-case letters, digits and `. _ -`."""
    return (
        0 < len(text) <= MAX_SOURCE_LENGTH
        and text.isascii()
        and text == text.lower()
        and text[0].isalnum()
        and all(character.isalnum() or character in "._-" for character in text)
    )


def is_external_id(text: object, most: int = MAX_ID_LENGTH) -> bool:
    """Whether this may be a member's id in another system. The length is checked first."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= most
        and text == text.strip()
        and not any(unicodedata.category(character) in UNSTORABLE for character in text)
    )


async def find_one(sessions: Sessions, source: str, external_id: str) -> Viewer | None:
    """The member of a pair, in one statement; None for a pair that has none. Raises MemberMerged."""
    row = await sessions.reads.row_if_any(_MEMBER_SQL, {"source": source, "external_id": external_id})
    return None if row is None else _checked(row, source)


async def find_or_make_one(sessions: Sessions, source: str, external_id: str) -> Viewer:
    """The member of a pair, made at the first use. Raises MemberMerged."""
    found = await find_one(sessions, source, external_id)
    if found is None:
        async with sessions.begin() as session:
            found, _ = await make_one(session, source, external_id)
    return found


async def make_one(session: AsyncSession, source: str, external_id: str) -> tuple[Viewer, bool]:
    """The member of a pair, and whether this made it. Raises MemberMerged."""
    connection = await session.connection()
    made = await connection.exec_driver_sql(_MAKE, arrays([(source, external_id)]))
    member = await _found(session, source, external_id)
    assert member is not None, "it was made"
    return member, made.rowcount == 1


async def _found(session: AsyncSession, source: str, external_id: str) -> Viewer | None:
    row = (await session.execute(_MEMBER, {"source": source, "external_id": external_id})).one_or_none()
    return None if row is None else _checked(row, source)


def _checked(row: Sequence[Any], of_source: str) -> Viewer:
    """The member of a row of _MEMBER. Raises MemberMerged."""
    source, has_password = row[-2:]
    if has_password or source != of_source:
        raise MemberMerged
    return viewer_in(row)


def find(connection: psycopg.Connection[Any], pairs: Collection[Pair]) -> dict[Pair, int]:
    """The ids of the members of these pairs; pairs without a member are left out."""
    found = connection.execute(_FIND, arrays(pairs)).fetchall()
    return {(source, external_id): user_id for source, external_id, user_id in found}


def find_or_make(connection: psycopg.Connection[Any], pairs: Collection[Pair]) -> dict[Pair, int]:
    """The ids of the members of these distinct pairs, in the open transaction."""
    found = find(connection, pairs)
    if missing := [pair for pair in pairs if pair not in found]:
        found |= make(connection, missing)
    return found


def make(connection: psycopg.Connection[Any], pairs: Collection[Pair]) -> dict[Pair, int]:
    """Make the members of distinct pairs that have none, in the open transaction; return all their ids."""
    connection.execute(_MAKE, arrays(pairs))
    return find(connection, pairs)


def foreign(connection: psycopg.Connection[Any], user_ids: Collection[int], source: str) -> set[int]:
    """Those of these members for whom a key of the source may not act."""
    return {user_id for (user_id,) in connection.execute(_FOREIGN, (list(user_ids), source)).fetchall()}


def arrays(pairs: Collection[Pair]) -> dict[str, str]:
    return {
        "sources": text_array_literal([source for source, _ in pairs]),
        "external_ids": text_array_literal([external_id for _, external_id in pairs]),
    }
