"""Add what a movie page shows: tagline, backdrop, trailer, certification, titles by language.

The index of ratings by movie also has the stars, so that a histogram reads no rating. Equal entries share
their space, so that it is as small as the former one.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXTS = ("tagline", "backdrop_path", "trailer_url", "certification")


def upgrade() -> None:
    for name in TEXTS:
        op.add_column("movies", sa.Column(name, sa.Text(), nullable=True))
    op.add_column(
        "movies",
        sa.Column("localized_titles", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )
    with op.get_context().autocommit_block():  # members go on rating meanwhile
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ratings_movie_id_half_stars_idx")  # of a failed attempt
        op.create_index(
            "ratings_movie_id_half_stars_idx",
            "ratings",
            ["movie_id", "half_stars"],
            postgresql_concurrently=True,
        )
        op.drop_index("ratings_movie_id_idx", table_name="ratings", postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ratings_movie_id_idx", "ratings", ["movie_id"], postgresql_concurrently=True)
        op.drop_index("ratings_movie_id_half_stars_idx", table_name="ratings", postgresql_concurrently=True)
    for name in ("localized_titles", *reversed(TEXTS)):
        op.drop_column("movies", name)
