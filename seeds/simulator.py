"""Simulated members and their ratings of given movies, for demonstrations.

Everything is drawn from one seeded generator:

1. Movies have a taste vector of FACTORS numbers. Each genre, decade, country, person and keyword has a random
   vector; they are nearly orthogonal. A movie's vector is the weighted sum of those it has (CONTENT_SHARE of
   the variance), plus a random vector of its own, which metadata cannot predict. Similar movies have similar
   vectors, so a recommender gains from content, and more from ratings.
2. Members belong to a few of CIRCLES circles. Each circle has a movie as its center, more likely a well-known
   one. A member's taste is a mixture of these movies and of one personal favorite. Affinity is the inner
   product of member and movie, standardized to N(0, 1).
3. Rated movies: popularity follows `renown` and falls with rank as a power law (POPULARITY_EXPONENT). Its
   logarithm, the affinity and the distance from the member's favorite era are summed, and movies are drawn
   without replacement by the Gumbel trick (Kool et al. 2019, https://arxiv.org/abs/1903.06059, section 2.3).
4. Number of ratings: MIN_RATINGS plus a log-normal number.
5. Stars: a member's and a movie's bias, the affinity and noise around a mean of MEAN_STARS, rounded to halves
   or, for some members, to whole stars.
6. Times: in sessions, mostly in the evening, over the ten years to the end of 2025. Well-known movies tend to
   be rated first. No movie is rated before its release.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from seeds.movies import Movie

DATASET_VERSION = "marquee-simulated-2"  # increment it with every change of the ratings
SEED = 20_251_231
MEMBERS = 2_000
RATINGS = 150_000  # expected number

FACTORS = 128
CIRCLES = 60
CONTENT_SHARE = 0.9
CIRCLE_SHARE = 0.6
POPULARITY_EXPONENT = 0.6
TASTE_IN_CHOICE = 1.5
ERA_YEARS = 30.0
EAGERNESS = 0.15  # weight of popularity in the order of ratings
MIN_RATINGS = 20
RATINGS_SPREAD = 1.0  # sigma of the log-normal
MAX_SHARE = 0.6  # largest share of the movies that a member rates
MEAN_STARS = 3.55
MEMBER_BIAS, MOVIE_BIAS, TASTE_IN_STARS, NOISE = 0.44, 0.36, 0.72, 0.55  # standard deviations in stars
WHOLE_STARS_SHARE = 0.4  # of the members
SESSION_RATINGS = 11.0  # mean length of a session
MEMBERSHIP_DAYS = 420.0  # mean

_DAY = 86_400
_BEGIN = int(datetime(2016, 1, 1, tzinfo=UTC).timestamp())
_END = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())

_Values = Callable[[Movie], Iterable[str]]
# Features that determine a movie's taste vector, with the weight of each kind.
_BLOCKS: tuple[tuple[float, _Values], ...] = (
    (1.0, lambda movie: movie.genres),
    (0.45, lambda movie: [f"{(movie.year or 0) // 10}0s"]),
    (0.45, lambda movie: movie.countries),
    (0.6, lambda movie: [credit.name for credit in movie.directors]),
    (0.5, lambda movie: [credit.name for credit in movie.cast]),
    (0.6, lambda movie: movie.keywords),
)

Rng = np.random.Generator
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SimulatedRatings:
    """n ratings, ordered by member and movie."""

    usernames: list[str]
    user_idx: NDArray[np.int64]  # (n,) into usernames
    item_idx: NDArray[np.int64]  # (n,) into the movies passed in
    half_stars: NDArray[np.int16]  # (n,) 1..10
    timestamps: NDArray[np.int64]  # (n,) Unix seconds


def simulate(
    movies: Sequence[Movie], renown: NDArray[np.int_], *, members: int = MEMBERS, ratings: int = RATINGS
) -> SimulatedRatings:
    """Simulate ratings, deterministically for the same movies.

    `renown`: (n_movies,), from 1 for a movie known to connoisseurs to 5 for one that most people know.
    """
    rng = np.random.default_rng(SEED)
    item_factors = movie_factors(movies, rng)  # (n_movies, FACTORS)
    user_factors = member_factors(members, item_factors, renown, rng)  # (members, FACTORS)
    affinity = user_factors @ item_factors.T  # (members, n_movies)
    affinity = (affinity - affinity.mean()) / affinity.std()
    appeal = log_popularity(renown, rng)
    choice = (
        appeal + TASTE_IN_CHOICE * affinity + _era(movies, members, rng) + rng.gumbel(size=affinity.shape)
    )
    released = np.array([_released(movie) for movie in movies])
    drawn = []
    for user, n in enumerate(ratings_of_members(members, ratings, len(movies), rng)):
        times = session_times(n, rng)
        released_choice = np.where(released < times[-1], choice[user], -np.inf)
        n_rated = min(n, int(np.isfinite(released_choice).sum()))
        chosen = np.argsort(-released_choice, kind="stable")[:n_rated]
        drawn.append((np.full(len(chosen), user), *_in_time(chosen, times, appeal, released, rng)))
    user_idx, item_idx, timestamps = (np.concatenate(c).astype(np.int64) for c in zip(*drawn, strict=True))
    half_stars = _half_stars(affinity, renown, user_idx, item_idx, rng)
    order = np.lexsort((item_idx, user_idx))
    order = order[timestamps[order] > 0]
    return SimulatedRatings(
        usernames=[f"simulated-{number:04d}" for number in range(1, members + 1)],
        user_idx=user_idx[order],
        item_idx=item_idx[order],
        half_stars=half_stars[order],
        timestamps=timestamps[order],
    )


def movie_factors(movies: Sequence[Movie], rng: Rng) -> Floats:
    """Taste vectors of the movies, (n_movies, FACTORS), each column of mean 0 and variance 1."""
    content = np.zeros((len(movies), FACTORS))
    for weight, values_of in _BLOCKS:
        values = [sorted(set(values_of(movie))) for movie in movies]
        vectors = {name: rng.standard_normal(FACTORS) for name in sorted({n for v in values for n in v})}
        for at, names in enumerate(values):
            if names:
                content[at] += weight * sum(vectors[name] for name in names) / np.sqrt(len(names))
    content = (content - content.mean(axis=0)) / content.std(axis=0)
    own = rng.standard_normal(content.shape)
    return np.asarray(math.sqrt(CONTENT_SHARE) * content + math.sqrt(1 - CONTENT_SHARE) * own)


def member_factors(members: int, item_factors: Floats, renown: NDArray[np.int_], rng: Rng) -> Floats:
    """Tastes of the members, (members, FACTORS)."""
    loved = rng.choice(len(renown), size=CIRCLES + members, p=renown**2 / (renown**2).sum())
    tastes = item_factors[loved] / np.linalg.norm(item_factors[loved], axis=1, keepdims=True)
    centres, own = tastes[:CIRCLES], tastes[CIRCLES:]
    mixture = rng.dirichlet(np.full(CIRCLES, 0.15), size=members)  # a few circles have most of the weight
    shared = mixture @ centres / np.sqrt((mixture**2).sum(axis=1, keepdims=True))
    return np.asarray(math.sqrt(CIRCLE_SHARE) * shared + math.sqrt(1 - CIRCLE_SHARE) * own)


def log_popularity(renown: NDArray[np.int_], rng: Rng) -> Floats:
    """Log of the weight with which each movie is drawn, (n_movies,)."""
    order = np.argsort(-(renown + 0.5 * rng.standard_normal(len(renown))), kind="stable")
    rank = np.empty(len(renown))
    rank[order] = np.arange(1, len(renown) + 1)
    return -POPULARITY_EXPONENT * np.log(rank)


def ratings_of_members(members: int, ratings: int, n_movies: int, rng: Rng) -> NDArray[np.int64]:
    """The number of movies that each member rates, (members,)."""
    more = ratings / members - MIN_RATINGS
    drawn = rng.lognormal(np.log(more) - RATINGS_SPREAD**2 / 2, RATINGS_SPREAD, size=members)
    return np.minimum(MIN_RATINGS + drawn, max(MIN_RATINGS, MAX_SHARE * n_movies)).astype(np.int64)


def session_times(n: int, rng: Rng) -> NDArray[np.int64]:
    """Draw n distinct Unix times, ascending, in sessions between a member's joining and leaving."""
    sessions = 1 + rng.poisson(n / SESSION_RATINGS)
    joined = _BEGIN + (_END - 60 * _DAY - _BEGIN) * rng.beta(1.4, 1.0)
    days = np.ceil(min(rng.exponential(MEMBERSHIP_DAYS) + sessions, (_END - joined) / _DAY - 1))
    visits = np.sort(np.concatenate(([0], rng.integers(0, max(1, int(days)), sessions - 1))))
    hours = rng.choice(24, size=sessions, p=_HOURS) + rng.random(sessions)
    starts = np.sort((joined // _DAY + visits) * _DAY + hours * 3600)
    lengths = rng.multinomial(n - 1, np.full(sessions, 1 / sessions))
    lengths[-1] += 1
    gaps = rng.integers(12, 150, size=n)
    within = np.concatenate([np.cumsum(part) for part in np.split(gaps, np.cumsum(lengths)[:-1])])
    times = np.sort((np.repeat(starts, lengths) + within).astype(np.int64))
    nth = np.arange(n)
    return np.asarray(np.maximum.accumulate(times - nth) + nth)  # sessions of one day may overlap


_HOURS = np.array([3, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4, 5, 6, 8, 10, 12, 12, 10, 6]) / 108


def _era(movies: Sequence[Movie], members: int, rng: Rng) -> Floats:
    """The penalty for the distance of a movie's year from the member's favorite one, (members, n_movies)."""
    years = np.array([movie.year or 0 for movie in movies], dtype=np.float64)
    favorite = np.minimum(rng.normal(2000.0, 18.0, size=members), 2020.0)
    return np.asarray(-(((years - favorite[:, None]) / ERA_YEARS) ** 2) / 2)


def _in_time(
    chosen: NDArray[np.int64], times: NDArray[np.int64], appeal: Floats, released: NDArray[np.int64], rng: Rng
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Assign a time to each movie, well-known ones mostly first; 0 for a movie without a time after release.

    Returns the movies and their times.
    """
    eagerness = EAGERNESS * appeal[chosen] + rng.gumbel(size=len(chosen))
    waiting = list(chosen[np.argsort(-eagerness, kind="stable")])
    rated = []
    for time in times:
        ready = next((i for i, item in enumerate(waiting) if released[item] < time), None)
        if ready is not None:
            rated.append((waiting.pop(ready), time))
    rated += [(item, 0) for item in waiting]
    items, at = np.array(rated, dtype=np.int64).T
    return items, at


def _half_stars(
    affinity: Floats,
    renown: NDArray[np.int_],
    user_idx: NDArray[np.int64],
    item_idx: NDArray[np.int64],
    rng: Rng,
) -> NDArray[np.int16]:
    members, n_movies = affinity.shape
    member_bias = np.asarray(rng.standard_normal(members))
    movie_bias = 0.6 * (renown - renown.mean()) / renown.std() + 0.8 * rng.standard_normal(n_movies)
    stars = (
        MEMBER_BIAS * member_bias[user_idx]
        + MOVIE_BIAS * movie_bias[item_idx]
        + TASTE_IN_STARS * affinity[user_idx, item_idx]
        + NOISE * rng.standard_normal(len(user_idx))
    )
    stars += MEAN_STARS - stars.mean()
    whole = np.asarray(rng.random(members) < WHOLE_STARS_SHARE)[user_idx]
    half_stars = np.where(whole, 2 * np.rint(stars), np.rint(2 * stars))
    return np.asarray(half_stars.clip(np.where(whole, 2, 1), 10), dtype=np.int16)


def _released(movie: Movie) -> int:
    day = movie.release_date or date(movie.year or 1900, 12, 31)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
