"""The lists that members of running experiments saw in the last hour, by arm, for metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from app.db.engine import Sessions
from app.experiments.assignment import Experiment

WINDOW = timedelta(hours=1)

# Lists are served before they are shown: also those of the hour before the window.
SHOWN = text(
    """
    WITH lists AS (
        SELECT DISTINCT request_id, user_id, label
        FROM served_lists CROSS JOIN LATERAL unnest(string_to_array(arm, ' ')) AS label
        WHERE served_at > now() - 2 * CAST(:window AS interval) AND label = ANY(CAST(:labels AS text[]))
    ), shown AS (
        SELECT label, bool_or(kind = 'CLICK') AS clicked, bool_or(kind = 'WATCH') AS watched
        FROM lists JOIN feedback USING (request_id, user_id)
        WHERE received_at > now() - CAST(:window AS interval) AND kind IN ('IMPRESSION', 'CLICK', 'WATCH')
        GROUP BY label, request_id, user_id HAVING bool_or(kind = 'IMPRESSION')
    )
    SELECT label, count(shown.label) AS shown, count(*) FILTER (WHERE clicked) AS clicked,
        count(*) FILTER (WHERE watched) AS watched
    FROM unnest(CAST(:labels AS text[])) AS label LEFT JOIN shown USING (label) GROUP BY label
    """
)


@dataclass(frozen=True, slots=True)
class ArmLists:
    """Lists of an arm that were shown, and those of them with a CLICK and with a WATCH."""

    arm: str
    shown: int
    clicked: int
    watched: int


async def lists_by_arm(sessions: Sessions, experiments: Sequence[Experiment]) -> list[ArmLists]:
    """The lists of each arm within WINDOW, in one statement; none without experiments."""
    labels = [f"{experiment.name}/{arm.name}" for experiment in experiments for arm in experiment.arms]
    if not labels:
        return []
    async with sessions() as session:
        rows = await session.execute(SHOWN, {"labels": labels, "window": WINDOW})
        return [ArmLists(*row) for row in rows]
