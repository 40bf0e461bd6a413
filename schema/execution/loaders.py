"""Reads that many fields of one request share: one statement for all of them."""

from dataclasses import dataclass
from functools import cached_property

from strawberry.dataloader import DataLoader

from app.activity import ratings
from app.activity.ratings import Rating
from app.catalog import browse
from app.catalog.browse import Neighbor
from app.db.engine import Sessions


@dataclass
class Loaders:
    sessions: Sessions

    @cached_property
    def ratings(self) -> DataLoader[tuple[int, int], Rating | None]:
        """By user and movie. Not kept: a later mutation of the request may change it."""
        return DataLoader(self._ratings, cache=False)

    @cached_property
    def similar(self) -> DataLoader[tuple[int, int], list[Neighbor]]:
        """By movie and how many are wanted; as many as are wanted most may come."""
        return DataLoader(self._similar)

    async def _ratings(self, keys: list[tuple[int, int]]) -> list[Rating | None]:
        found: dict[tuple[int, int], Rating] = {}
        for user_id in {user_id for user_id, _ in keys}:  # in fact one, the viewer
            wanted = [movie_id for other_id, movie_id in keys if other_id == user_id]
            theirs = await ratings.ratings_of(self.sessions, user_id, wanted)
            found |= {(user_id, movie_id): rating for movie_id, rating in theirs.items()}
        return [found.get(key) for key in keys]

    async def _similar(self, keys: list[tuple[int, int]]) -> list[list[Neighbor]]:
        near = await browse.similar(
            self.sessions, [movie_id for movie_id, _ in keys], max(k for _, k in keys)
        )
        return [near[movie_id] for movie_id, _ in keys]
