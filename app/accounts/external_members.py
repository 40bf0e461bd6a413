"""Members of other systems: each pair of source and external id is a member without a password.

They are made at their first use.
"""

from collections.abc import Collection
from typing import Any

import psycopg

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

Pair = tuple[str, str]  # a source and an external id


def find(connection: psycopg.Connection[Any], pairs: Collection[Pair]) -> dict[Pair, int]:
    """The ids of the members of these pairs; pairs without a member are left out."""
    found = connection.execute(_FIND, arrays(pairs)).fetchall()
    return {(source, external_id): user_id for source, external_id, user_id in found}


def find_or_make(connection: psycopg.Connection[Any], pairs: Collection[Pair]) -> dict[Pair, int]:
    """The ids of the members of these distinct pairs, in the open transaction."""
    found = find(connection, pairs)
    if missing := [pair for pair in pairs if pair not in found]:
        connection.execute(_MAKE, arrays(missing))
        found |= find(connection, missing)
    return found


def arrays(pairs: Collection[Pair]) -> dict[str, list[str]]:
    return {
        "sources": [source for source, _ in pairs],
        "external_ids": [external_id for _, external_id in pairs],
    }
