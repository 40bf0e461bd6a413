"""Fit the scorer of an arm to ratings, by its kind."""

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from recommender.interactions import Interactions
from recommender.scorers.autoencoder import Autoencoder
from recommender.scorers.content import Content
from recommender.scorers.item_knn import ItemKnn
from recommender.scorers.likes import likes
from recommender.scorers.nmf import Nmf
from recommender.scorers.part import Floats, Part
from recommender.scorers.popularity import Popularity
from recommender.scorers.svd import Svd
from recommender.scorers.user_knn import UserKnn

# Fits a part to ratings and content vectors, float32 (n_items, width).
Fit = Callable[[Interactions, Floats], Part]

FACTORS = 32
ITERATIONS = 200


def fit_nmf(train: Interactions, *, factors: int = FACTORS) -> Nmf:
    """Fewer factors if there are fewer users or items; none without likes."""
    ones = likes(train)
    k = min(factors, *ones.shape)
    if k < 1 or not ones.nnz:
        return Nmf(np.zeros((train.n_items, 0), np.float32))
    solver = NMF(n_components=k, init="nndsvd", random_state=0, max_iter=ITERATIONS, tol=1e-3)
    with threadpool_limits(limits=1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the lists change little after ITERATIONS
        solver.fit(ones)
    return Nmf(np.ascontiguousarray(solver.components_.T, np.float32))


def fit_autoencoder(train: Interactions) -> Part:
    """Fit with PyTorch, which is an extra and takes seconds to load."""
    fitting = import_module("recommender.training.fit_autoencoder")
    fitted: Part = fitting.fit_autoencoder(train)
    return fitted


FITS: Mapping[str, Fit] = {
    UserKnn.kind: lambda train, _content: UserKnn.fit(train),
    Svd.kind: lambda train, _content: Svd.fit(train),
    Nmf.kind: lambda train, _content: fit_nmf(train),
    ItemKnn.kind: lambda train, _content: ItemKnn.fit(train),
    Content.kind: lambda _train, content: Content(content),
    Popularity.kind: lambda train, _content: Popularity(train.n_items),
    Autoencoder.kind: lambda train, _content: fit_autoencoder(train),
}
