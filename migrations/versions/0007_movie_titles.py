"""Every title that a source gave a movie, and those that edits and loads have replaced."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# A statement at a time: row by row, a load of 60,000 movies would count the catalog's revision as often.
FORMER_TITLES = """
CREATE FUNCTION keep_former_titles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO movie_titles (movie_id, title, source)
    SELECT DISTINCT former.id, former_title, 'FORMER'
    FROM former JOIN replacing ON replacing.id = former.id
        CROSS JOIN LATERAL (VALUES (former.title), (former.original_title)) AS titles (former_title)
    WHERE (former.title, former.original_title) IS DISTINCT FROM (replacing.title, replacing.original_title)
        AND former_title IS NOT NULL
        AND former_title NOT IN (replacing.title, coalesce(replacing.original_title, replacing.title))
        AND char_length(former_title) BETWEEN 1 AND 500
        AND NOT EXISTS (
            SELECT FROM movie_titles WHERE movie_id = former.id AND movie_titles.title = former_title
        )
        AND (SELECT count(*) FROM movie_titles WHERE movie_id = former.id) < 100
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER movies_keep_former_titles AFTER UPDATE ON movies
REFERENCING OLD TABLE AS former NEW TABLE AS replacing
FOR EACH STATEMENT EXECUTE FUNCTION keep_former_titles()
"""


def upgrade() -> None:
    op.create_table(
        "movie_titles",
        sa.Column("movie_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "source IN ('MOVIELENS', 'TMDB', 'MOVIETWEETINGS', 'BUNDLED', 'FORMER')",
            name=op.f("movie_titles_source_check"),
        ),
        sa.CheckConstraint(
            "char_length(title) BETWEEN 1 AND 500", name=op.f("movie_titles_title_length_check")
        ),
        sa.ForeignKeyConstraint(
            ["movie_id"], ["movies.id"], name=op.f("movie_titles_movie_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("movie_id", "title", "source", name=op.f("movie_titles_pkey")),
    )
    op.execute(
        "CREATE TRIGGER movie_titles_count_catalog_revision "
        "AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON movie_titles "
        "FOR EACH STATEMENT EXECUTE FUNCTION count_catalog_revision()"
    )
    op.execute(FORMER_TITLES)


def downgrade() -> None:
    op.execute("DROP TRIGGER movies_keep_former_titles ON movies")
    op.execute("DROP FUNCTION keep_former_titles")
    op.drop_table("movie_titles")
