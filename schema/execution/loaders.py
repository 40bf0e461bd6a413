"""Data loaders: one statement for the reads of many fields of a request."""

from dataclasses import dataclass
from functools import cached_property

from strawberry.dataloader import DataLoader

from app.activity import movie_states, ratings
from app.activity.movie_states import MovieState
from app.activity.ratings import Rating
from app.catalog import browse
from app.catalog.browse import Neighbor
from app.db.engine import Sessions


@dataclass
class Loaders:
    sessions: Sessions

    @cached_property
    def ratings(self) -> DataLoader[tuple[int, int], Rating | None]:
        """Ratings by user and movie. Not cached: a later mutation of the request may change one."""
        return DataLoader(self._ratings, cache=False)

    @cached_property
    def states(self) -> DataLoader[tuple[int, int], MovieState]:
        """A user's states of movies. Not cached, as `ratings`."""
        return DataLoader(self._states, cache=False)

    @cached_property
    def histograms(self) -> DataLoader[int, list[int]]:
        """The numbers of ratings of 1 to 10 half-stars, by movie. Not cached, as `ratings`."""
        return DataLoader(lambda movie_ids: ratings.histograms(self.sessions, movie_ids), cache=False)

    @cached_property
    def similar(self) -> DataLoader[tuple[int, int], list[Neighbor]]:
        """Similar movies by movie and count; a list may be as long as the largest count of the batch."""
        return DataLoader(self._similar)

    async def _ratings(self, keys: list[tuple[int, int]]) -> list[Rating | None]:
        found: dict[tuple[int, int], Rating] = {}
        for user_id in {user_id for user_id, _ in keys}:  # in practice one, the viewer
            movie_ids = [movie_id for other_id, movie_id in keys if other_id == user_id]
            of_user = await ratings.ratings_of(self.sessions, user_id, movie_ids)
            found |= {(user_id, movie_id): rating for movie_id, rating in of_user.items()}
        return [found.get(key) for key in keys]

    async def _states(self, keys: list[tuple[int, int]]) -> list[MovieState]:
        found: dict[tuple[int, int], MovieState] = {}
        for user_id in {user_id for user_id, _ in keys}:  # in practice one, the viewer
            movie_ids = [movie_id for other_id, movie_id in keys if other_id == user_id]
            of_user = await movie_states.movie_states(self.sessions, user_id, movie_ids)
            found |= {(user_id, movie_id): state for movie_id, state in of_user.items()}
        return [found[key] for key in keys]

    async def _similar(self, keys: list[tuple[int, int]]) -> list[list[Neighbor]]:
        near = await browse.similar(
            self.sessions, [movie_id for movie_id, _ in keys], max(k for _, k in keys)
        )
        return [near[movie_id] for movie_id, _ in keys]
