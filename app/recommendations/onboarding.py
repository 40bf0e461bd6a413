"""Choose the most informative movies to ask a new member about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.serving.cards import GenreRow
from app.serving.model import Model
from app.serving.snapshot import Snapshot
from recommender.model.elicitation import elicit, information
from recommender.model.nearest import top

LONGEST = 500


class AskedMovie(NamedTuple):
    """A movie to ask about. `rank`: in the whole list, from 1. `score`: the information of a rating."""

    movie_id: int
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class OnboardingPage:
    """A page of the list."""

    movies: list[AskedMovie]
    has_next: bool


def movies(
    snapshot: Snapshot,
    model: Model,
    genres: Sequence[GenreRow],
    hidden: NDArray[np.int64],
    *,
    first: int,
    after_rank: int = 0,
) -> OnboardingPage:
    """Return the `first` movies after `after_rank` of a list of at most LONGEST.

    `genres`: only movies of any of these; empty for all. `hidden`, int64 (n,): movies to leave out; their
    ranks stay empty. The order depends on the model alone, so it does not change while a member rates.
    """
    of_genre, mask = snapshot.facts.has_genre, np.ones(len(snapshot.cards), np.bool_)
    if genres:
        chosen = {genre.id for genre in genres}
        of_genre = of_genre[[genre.id in chosen for genre in snapshot.genres]]  # (n_genres, n)
        mask = np.logical_or.reduce(of_genre, axis=0)
    worth = np.where(model.allowed(mask), informative(model), -np.inf)
    candidates = top(worth.astype(np.float32), LONGEST)
    genres_of = of_genre[:, model.snapshot_idx[candidates]].T  # (n_candidates, n_genres)
    skipped = np.isin(model.hybrid.item_ids[candidates], hidden)
    needed = after_rank + first + int(skipped.sum()) + 1
    order = candidates[elicit(worth[candidates], genres_of, needed)]
    ranks = np.arange(after_rank, order.size)
    ranks = ranks[~np.isin(model.hybrid.item_ids[order[ranks]], hidden)]
    shown = ranks[:first]
    ids, scores = model.hybrid.item_ids[order[shown]].tolist(), worth[order[shown]].tolist()
    return OnboardingPage(
        [AskedMovie(*each) for each in zip(ids, (shown + 1).tolist(), scores, strict=True)],
        has_next=ranks.size > first,
    )


def informative(model: Model) -> NDArray[np.float64]:
    """Information that a rating of each item yields, float64 (n_items,), not negative.

    It is the popularity in a model without ratings.
    """
    if model.hybrid.match is None:
        return np.asarray(model.hybrid.popularity - model.hybrid.popularity.min(initial=0), np.float64)
    log_count, _, liked_share = model.hybrid.match.item_statistics.T
    if model.hybrid.item_step is not None:  # without ratings, the statistics are those of known movies
        log_count = np.log1p(model.hybrid.item_step.counts)
    return information(log_count, liked_share)
