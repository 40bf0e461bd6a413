"""Metrics of each member, from the outcomes of their lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.experiments.outcomes import Outcomes


class Metric(StrEnum):
    """CLICK_RATE, WATCH_RATE: share of a member's lists with such an event. COMPLETION: mean over their
    watched lists of the largest fraction watched. MEAN_STARS: of the movies that lists showed and they first
    rated afterwards. LISTS_UNTIL_WATCH: number of the first list with a WATCH; all lists and one more for a
    member without one. DIVERSITY: mean diversity of their lists by genre.
    """

    CLICK_RATE = "CLICK_RATE"
    WATCH_RATE = "WATCH_RATE"
    COMPLETION = "COMPLETION"
    MEAN_STARS = "MEAN_STARS"
    LISTS_UNTIL_WATCH = "LISTS_UNTIL_WATCH"
    DIVERSITY = "DIVERSITY"


@dataclass(frozen=True, slots=True)
class Measures:
    """Metrics of m members, a row for each arm that they saw: `user` int64 (m,), `arm` int64 (m,), sorted.

    `lists`, `impressions` int64 (m,). `values` by metric float64 (m,), nan where there is nothing to measure.
    """

    user: NDArray[np.int64]
    arm: NDArray[np.int64]
    lists: NDArray[np.int64]
    impressions: NDArray[np.int64]
    values: Mapping[Metric, NDArray[np.float64]]


def measured(outcomes: Outcomes, until: float = np.inf) -> Measures:
    """The metrics from all that was received by `until`, in seconds since 1970."""
    seen = outcomes.shown_at <= until
    keys, of_list = np.unique(
        np.stack((outcomes.user[seen], outcomes.arm[seen])), axis=1, return_inverse=True
    )
    of_list = of_list.reshape(-1)
    size = keys.shape[1]
    lists = np.bincount(of_list, minlength=size)
    watched = outcomes.watched_at[seen] <= until
    rated = outcomes.rated_at <= until
    # The number of each list among those of its member and arm, from 0: lists are in order of time.
    order = np.argsort(of_list, kind="stable")
    place = np.empty(of_list.size, np.int64)
    place[order] = np.arange(of_list.size) - (np.cumsum(lists) - lists)[of_list[order]]
    until_watch = lists + 1
    np.minimum.at(until_watch, of_list[watched], place[watched] + 1)
    completion = np.where(watched, outcomes.completion[seen], np.nan)
    return Measures(
        keys[0],
        keys[1],
        lists,
        np.bincount(of_list, outcomes.impressions[seen], size).astype(np.int64),
        {
            Metric.CLICK_RATE: means(of_list, (outcomes.clicked_at[seen] <= until).astype(float), size),
            Metric.WATCH_RATE: means(of_list, watched.astype(float), size),
            Metric.COMPLETION: means(of_list, completion, size),
            Metric.MEAN_STARS: _stars(outcomes, rated, keys),
            Metric.LISTS_UNTIL_WATCH: until_watch.astype(np.float64),
            Metric.DIVERSITY: means(of_list, outcomes.diversity[seen], size),
        },
    )


def means(group: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The mean of the known values of each group, float64 (size,); nan for a group without one."""
    known = np.isfinite(values)
    counts = np.bincount(group[known], minlength=size)
    sums = np.bincount(group[known], values[known], size)
    found = np.full(size, np.nan)
    np.divide(sums, counts, out=found, where=counts > 0)
    return found


def _stars(outcomes: Outcomes, rated: NDArray[np.bool_], keys: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean stars by (user, arm), the columns of `keys`, int64 (2, m), sorted."""
    size = keys.shape[1]
    if not (size and rated.any()):
        return np.full(size, np.nan)
    arms = int(max(keys[1].max(), outcomes.rated_arm.max())) + 1
    known, wanted = keys[0] * arms + keys[1], outcomes.rated_user[rated] * arms + outcomes.rated_arm[rated]
    place = np.minimum(np.searchsorted(known, wanted), size - 1)
    found = known[place] == wanted
    return means(place[found], outcomes.stars[rated][found], size)
