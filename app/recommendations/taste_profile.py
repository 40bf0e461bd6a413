"""What a member likes, in words: genres, decades and people, from what they gave to movies."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.serving.cards import Card, GenreRow, PersonRow
from app.serving.snapshot import Snapshot

NEUTRAL_STARS = 3.5
PRIOR_RATINGS = 5  # neutral ratings that a member begins with
PRIOR_MOVIES = 3  # movies as liked as the average one that a genre, a decade or a person begins with
KNOWN_BY = 2  # movies after which something can be said of a person

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Liking(Generic[T]):
    """`affinity` in stars: how far a member puts these movies above or below the average one of theirs, drawn
    to 0 where they know few. `movie_count` with events; `rating_count` and `mean_stars` of ratings alone."""

    of: T
    affinity: float
    movie_count: int
    rating_count: int
    mean_stars: float | None


@dataclass(frozen=True, slots=True)
class Opinions:
    """Cards of the movies that a member has an opinion on, and stars float32 (n,): first those rated, then
    those whose stars stand for events."""

    cards: Sequence[Card]
    stars: NDArray[np.float32]
    rated: int

    @classmethod
    def of(
        cls, snapshot: Snapshot, movie_ids: NDArray[np.int64], stars: NDArray[np.float32], rated: int
    ) -> "Opinions":
        """Of the first `rated` movies stars were given. Movies that the snapshot does not have are left
        out."""
        where = snapshot.positions(movie_ids)
        here = where >= 0
        return cls([snapshot.cards[at] for at in where[here]], stars[here], int(here[:rated].sum()))

    def likings(self, traits: Callable[[Card], Iterable[T]]) -> list[Liking[T]]:
        """Of each trait that the movies bear, the most liked first.

        The mean of stars above the member's own mean, as if that and each trait had begun with PRIOR_RATINGS
        and PRIOR_MOVIES of no opinion: members who give all movies five stars do like what they rate.
        """
        if not self.cards:
            return []
        own_mean = (self.stars.sum() + NEUTRAL_STARS * PRIOR_RATINGS) / (len(self.cards) + PRIOR_RATINGS)
        bearers: defaultdict[T, list[int]] = defaultdict(list)
        for movie, card in enumerate(self.cards):
            for trait in dict.fromkeys(traits(card)):
                bearers[trait].append(movie)
        found = [self._liking(trait, np.array(movies), float(own_mean)) for trait, movies in bearers.items()]
        return sorted(found, key=lambda liking: (-liking.affinity, -liking.movie_count))

    def _liking(self, trait: T, movies: NDArray[np.int64], own_mean: float) -> Liking[T]:
        rated = movies[movies < self.rated]
        return Liking(
            of=trait,
            affinity=float((self.stars[movies] - own_mean).sum() / (movies.size + PRIOR_MOVIES)),
            movie_count=int(movies.size),
            rating_count=int(rated.size),
            mean_stars=float(self.stars[rated].mean()) if rated.size else None,
        )

    def genres(self) -> list[Liking[GenreRow]]:
        return self.likings(lambda card: card.genres)

    def decades(self) -> list[Liking[int]]:
        return self.likings(lambda card: () if card.year is None else (card.year // 10 * 10,))

    def people(self) -> list[Liking[PersonRow]]:
        """Directors and cast of at least KNOWN_BY of the movies."""
        everyone = self.likings(lambda card: (*card.directors, *(player for player, _ in card.cast)))
        return [liking for liking in everyone if liking.movie_count >= KNOWN_BY]
