"""The viewer, which is the member who sends a request, and roles."""

import enum
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
    id: int
    username: str
    role: Role
    created_at: datetime
    session_id: UUID


# A row with the columns of a Viewer, and possibly others.
Member = Row[*tuple[Any, ...]]
MEMBER = (User.id, User.username, User.role, User.created_at)


def viewer(member: Member, session_id: UUID) -> Viewer:
    return Viewer(member.id, member.username, Role(member.role), member.created_at, session_id)
