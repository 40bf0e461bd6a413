"""A member's history and exclusions, read at request time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.activity import feedback, ratings
from app.activity.feedback import Signals
from app.db.engine import Sessions
from app.recommendations.steering.preferences import Preference, wishes
from app.serving.model import Model
from recommender.interactions import History

LIKE_STARS = 5.0


@dataclass(frozen=True, slots=True)
class UserHistory:
    """A user's ratings, graded events, exclusions, favorite genres and preferences, read at request time.

    `movie_ids` int64 (n,), `stars` float32 (n,), `timestamps` int64 (n,): `rated` ratings, then events with
    the stars they stand for. `hidden` int64: movies that are never recommended, because they are rated or
    marked NOT_INTERESTED. `shown`: movies recently shown and not acted on, ids int64 (s,) and times shown
    int32 (s,); None if it was not read or is empty. `preferences`: wishes for more or less of a genre, a
    person or a collection.
    """

    movie_ids: NDArray[np.int64]
    stars: NDArray[np.float32]
    timestamps: NDArray[np.int64]
    hidden: NDArray[np.int64]
    favorite_genres: tuple[str, ...] = ()
    rated: int = 0
    shown: tuple[NDArray[np.int64], NDArray[np.int32]] | None = None
    preferences: tuple[Preference, ...] = ()

    @classmethod
    def of(
        cls,
        history: ratings.History,
        signals: Signals,
        favorite_genres: tuple[str, ...],
        preferences: tuple[Preference, ...] = (),
    ) -> Self:
        rated_ids, half_stars, rated_at = history
        return cls(
            movie_ids=np.concatenate((rated_ids, signals.movie_ids)),
            stars=np.concatenate((half_stars.astype(np.float32) / 2, signals.stars)),
            timestamps=np.concatenate((rated_at, signals.timestamps)),
            hidden=np.concatenate((rated_ids, signals.hidden)),
            favorite_genres=favorite_genres,
            rated=rated_ids.size,
            shown=signals.shown,
            preferences=preferences,
        )

    def indexed(self, model: Model, leaving_out: int | None = None) -> History:
        """The history by item index, without movies that are not in the model and without `leaving_out`."""
        item_idx = model.item_idx(self.movie_ids)
        kept = (item_idx >= 0) & (self.movie_ids != leaving_out)
        return History(item_idx[kept], self.stars[kept], self.timestamps[kept])

    def shown_in_vain(self, model: Model) -> NDArray[np.float32] | None:
        """Times each movie was shown and not acted on, float32 (n_items,); None if `shown` is None."""
        if self.shown is None:
            return None
        movie_ids, times = self.shown
        item_idx = model.item_idx(movie_ids)
        shown = np.zeros(model.hybrid.n_items, np.float32)
        shown[item_idx[item_idx >= 0]] = times[item_idx >= 0]
        return shown


async def history_of(
    sessions: Sessions, user_id: int, until: datetime | None = None, *, shown: bool = False
) -> UserHistory:
    """Read a user's history as of `until`, so that a later page continues the same list.

    `shown`: also read the impressions without engagement, which lists with diversity need. It takes no
    additional statement.
    """
    async with sessions() as session:
        history = await ratings.history(session, user_id, until)
        signals = await feedback.signals(session, user_id, until, shown=shown)
        genres, preferences = await wishes(session, user_id, until)
    return UserHistory.of(history, signals, genres, preferences)


def history_for_likes(likes: Sequence[int]) -> UserHistory:
    """The history of a signed-out visitor: each liked movie counts as LIKE_STARS."""
    movie_ids = np.unique(np.asarray(likes, np.int64))
    return UserHistory(
        movie_ids,
        np.full(movie_ids.size, LIKE_STARS, np.float32),
        np.zeros(movie_ids.size, np.int64),
        movie_ids,
    )


NO_HISTORY = history_for_likes(())
