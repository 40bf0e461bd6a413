"""Active-learning elicitation: choose the most informative items to ask a new user about."""

import numpy as np
import numpy.typing as npt


def information(
    log_count: npt.NDArray[np.floating], liked_share: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """The expected information of a rating of each item by a new user, float64 (n,).

    log_count: (n,), log(1 + ratings). liked_share: (n,), share of ratings that are likes. The product of log
    popularity and the entropy of the ratings, in bits: Rashid et al., "Getting to Know You: Learning New
    User Preferences in Recommender Systems", IUI 2002.
    """
    share = np.clip(np.asarray(liked_share, np.float64), 1e-9, 1 - 1e-9)
    entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    return np.asarray(log_count, np.float64) * entropy


def elicit(
    information: npt.NDArray[np.float64], genres: npt.NDArray[np.bool_], k: int
) -> npt.NDArray[np.int32]:
    """Choose items to ask about, in order: int32 (m,), m = min(k, n). The first j of a k-list are the j-list.

    information: float64 (n,), not negative. genres: bool (n, n_genres). The value of an item is its
    information divided, for each of its genres, by one more than the number of chosen items of that genre:
    the highest averages method of D'Hondt, which gives each genre places in proportion to the information of
    its items. An item of several genres counts equally in each; items without genres form one more genre.
    """
    without_genre = ~genres.any(axis=1, keepdims=True)
    shares = np.concatenate((genres, without_genre), axis=1).astype(np.float64)  # (n, n_genres + 1)
    shares /= shares.sum(axis=1, keepdims=True)
    chosen = np.zeros(shares.shape[1])
    left = information.astype(np.float64)
    order = np.empty(min(k, len(left)), np.int32)
    for place in range(order.size):
        worth = left * (shares @ (1 / (1 + chosen)))  # (n, n_genres + 1) @ (n_genres + 1,)
        order[place] = item = int(worth.argmax())
        chosen += shares[item]
        left[item] = -np.inf
    return order
