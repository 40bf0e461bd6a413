"""Recent reactions of members, for planning an experiment."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from app.db.engine import Sessions
from app.experiments import outcomes
from app.experiments.measures import Metric, measured
from app.experiments.outcomes import NO_TIMEOUT


@dataclass(frozen=True, slots=True)
class Past:
    """A metric over the members of the last `days`.

    `correlation`: with the same metric of the members in the `days` before; 0 if it is not known.
    """

    members: int
    mean: float
    deviation: float
    correlation: float
    days: int


async def past(sessions: Sessions, metric: Metric, days: int) -> Past:
    """The metric of all members who were shown a list within `days`. Reads the events of twice as long."""
    now, span = datetime.now(UTC), timedelta(days=days)
    async with sessions() as session:
        await session.execute(NO_TIMEOUT)
        lately = measured(await outcomes.of_all(session, now - span, now))
        before = measured(await outcomes.of_all(session, now - 2 * span, now - span))
    values = lately.values[metric]
    known = np.isfinite(values)
    _, here, there = np.intersect1d(lately.user, before.user, return_indices=True)
    now_values, then_values = values[here], before.values[metric][there]
    both = np.isfinite(now_values) & np.isfinite(then_values)
    # Members without a past stay unadjusted: they lower the correlation of all.
    covered = int(both.sum()) / max(1, int(known.sum()))
    varied = both.sum() > 2 and now_values[both].std() > 0 and then_values[both].std() > 0  # noqa: PLR2004
    correlation = np.corrcoef(now_values[both], then_values[both])[0, 1] * np.sqrt(covered) if varied else 0
    return Past(
        int(known.sum()),
        float(values[known].mean()) if known.any() else 0.0,
        float(values[known].std(ddof=1)) if known.sum() > 1 else 0.0,
        max(0.0, float(correlation)),
        days,
    )
