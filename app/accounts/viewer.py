"""The viewer, which is the member who sends a request or for whom a key acts, and roles."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.db.tables import User


class Role(enum.StrEnum):
    USER = "USER"
    CURATOR = "CURATOR"
    ADMIN = "ADMIN"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A member. `session_id` is of one who logged in, `key_id` is the API key that acts for the member."""

    id: int
    username: str
    role: Role
    created_at: datetime
    session_id: UUID | None = None
    key_id: int | None = None


# A row with the columns of a Viewer, and possibly others.
Member = Row[*tuple[Any, ...]]
MEMBER = (User.id, User.username, User.role, User.created_at)


def viewer(member: Member, session_id: UUID | None = None) -> Viewer:
    return Viewer(member.id, member.username, Role(member.role), member.created_at, session_id)


def viewer_in(row: Sequence[Any], session_id: UUID | None = None) -> Viewer:
    """The viewer of a row that begins with the columns of MEMBER."""
    id_, username, role, created_at = row[: len(MEMBER)]
    return Viewer(id_, username, Role(role), created_at, session_id)
