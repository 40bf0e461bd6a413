"""The movies to show to someone who is new, whose ratings tell most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.serving.cards import GenreRow
from app.serving.model import Model
from app.serving.snapshot import Snapshot
from recommender.model.elicitation import information, interview
from recommender.model.nearest import top

LONGEST = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """Ids of movies, and the place of each in the whole list, from 1."""

    movie_ids: list[int]
    ranks: list[int]
    has_next: bool


def movies(
    snapshot: Snapshot,
    model: Model,
    genres: Sequence[GenreRow],
    hidden: NDArray[np.int64],
    *,
    first: int,
    after_rank: int = 0,
) -> Asked:
    """Ranks `after_rank` + 1 and on of the list of LONGEST movies, of any of `genres` where some are given.

    The order is the model's, so that it stands still while members rate; `hidden`, int64 (n,), leave gaps.
    """
    of_genre, mask = snapshot.facts.has_genre, np.ones(len(snapshot.cards), np.bool_)
    if genres:
        chosen = {genre.id for genre in genres}
        of_genre = of_genre[[genre.id in chosen for genre in snapshot.genres]]  # (n_genres, n)
        mask = np.logical_or.reduce(of_genre, axis=0)
    telling = np.where(model.allowed(mask), informative(model), -np.inf)
    candidates = top(telling.astype(np.float32), LONGEST)
    bears = of_genre[:, model.snapshot_idx[candidates]].T
    skipped = np.isin(model.hybrid.item_ids[candidates], hidden)
    needed = after_rank + first + int(skipped.sum()) + 1
    order = candidates[interview(telling[candidates], bears, needed)]
    ranks = np.arange(after_rank, order.size)
    ranks = ranks[~np.isin(model.hybrid.item_ids[order[ranks]], hidden)]
    shown = ranks[:first]
    return Asked(
        model.hybrid.item_ids[order[shown]].tolist(), (shown + 1).tolist(), has_next=ranks.size > first
    )


def informative(model: Model) -> NDArray[np.float64]:
    """float64 (n_items,), 0 or more; by popularity alone in a model that has seen no rating."""
    if model.hybrid.match is None:
        return np.asarray(model.hybrid.popularity - model.hybrid.popularity.min(initial=0), np.float64)
    log_count, _, liked_share = model.hybrid.match.item_statistics.T
    return information(log_count, liked_share)
