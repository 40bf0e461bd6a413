"""A member's history and exclusions, read at request time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.accounts import authentication
from app.accounts.access_tokens import Claims
from app.accounts.viewer import MEMBER, Viewer, viewer_in
from app.activity import feedback, ratings
from app.activity.feedback import Signals
from app.db.engine import Sessions
from app.db.reads import sql_of
from app.recommendations.steering.preferences import (
    FAVORITE_GENRES,
    PREFERENCES_OF,
    Preference,
    preferences_in,
)
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


# All that a UserHistory has, in one row; see `history_in`.
HISTORY = f"""
    SELECT rated.*, signals.*, {FAVORITE_GENRES}, {PREFERENCES_OF.format(user_id=":user_id")}
    FROM ({ratings.HISTORY}) AS rated (rated_ids, half_stars, rated_at), ({feedback.SIGNALS}) AS signals
"""  # noqa: S608 - constants
HISTORY_SQL = sql_of(text(HISTORY))
N_RATED, N_SIGNALS = 3, 6  # columns
# The member of a session too; no row if the session has ended.
VIEWER_AND_HISTORY = sql_of(
    text(
        f"SELECT viewer.*, history.* FROM ({authentication.VIEWER}) AS viewer "  # noqa: S608 - constants
        f"CROSS JOIN LATERAL ({HISTORY}) AS history"
    )
)


async def history_of(
    sessions: Sessions, user_id: int, until: datetime | None = None, *, shown: bool = False
) -> UserHistory:
    """Read a user's history as of `until`, so that a later page continues the same list, in one statement.

    `shown`: also read the impressions without engagement, which lists with diversity need.
    """
    row = await sessions.reads.row(HISTORY_SQL, feedback.parameters_of(user_id, until, shown=shown))
    assert row is not None, "aggregates have a row"
    return history_in(row)


async def viewer_and_history(
    sessions: Sessions, claims: Claims, until: datetime | None = None, *, shown: bool = False
) -> tuple[Viewer, UserHistory] | None:
    """Read `authentication.viewer_of` and `history_of` in one statement; None if there is no viewer."""
    parameters = feedback.parameters_of(claims.user_id, until, shown=shown)
    row = await sessions.reads.row_if_any(VIEWER_AND_HISTORY, {**parameters, "session_id": claims.session_id})
    if row is None:
        return None
    return viewer_in(row, claims.session_id), history_in(row[len(MEMBER) :])


def history_in(row: Sequence[Any]) -> UserHistory:
    """The history in a row of HISTORY."""
    rated, signals = row[:N_RATED], row[N_RATED : N_RATED + N_SIGNALS]
    genres, preferences = row[N_RATED + N_SIGNALS :]
    return UserHistory.of(
        ratings.history_in(*rated),
        feedback.signals_in(*signals),
        tuple(genres),
        preferences_in(preferences),
    )


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
