"""New members are found by others only when they choose to be.

Members who are here keep what they have, except those whose name looks like an e-mail address: it was shown to
others by default.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.alter_column("users", "discoverable", server_default=sa.text("false"))
    op.execute("UPDATE users SET discoverable = false WHERE username LIKE '%@%' AND discoverable")


def downgrade() -> None:
    op.alter_column("users", "discoverable", server_default=sa.text("true"))
