"""Usernames are one in all spellings, and look unlike each other.

Of accounts whose names look alike already, the oldest has the looks. The others keep their names: they are found by
what they registered, and do not block other names.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.accounts import usernames

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COLUMNS = ("username_key", "skeleton", "skeleton_as_written")


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("users", sa.Column(column, sa.Text(), nullable=True))
    fill(op.get_bind())
    for column in COLUMNS:
        op.create_index(f"users_{column}_key", "users", [column], unique=True)


def fill(connection: sa.Connection) -> None:
    """Of those who can sign in: the names of data sets are reserved, and no member signs in with them."""
    found = connection.execute(
        sa.text("SELECT id, username, lower(username) FROM users WHERE password_hash IS NOT NULL ORDER BY id")
    ).all()
    # An account is found by what it registered first, so that this is no other account's key.
    owners: dict[tuple[str, str], int] = {("username_key", lower): id_ for id_, _, lower in found}
    rows = []
    for id_, username, _ in found:
        stored = usernames.columns(username)
        row = {
            column: stored[column] if owners.setdefault((column, stored[column]), id_) == id_ else None
            for column in COLUMNS
        }
        rows.append({"id": id_, **row})
    assignments = ", ".join(f"{column} = :{column}" for column in COLUMNS)
    if rows:
        connection.execute(sa.text(f"UPDATE users SET {assignments} WHERE id = :id"), rows)  # noqa: S608


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_column("users", column)
