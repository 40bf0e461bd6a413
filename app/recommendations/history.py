"""A member's history and exclusions, read at request time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.accounts import preferences
from app.activity import events, ratings
from app.activity.events import Signals
from app.db.engine import Sessions
from app.serving.model import Model
from recommender.interactions import History

LIKED_STARS = 5.0


@dataclass(frozen=True, slots=True)
class Taste:
    """What is known of whoever asks, read from Postgres when they ask.

    `movie_ids` int64 (n,), `stars` float32 (n,), `timestamps` int64 (n,): ratings, and events as graded
    observations, of which the first `rated` are the ratings. `hidden` int64: movies never to be shown, those
    rated and those turned down. `shown`, where it was read: ids int64 (s,) of movies shown of late and let
    be, and int32 (s,) how often.
    """

    movie_ids: NDArray[np.int64]
    stars: NDArray[np.float32]
    timestamps: NDArray[np.int64]
    hidden: NDArray[np.int64]
    favorite_genres: tuple[str, ...] = ()
    rated: int = 0
    shown: tuple[NDArray[np.int64], NDArray[np.int32]] | None = None

    @classmethod
    def of(cls, history: ratings.History, signals: Signals, favorite_genres: tuple[str, ...]) -> Self:
        rated_ids, half_stars, rated_at = history
        return cls(
            movie_ids=np.concatenate((rated_ids, signals.movie_ids)),
            stars=np.concatenate((half_stars.astype(np.float32) / 2, signals.stars)),
            timestamps=np.concatenate((rated_at, signals.timestamps)),
            hidden=np.concatenate((rated_ids, signals.hidden)),
            favorite_genres=favorite_genres,
            rated=rated_ids.size,
            shown=signals.shown,
        )

    def history(self, model: Model, leaving_out: int | None = None) -> History:
        item_idx = model.item_idx(self.movie_ids)
        known = (item_idx >= 0) & (self.movie_ids != leaving_out)
        return History(item_idx[known], self.stars[known], self.timestamps[known])

    def shown_in_vain(self, model: Model) -> NDArray[np.float32] | None:
        """float32 (n_items,): how often each movie was shown; None where that was not read, or none was."""
        if self.shown is None:
            return None
        movie_ids, times = self.shown
        item_idx = model.item_idx(movie_ids)
        shown = np.zeros(model.hybrid.n_items, np.float32)
        shown[item_idx[item_idx >= 0]] = times[item_idx >= 0]
        return shown


async def taste_of(
    sessions: Sessions, user_id: int, until: datetime | None = None, *, shown: bool = False
) -> Taste:
    """A user's taste as of `until`, so that a later page continues the list that was shown.

    `shown`: also what they were shown in vain, for lists with diversity; no further statement.
    """
    async with sessions() as session:
        history = await ratings.history(session, user_id, until)
        signals = await events.signals(session, user_id, until, shown=shown)
        genres = await preferences.favorite_genre_names(session, user_id)
    return Taste.of(history, signals, genres)


def taste_for_likes(likes: Sequence[int]) -> Taste:
    movie_ids = np.unique(np.asarray(likes, np.int64))
    return Taste(
        movie_ids,
        np.full(movie_ids.size, LIKED_STARS, np.float32),
        np.zeros(movie_ids.size, np.int64),
        movie_ids,
    )


NOBODYS = taste_for_likes(())
