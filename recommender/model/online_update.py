"""Ratings that arrive after the fit move the items they are of, without a fit.

An item's factors y minimise what `ials.toward` does, with users folded in from their histories as of now:

    sum_new (p - x.y)^2 + (y - e)^T Q (y - e),   Q = n0 (I + m m^T) + alpha0 X^T X + lambda M

in the basis of `fold_in`, in which users have mean m and covariance I, so that the n0 ratings which the fit
has seen of the item count as those of typical users. X are the users of the fit, M turns the basis back for
lambda = regularization (n + alpha0 n_users), and e is where the item stood, less what of its content's place
n ratings leave to be expected. For an item that nobody had rated this is exactly its half-step.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from recommender.interactions import History
from recommender.model.item_step import Floats

if TYPE_CHECKING:
    from recommender.model.hybrid import Hybrid


def item_moved(
    model: "Hybrid", item: int, fitted: Floats, histories: Sequence[History], stars: Floats
) -> Floats:
    """float32 (factors,): where n ratings put an item that the fit left at `fitted`.

    histories, of who gave them, and stars, float32 (n,): all that the fit has not seen, or the newest of
    them. The item's own rating has no part in the tastes that move it. The model has an item_step.
    """
    assert model.item_step is not None
    users = np.stack([model.factor_model.user_factors(history.without(item)) for history in histories])
    return model.item_step.moved(item, fitted, users, stars)
