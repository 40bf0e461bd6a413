"""Compare a candidate with the active model before it is activated."""

import math
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from app.training import data
from recommender import splits
from recommender.evaluation import gate
from recommender.evaluation.gate import MIN_USERS, Verdict
from recommender.evaluation.predictions import users_with
from recommender.interactions import Interactions, positions
from recommender.item_features import ItemFeatures
from recommender.metrics import RELEVANT_STARS
from recommender.model.artifact import ArtifactError
from recommender.model.hybrid import Hybrid
from recommender.model.sentence_embeddings import SentenceModel
from recommender.progress import Progress
from recommender.scorers import kinds
from recommender.splits import Split
from recommender.training.config import Config, InvalidSettings
from recommender.training.train_arm import train_model

ENOUGH = 500  # members
ACTIVE = "SELECT version, trained_at FROM model_versions WHERE status = 'ACTIVE'"


def judged(
    connection: psycopg.Connection,
    models: Path,
    candidate: Hybrid,
    interactions: Interactions,
    movies: ItemFeatures,
    sentences: SentenceModel | None,
    progress: Progress,
) -> Verdict:
    """Compare a model that is trained on these ratings with the active one, on each member's newest ratings.

    A rating counts at the time of the member's first rating of the movie. A changed rating is no new choice,
    and the active model knows the pair. For the comparison the candidate is fitted again without the held-out
    ratings. If enough of these are newer than the active model, the active model itself is compared, on those
    alone. Otherwise it is fitted again too, with its kind and settings.
    """
    row = connection.execute(ACTIVE).fetchone()
    if row is None:
        return Verdict(True, "there was no active model")
    version, trained_at = row
    try:
        active = kinds.load(models / version)
    except (ArtifactError, OSError):
        return Verdict(True, f"the active model {version} cannot be read")
    times = first_rated(connection, interactions)
    whole = splits.temporal_per_user(interactions, times=times, rng=np.random.default_rng(0))
    newer = newer_than(interactions, trained_at, times)
    again = n_users(newer) < enough(n_users(whole))
    if again and made_with(active) == made_with(candidate):
        return Verdict(True, "the same kind and settings, and too few new ratings to compare")

    def fitted(model: Hybrid, split: Split, who: str) -> Hybrid:
        return train_model(
            model.kind, split.train, movies, config_of(model), lambda *at: progress(f"gate: {who}", at[1]),
            sentences=sentences, only_lists=True,
        )  # fmt: skip

    if again:
        return gate.judge(whole, fitted(candidate, whole, "candidate"), fitted(active, whole, "active model"))
    return gate.judge(newer, fitted(candidate, newer, "candidate"), active)


def n_users(split: Split) -> int:
    """The number of users with a held-out like."""
    return len(users_with(split.held_out, RELEVANT_STARS, None, np.random.default_rng(0)))


def enough(n_whole: int) -> int:
    """So many users must have a newer like that only those are compared. `n_whole`: with any held-out like.

    A few hundred members tell apart models that differ by a fifth, fewer do not: then a worse model passes.
    """
    return max(MIN_USERS, min(ENOUGH, n_whole // 2))


def first_rated(connection: psycopg.Connection, interactions: Interactions) -> NDArray[np.int64]:
    """The times of the first ratings of the pairs, in Unix seconds, int64 (nnz,)."""
    with connection.cursor().copy(data.CHANGED) as copy:
        users, movies, _, first = data.columns_of(copy)
    times = interactions.timestamps.copy()
    user_idx, item_idx = positions(interactions.user_ids, users), positions(interactions.item_ids, movies)
    known = (user_idx >= 0) & (item_idx >= 0)
    if not known.any():
        return times
    # The numbers of the ratings, from 1, since a sparse matrix gives 0 for a pair without one.
    of = interactions.user_items
    numbers = csr_matrix((np.arange(1, of.nnz + 1, dtype=np.int32), of.indices, of.indptr), of.shape)
    found = np.asarray(numbers[user_idx[known], item_idx[known]]).ravel()
    times[found[found > 0] - 1] = first[known][found > 0]
    return times


def newer_than(interactions: Interactions, time: datetime, times: NDArray[np.int64] | None = None) -> Split:
    """Hold out each user's newest ratings, but only those after `time`. `times`: see `temporal_per_user`.

    The active model has learned from all older ratings, so the candidate must learn from them too: without
    them it is refused for their lack. Timestamps are rounded to seconds: the same second counts as older.
    """
    after = math.ceil(time.timestamp())
    return splits.temporal_per_user(interactions, after=after, times=times, rng=np.random.default_rng(0))


def made_with(model: Hybrid) -> tuple[Any, ...]:
    return model.kind, model.manifest.get("config"), model.manifest.get("sentences")


def config_of(model: Hybrid) -> Config:
    """The settings of a model; the defaults for those that this release does not know."""
    known = {field.name for field in fields(Config)}
    try:
        return Config(**{name: value for name, value in model.manifest["config"].items() if name in known})
    except (InvalidSettings, KeyError, TypeError):
        return Config()
