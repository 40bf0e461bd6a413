"""Which items to ask a newcomer about: known to many, dividing those who know them, and of every genre."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def information(log_count: Floats, liked_share: Floats) -> npt.NDArray[np.float64]:
    """float64 (n,): what an opinion on each item tells, times how likely a newcomer has one.

    log_count: (n,), log(1 + ratings). liked_share: (n,), share of ratings that are likes. The product of log
    popularity and the entropy of the opinions, in bits: Rashid et al., "Getting to Know You: Learning New
    User Preferences in Recommender Systems", IUI 2002. An item that all like tells nothing of anyone.
    """
    share = np.clip(np.asarray(liked_share, np.float64), 1e-9, 1 - 1e-9)
    entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    return np.asarray(log_count, np.float64) * entropy


def elicit(
    information: npt.NDArray[np.float64], genres: npt.NDArray[np.bool_], k: int
) -> npt.NDArray[np.int32]:
    """int32 (m,), m = min(k, n): items to ask about, in order; the first j of a k-list are the j-list.

    information: float64 (n,), not negative. genres: bool (n, n_genres). Each item is worth its information
    divided, for each of its genres, by one more than the items of that genre asked about so far: the highest
    averages of d'Hondt, which give genres places in proportion to what their items tell, and early ones to
    all. An item of several genres counts in each by its share; items of none are a genre of their own.
    """
    bare = ~genres.any(axis=1, keepdims=True)
    shares = np.concatenate((genres, bare), axis=1).astype(np.float64)  # (n, n_genres + 1)
    shares /= shares.sum(axis=1, keepdims=True)
    asked = np.zeros(shares.shape[1])
    left = information.astype(np.float64)
    order = np.empty(min(k, len(left)), np.int32)
    for place in range(order.size):
        worth = left * (shares @ (1 / (1 + asked)))  # (n, n_genres + 1) @ (n_genres + 1,)
        order[place] = item = int(worth.argmax())
        asked += shares[item]
        left[item] = -np.inf
    return order
