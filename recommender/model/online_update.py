"""Ratings that arrive after the fit move the films they are of, without a fit.

A film's factors y minimise what `ials.toward` does, with users folded in from their histories as of now:

    sum_new (p - x.y)^2 + (y - e)^T Q (y - e),   Q = n0 (I + m m^T) + alpha0 X^T X + lambda M

in the basis of `fold_in`, in which users have mean m and covariance I, so that the n0 ratings which the fit
has seen of the film count as those of typical users. X are the users of the fit, M turns the basis back for
lambda = regularization (n + alpha0 n_users), and e is where the film stood, less what of its content's place
n ratings leave to be expected. For a film that nobody had rated this is exactly its half-step.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from recommender.interactions import History
from recommender.model.item_step import Floats

if TYPE_CHECKING:
    from recommender.model.hybrid import Hybrid


def film_moved(
    model: "Hybrid", film: int, fitted: Floats, histories: Sequence[History], stars: Floats
) -> Floats:
    """float32 (factors,): where n ratings put a film that the fit left at `fitted`.

    histories, of who gave them, and stars, float32 (n,): all that the fit has not seen, or the newest of
    them. The film's own rating has no part in the tastes that move it. The model has a film_step.
    """
    assert model.film_step is not None
    users = np.stack([model.factor_model.user_factors(history.without(film)) for history in histories])
    return model.film_step.moved(film, fitted, users, stars)
