"""Let the states of models hold new ratings of movies."""

from collections.abc import Sequence

from alembic import op

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KIND = "model_states_kind_check"


def upgrade() -> None:
    op.drop_constraint(op.f(KIND), "model_states", type_="check")
    op.create_check_constraint(
        op.f(KIND), "model_states", "kind IN ('LOADED', 'MOVIES', 'FACTORS', 'RATINGS')"
    )


def downgrade() -> None:
    # The former release cannot make the models of these lines again.
    op.execute(
        "DELETE FROM model_states WHERE line IN (SELECT line FROM model_states WHERE kind = 'RATINGS')"
    )
    op.drop_constraint(op.f(KIND), "model_states", type_="check")
    op.create_check_constraint(op.f(KIND), "model_states", "kind IN ('LOADED', 'MOVIES', 'FACTORS')")
