"""Models of other libraries, fitted and asked through their own code, where they are installed.

implicit's ALS and cosine neighbors, and LensKit's ALS and item neighbors for lists, its biased matrix
factorization for stars. They learn from the same likes or stars as ours, know a user by the same history, and
choose from a grid on validation as the baselines do. The extra `peers` brings both.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.evaluation.baselines import Scores, liked, likes
from recommender.evaluation.compare import Baseline
from recommender.evaluation.predictions import Predictor
from recommender.interactions import MAX_STARS, MIN_STARS, History, Interactions
from recommender.metrics import RELEVANT_STARS
from recommender.model.match import Predictions

Floats = NDArray[np.float32]


def baselines() -> dict[str, Baseline]:
    """Those whose library is installed, by name."""
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
    """Who of them foretells stars."""
    return {"LensKit biased MF": lenskit_biased_mf} if find_spec("lenskit") else {}


def implicit_als(
    train: Interactions, *, regularization: float, alpha: float, factors: int = 64, iterations: int = 15
) -> Scores:
    """implicit's AlternatingLeastSquares; a user's factors are recalculated from the history."""
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 - optional

    model = AlternatingLeastSquares(
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
    from implicit.nearest_neighbours import CosineRecommender  # noqa: PLC0415 - optional

    model = CosineRecommender(K=neighbours)
    model.fit(likes(train), show_progress=False)
    return lambda history: np.asarray(
        (_row(history, train.n_items) @ model.similarity).toarray(), np.float32
    ).ravel()


def lenskit_als(train: Interactions, *, weight: float, factors: int = 64, iterations: int = 15) -> Scores:
    """LensKit's ImplicitMFScorer, which folds the history in."""
    from lenskit.als import ImplicitMFScorer  # noqa: PLC0415 - optional

    model = ImplicitMFScorer(embedding_size=factors, epochs=iterations, weight=weight)
    return _lenskit_scores(model, train)


def lenskit_knn(train: Interactions, *, neighbours: int) -> Scores:
    """LensKit's ItemKNNScorer with implicit feedback."""
    from lenskit.knn import ItemKNNScorer  # noqa: PLC0415 - optional

    return _lenskit_scores(ItemKNNScorer(max_nbrs=neighbours, feedback="implicit"), train)


def lenskit_biased_mf(train: Interactions) -> Predictor:
    """LensKit's BiasedMFScorer on stars."""
    from lenskit.als import BiasedMFScorer  # noqa: PLC0415 - optional

    model = BiasedMFScorer(embedding_size=32, epochs=15, regularization=0.1)
    model.train(_dataset(train), _seeded())

    def predict(history: History, item_idx: NDArray[np.int32]) -> Predictions:
        stars = _ask(model, history.item_idx, history.stars, item_idx)
        nothing = np.full(len(item_idx), np.nan, np.float32)
        return Predictions(np.clip(stars, MIN_STARS, MAX_STARS), nothing, nothing, nothing)

    return predict


def _lenskit_scores(model: Any, train: Interactions) -> Scores:
    model.train(_dataset(train.with_ratings(train.user_items.data >= RELEVANT_STARS)), _seeded())
    everything = np.arange(train.n_items, dtype=np.int32)

    def scores(history: History) -> Floats:
        idx = liked(history)
        told = _ask(model, idx, np.full(len(idx), MAX_STARS, np.float32), everything)
        # What it cannot score comes after all that it can, which leaves every list full.
        return np.nan_to_num(told, nan=float(np.nanmin(told, initial=0.0)) - 1)

    return scores


def _ask(model: Any, known: NDArray[np.int32], stars: Floats, wanted: NDArray[np.int32]) -> Floats:
    from lenskit.data import ItemList, RecQuery  # noqa: PLC0415 - optional

    query = RecQuery(history_items=ItemList(item_ids=known, rating=stars))
    return np.asarray(model(query, ItemList(item_ids=wanted)).scores(), np.float32)


def _dataset(train: Interactions) -> Any:
    import pandas as pd  # noqa: PLC0415 - LensKit brings it
    from lenskit.data import from_interactions_df  # noqa: PLC0415 - optional

    ratings = train.user_items.tocoo()
    rows = {"user_id": ratings.row, "item_id": ratings.col, "rating": ratings.data}
    return from_interactions_df(pd.DataFrame(rows), items=np.arange(train.n_items, dtype=np.int32))


def _seeded() -> Any:
    from lenskit.training import TrainingOptions  # noqa: PLC0415 - optional

    return TrainingOptions(rng=0)


def _row(history: History, n_items: int) -> csr_matrix:
    idx = np.sort(liked(history))
    return csr_matrix((np.ones(len(idx), np.float32), idx, [0, len(idx)]), shape=(1, n_items))
