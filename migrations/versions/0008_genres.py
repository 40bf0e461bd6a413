"""Remove formats and fillers from the genres: no reason may name one, and no filter offer one."""

from collections.abc import Sequence

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NAMES = "('imax', '(no genres listed)', '3d', 'foreign', 'genre unknown', 'n/a', 'none', 'other', 'tv movie', 'unknown', '\\n', '')"


def upgrade() -> None:
    op.execute(
        "DELETE FROM movie_genres USING genres "  # noqa: S608 - the names stand above
        f"WHERE genres.id = genre_id AND lower(trim(name)) IN {NAMES}"
    )
    op.execute(
        "DELETE FROM favorite_genres USING genres "  # noqa: S608 - likewise
        f"WHERE genres.id = genre_id AND lower(trim(name)) IN {NAMES}"
    )
    op.execute(f"DELETE FROM genres WHERE lower(trim(name)) IN {NAMES}")  # noqa: S608 - likewise


def downgrade() -> None:
    """The next load of the sources brings them back."""
