"""Metrics of ranked lists, predicted stars and probabilities.

Ranking metrics take `hits`, bool (n_users, depth), whether the item at each place of each user's list is
relevant, and `n_relevant`, int (n_users,), at least 1, the number of the user's relevant items in the whole
catalog. They return one float64 per user, for intervals and paired differences.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RELEVANT_STARS = 4.0

Hits = NDArray[np.bool_]
PerUser = NDArray[np.float64]


def precision(hits: Hits, k: int) -> PerUser:
    """Relevant items among the first k, over k, also for lists shorter than k."""
    return np.asarray(hits[:, :k].sum(axis=1) / k)


def recall(hits: Hits, n_relevant: NDArray[np.integer], k: int, *, capped: bool = False) -> PerUser:
    """Relevant items among the first k, over all relevant ones; `capped`: over min(k, relevant).

    The capped form is that of Liang et al., WWW 2018: a perfect list then reaches 1 whatever k is.
    """
    of = np.minimum(n_relevant, k) if capped else n_relevant
    return np.asarray(hits[:, :k].sum(axis=1) / of)


def ndcg(hits: Hits, n_relevant: NDArray[np.integer], k: int) -> PerUser:
    """Binary NDCG: DCG with gain 1/log2(rank + 1), over that of the ideal list of k (Järvelin 2002)."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    gained = hits[:, :k] @ discount[: hits.shape[1]]
    best = np.concatenate([np.zeros(1), np.cumsum(discount)])[np.minimum(n_relevant, k)]
    return np.asarray(gained / best)


def reciprocal_rank(hits: Hits, k: int) -> PerUser:
    """1 / rank of the first relevant item among the first k, 0 without one; its mean is MRR."""
    first = hits[:, :k].argmax(axis=1)
    return np.asarray(np.where(hits[:, :k].any(axis=1), 1 / (first + 1), 0.0))


def average_precision(hits: Hits, n_relevant: NDArray[np.integer], k: int) -> PerUser:
    """Mean of the precision at each relevant item of the first k, over min(k, relevant); its mean is MAP."""
    top = hits[:, :k]
    at = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    return np.asarray((at * top).sum(axis=1) / np.minimum(n_relevant, k))


def intra_list_diversity(item_idx: NDArray[np.integer], vectors: NDArray[np.float32]) -> float:
    """Mean 1 - cosine over all pairs of a list; nan with fewer than two items.

    vectors: (n_items, width), rows of length 1 or 0.
    """
    n = len(item_idx)
    if n < 2:  # noqa: PLR2004 - a pair
        return float("nan")
    rows = vectors[item_idx].astype(np.float64)
    total = rows.sum(axis=0)
    # |sum of rows|^2 is the sum of all n^2 products, from which those of a row with itself are subtracted.
    return float(1 - (total @ total - (rows * rows).sum()) / (n * (n - 1)))


def novelty(item_idx: NDArray[np.integer], item_share: NDArray[np.floating]) -> float:
    """Mean self-information -log2 p of a list, in bits (Zhou et al., PNAS 2010); nan for an empty list.

    item_share: (n_items,), the share of users who rated each item, > 0.
    """
    return float(-np.log2(item_share[item_idx]).mean()) if len(item_idx) else float("nan")


def coverage(exposure: NDArray[np.integer]) -> float:
    """Share of the catalog in at least one list; exposure: (n_items,), the number of lists with each item."""
    return float((exposure > 0).mean())


def gini(exposure: NDArray[np.integer]) -> float:
    """Gini coefficient of exposure over the catalog: 0 for equal exposure, near 1 for a single item."""
    ordered = np.sort(exposure).astype(np.float64)
    n, total = len(ordered), ordered.sum()
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total)) if total else float("nan")


def popularity_share(
    exposure: NDArray[np.integer], item_counts: NDArray[np.integer], head: float = 0.1
) -> float:
    """Share of all places in lists taken by the most rated items, the share `head` of the catalog."""
    n_head = max(1, round(head * len(item_counts)))
    most_rated = np.argsort(-item_counts, kind="stable")[:n_head]
    return float(exposure[most_rated].sum() / exposure.sum()) if exposure.sum() else float("nan")


def rank_correlation(ordered: NDArray[np.floating]) -> float:
    """Spearman correlation of a list's order with values of its items, in list order: 1 if they fall.

    nan for fewer than two different values.
    """
    _, values, counts = np.unique(ordered, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[values]  # equal values share the mean of their ranks
    if len(counts) < 2:  # noqa: PLR2004 - a difference
        return float("nan")
    n = len(ranks)
    apart, places = ranks - (n + 1) / 2, (n - 1) / 2 - np.arange(n)
    return float(places @ apart / np.sqrt(n * (n * n - 1) / 12 * (apart @ apart)))


def rmse(stars: NDArray[np.floating], predicted: NDArray[np.floating]) -> float:
    """Root mean squared error, in stars."""
    return float(np.sqrt(np.mean((stars.astype(np.float64) - predicted) ** 2)))


def calibration_error(happened: Hits, probability: NDArray[np.floating], n_bins: int = 20) -> float:
    """Expected calibration error over bins of equal size: mean |observed share - mean probability|.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    order = np.argsort(probability, kind="stable")
    bins = [part for part in np.array_split(order, n_bins) if len(part)]
    gaps = [len(part) * abs(happened[part].mean() - probability[part].mean()) for part in bins]
    return float(sum(gaps) / len(order))


def auc(happened: Hits, score: NDArray[np.floating]) -> float:
    """Probability that a random positive case scores above a random negative one; ties count half."""
    _, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    n_yes = int(happened.sum())
    n_no = len(happened) - n_yes
    return float((mean_rank[happened].sum() - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap(values: PerUser, rng: np.random.Generator, n_draws: int = 1000) -> Estimate:
    """Mean over users with the 95 % percentile bootstrap interval (Efron 1979); nan values are ignored."""
    known = values[np.isfinite(values)]
    return bootstrap_columns(known[:, None], rng, n_draws)[0]


DRAWS = 50  # resamples computed at once


def bootstrap_columns(
    columns: NDArray[np.float64], rng: np.random.Generator, n_draws: int = 1000
) -> list[Estimate]:
    """`bootstrap` of each column of float64 (n_users, m), with the same resamples of users for all."""
    n_users, m = columns.shape
    known = np.isfinite(columns).astype(np.float64)
    filled = np.nan_to_num(columns, nan=0.0)
    means = np.full((n_draws, m), np.nan)
    for start in range(0, n_draws if n_users else 0, DRAWS):
        block = range(start, min(start + DRAWS, n_draws))
        drawn = [np.bincount(rng.integers(n_users, size=n_users), minlength=n_users) for _ in block]
        times = np.array(drawn, np.float64)  # (draws, n_users)
        counts = times @ known  # (draws, n_users) @ (n_users, m)
        np.divide(times @ filled, counts, out=means[block.start : block.stop], where=counts > 0)
    present = known.any(axis=0)
    values, low, high = (np.full(m, np.nan) for _ in range(3))
    values[present] = filled[:, present].sum(axis=0) / known[:, present].sum(axis=0)
    low[present], high[present] = np.nanquantile(means[:, present], [0.025, 0.975], axis=0)
    return [Estimate(*row) for row in np.stack((values, low, high), axis=1).tolist()]
