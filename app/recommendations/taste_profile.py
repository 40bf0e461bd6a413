"""Taste profiles: a member's affinity for genres, decades and people."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.serving.cards import Card, GenreRow, PersonRow
from app.serving.snapshot import Snapshot

NEUTRAL_STARS = 3.5
PRIOR_RATINGS = 5  # pseudo-ratings of NEUTRAL_STARS in a member's mean
PRIOR_MOVIES = 3  # pseudo-movies of average stars in the affinity of a genre, a decade or a person
KNOWN_BY = 2  # fewest movies of a person in the profile

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Liking(Generic[T]):
    """A member's affinity for the movies of one genre, decade or person.

    `affinity`: stars above or below the member's mean, shrunk towards 0 for few movies. `movie_count`
    includes movies with events; `rating_count` and `mean_stars` are of ratings alone.
    """

    of: T
    affinity: float
    movie_count: int
    rating_count: int
    mean_stars: float | None


@dataclass(frozen=True, slots=True)
class Opinions:
    """Movies that a member has an opinion on, with stars float32 (n,): `rated` ratings, then events."""

    cards: Sequence[Card]
    stars: NDArray[np.float32]
    rated: int

    @classmethod
    def of(
        cls, snapshot: Snapshot, movie_ids: NDArray[np.int64], stars: NDArray[np.float32], rated: int
    ) -> "Opinions":
        """Look up the cards. The first `rated` movies are rated. Unknown movies are left out."""
        where = snapshot.positions(movie_ids)
        here = where >= 0
        return cls([snapshot.cards[at] for at in where[here]], stars[here], int(here[:rated].sum()))

    def likings(self, traits: Callable[[Card], Iterable[T]]) -> list[Liking[T]]:
        """The affinity for each trait of the movies, highest first.

        It is the mean of stars above the member's own mean. Both means are shrunk, by PRIOR_RATINGS neutral
        ratings and by PRIOR_MOVIES average movies, so a member who rates everything five stars has positive
        affinities.
        """
        if not self.cards:
            return []
        own_mean = (self.stars.sum() + NEUTRAL_STARS * PRIOR_RATINGS) / (len(self.cards) + PRIOR_RATINGS)
        movies_of: defaultdict[T, list[int]] = defaultdict(list)
        for movie, card in enumerate(self.cards):
            for trait in dict.fromkeys(traits(card)):
                movies_of[trait].append(movie)
        found = [
            self._liking(trait, np.array(movies), float(own_mean)) for trait, movies in movies_of.items()
        ]
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
        """Directors and cast of at least KNOWN_BY movies."""
        everyone = self.likings(lambda card: (*card.directors, *(player for player, _ in card.cast)))
        return [liking for liking in everyone if liking.movie_count >= KNOWN_BY]
