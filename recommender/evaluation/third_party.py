"""Third-party baselines: models of other libraries, run through their own code if they are installed.

For lists: implicit's ALS and cosine neighbors, LensKit's ALS and item neighbors. For stars: LensKit's biased
matrix factorization. They are trained on the same likes or stars as our model, fold in the same histories,
and choose their settings from a grid like the other baselines. The extra `peers` installs both libraries.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.evaluation.baseline_settings import Baseline
from recommender.evaluation.baselines import Scores
from recommender.evaluation.predictions import Predictor
from recommender.extras import install_command
from recommender.interactions import MAX_STARS, MIN_STARS, History, Interactions
from recommender.metrics import RELEVANT_STARS
from recommender.model.match import Predictions
from recommender.scorers.likes import liked, likes

Floats = NDArray[np.float32]


def baselines() -> dict[str, Baseline]:
    """The baselines whose library is installed, by name."""
    found: dict[str, Baseline] = {}
    if find_spec("implicit"):
        weights = [{"regularization": r, "alpha": a} for r in (0.01, 3.0, 10.0, 30.0) for a in (1.0, 5.0)]
        found["implicit ALS"] = Baseline(implicit_als, tuple(weights))
        found["implicit cosine"] = Baseline(implicit_cosine, tuple({"neighbours": n} for n in (20, 50, 200)))
    if find_spec("lenskit"):
        found["LensKit ALS"] = Baseline(lenskit_als, tuple({"weight": w} for w in (4.0, 10.0, 40.0)))
        found["LensKit item-kNN"] = Baseline(lenskit_knn, tuple({"neighbours": n} for n in (20, 50, 100)))
    return found


def predictors() -> dict[str, Callable[[Interactions], Predictor]]:
    """The fit functions of rating predictors whose library is installed, by name."""
    return {"LensKit biased MF": lenskit_biased_mf} if find_spec("lenskit") else {}


def implicit_als(
    train: Interactions, *, regularization: float, alpha: float, factors: int = 64, iterations: int = 15
) -> Scores:
    """implicit's AlternatingLeastSquares; a user's factors are recalculated from the history."""
    model = _load("implicit.cpu.als").AlternatingLeastSquares(
        factors=factors,
        regularization=regularization,
        alpha=alpha,
        iterations=iterations,
        random_state=0,
    )
    model.fit(likes(train), show_progress=False)

    def scores(history: History) -> Floats:
        users = model.recalculate_user(np.zeros(1, np.int32), _row(history, train.n_items))
        return np.asarray(model.item_factors @ np.ravel(users), np.float32)

    return scores


def implicit_cosine(train: Interactions, *, neighbours: int) -> Scores:
    """implicit's CosineRecommender."""
    model = _load("implicit.nearest_neighbours").CosineRecommender(K=neighbours)
    model.fit(likes(train), show_progress=False)
    return lambda history: np.asarray(
        (_row(history, train.n_items) @ model.similarity).toarray(), np.float32
    ).ravel()


def lenskit_als(train: Interactions, *, weight: float, factors: int = 64, iterations: int = 15) -> Scores:
    """LensKit's ImplicitMFScorer, which folds the history in."""
    als = _load("lenskit.als")
    model = als.ImplicitMFScorer(embedding_size=factors, epochs=iterations, weight=weight)
    return _lenskit_scores(model, train)


def lenskit_knn(train: Interactions, *, neighbours: int) -> Scores:
    """LensKit's ItemKNNScorer with implicit feedback."""
    knn = _load("lenskit.knn")
    return _lenskit_scores(knn.ItemKNNScorer(max_nbrs=neighbours, feedback="implicit"), train)


def lenskit_biased_mf(train: Interactions) -> Predictor:
    """LensKit's BiasedMFScorer on stars."""
    model = _load("lenskit.als").BiasedMFScorer(embedding_size=32, epochs=15, regularization=0.1)
    model.train(_dataset(train), _seeded())

    def predict(history: History, item_idx: NDArray[np.int32]) -> Predictions:
        stars = _query(model, history.item_idx, history.stars, item_idx)
        missing = np.full(len(item_idx), np.nan, np.float32)
        return Predictions(np.clip(stars, MIN_STARS, MAX_STARS), missing, missing, missing)

    return predict


def _lenskit_scores(model: Any, train: Interactions) -> Scores:
    model.train(_dataset(train.with_ratings(train.user_items.data >= RELEVANT_STARS)), _seeded())
    everything = np.arange(train.n_items, dtype=np.int32)

    def scores(history: History) -> Floats:
        idx = liked(history)
        found = _query(model, idx, np.full(len(idx), MAX_STARS, np.float32), everything)
        # Items without a score are ranked last, so that every list is full.
        return np.nan_to_num(found, nan=float(np.nanmin(found, initial=0.0)) - 1)

    return scores


def _query(model: Any, rated: NDArray[np.int32], stars: Floats, item_idx: NDArray[np.int32]) -> Floats:
    """Scores of m items, float32 (m,), for a user who rated the items `rated`; nan for unknown items."""
    data = _load("lenskit.data")
    query = data.RecQuery(history_items=data.ItemList(item_ids=rated, rating=stars))
    return np.asarray(model(query, data.ItemList(item_ids=item_idx)).scores(), np.float32)


def _dataset(train: Interactions) -> Any:
    ratings = train.user_items.tocoo()
    rows = {"user_id": ratings.row, "item_id": ratings.col, "rating": ratings.data}
    table = _load("pandas").DataFrame(rows)  # a dependency of LensKit
    return _load("lenskit.data").from_interactions_df(table, items=np.arange(train.n_items, dtype=np.int32))


def _seeded() -> Any:
    return _load("lenskit.training").TrainingOptions(rng=0)


def _row(history: History, n_items: int) -> csr_matrix:
    """The liked items of a history as ones, csr float32 (1, n_items)."""
    idx = np.sort(liked(history))
    return csr_matrix((np.ones(len(idx), np.float32), idx, [0, len(idx)]), shape=(1, n_items))


def _load(module: str) -> Any:
    """Import a module of the extra `peers`, when a model is fitted: it is optional, and slow to import.

    Raises ModuleNotFoundError with the name of the extra if it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{module} needs the extra `peers`: {install_command('peers')}") from error
