"""Evaluate the recommender and baselines on a data set."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from threadpoolctl import threadpool_limits

from app.training.data import read_interactions, read_movies
from recommender.evaluation import baseline_settings, compare, third_party
from recommender.evaluation.baselines import damped_means
from recommender.evaluation.compare import Outcome
from recommender.evaluation.entrants import Entrants, Previous
from recommender.evaluation.protocols import Protocol
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.progress import Progress
from recommender.training.config import Config


@dataclass(frozen=True, slots=True)
class Task:
    """An evaluation. `data`: its name. `fingerprint`: of its ratings. `max_users`: of each trial."""

    protocol: Protocol
    data: str
    fingerprint: str
    seeds: tuple[int, ...]
    max_users: int


def read_database(
    database_url: str, progress: Progress, attributes: str = ""
) -> tuple[Interactions, ItemFeatures]:
    """Read the training set of a database. `attributes`: see `read_movies`.

    Raises NothingToTrainOn if it has no movies.
    """
    with psycopg.connect(database_url) as connection:
        progress("reading", 0.0)
        movies = read_movies(connection, attributes)
        return read_interactions(connection, movies.item_ids), movies


def fingerprint(ratings: Interactions) -> str:
    """A hash of the ratings: who gave how many stars to which item, and when."""
    digest = hashlib.sha256()
    for array in (
        ratings.user_ids,
        ratings.item_ids,
        ratings.user_items.indptr,
        ratings.user_items.indices,
        ratings.user_items.data,
        ratings.timestamps,
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def entrants_of(
    *,
    config: Config,
    with_baselines: bool,
    with_peers: bool,
    diversities: Sequence[float],
    arms: Sequence[str] = (),
    previous: Previous | None = None,
) -> Entrants:
    """The models to evaluate. with_peers: also the third-party libraries that are installed."""
    baselines = baseline_settings.BASELINES if with_baselines else {}
    others = third_party.baselines() if with_peers else {}
    predictors = third_party.predictors() if with_peers else {}
    return Entrants(
        config=config,
        diversities=diversities,
        baselines={**baselines, **others},
        arms=arms,
        predictors={"damped means": damped_means, **predictors},
        previous=previous,
    )


def evaluate(
    task: Task, interactions: Interactions, movies: ItemFeatures, entrants: Entrants, progress: Progress
) -> list[Outcome]:
    """Evaluate all models on each split of the protocol. Raises ValueError as `compare.compare`."""
    with threadpool_limits(limits=1, user_api="blas"):  # figures must not depend on the number of threads
        return compare.compare(
            task.protocol,
            interactions,
            movies,
            entrants,
            seeds=task.seeds,
            max_users=task.max_users,
            progress=progress,
        )


def as_dict(task: Task, outcomes: list[Outcome]) -> dict[str, Any]:
    """The evaluation as JSON values. `users`: the figures of our model by user, for `previous`."""
    trials = [
        {
            "label": outcome.label,
            **dataclasses.asdict(outcome.evaluation),
            "settings": outcome.settings,
            "fit_seconds": outcome.seconds,
            "users": dataclasses.asdict(outcome.users),
        }
        for outcome in outcomes
    ]
    return {
        "protocol": task.protocol.value,
        "data": task.data,
        "ratings": task.fingerprint,
        "seeds": task.seeds,
        "max_users": task.max_users,
        "trials": trials,
    }
