"""Add the ids of movies in other systems, and attributes that have no column.

Both are new to the previous release, which neither reads nor writes them.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "movies",
        sa.Column(
            "attributes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.create_table(
        "movie_external_ids",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("movie_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["movies.id"], name=op.f("movie_external_ids_movie_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source", "external_id", name=op.f("movie_external_ids_pkey")),
        sa.UniqueConstraint("movie_id", "source", name=op.f("movie_external_ids_movie_id_source_key")),
    )
    op.execute(
        "CREATE TRIGGER movie_external_ids_count_catalog_revision "
        "AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON movie_external_ids "
        "FOR EACH STATEMENT EXECUTE FUNCTION count_catalog_revision()"
    )


def downgrade() -> None:
    op.drop_table("movie_external_ids")
    op.drop_column("movies", "attributes")
