"""The simulated members: the same everywhere, plausible, and with something to be found in what they like."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seeds.bundled import read_catalogue
from seeds.movies import Movie
from seeds.simulator import MEMBERS, SimulatedRatings, simulate

ANOTHER_RUN = """
import hashlib, sys
import numpy as np
from seeds.bundled import read_catalogue
from seeds.simulator import simulate
bundled = read_catalogue()
s = simulate([entry.movie for entry in bundled], np.array([entry.renown for entry in bundled]))
columns = (s.user_idx, s.item_idx, s.half_stars, s.timestamps)
print(hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest())
"""


@pytest.fixture(scope="module")
def movies() -> list[Movie]:
    return [entry.movie for entry in read_catalogue()]


@pytest.fixture(scope="module")
def simulated() -> SimulatedRatings:
    bundled = read_catalogue()
    return simulate([entry.movie for entry in bundled], np.array([entry.renown for entry in bundled]))


def test_every_run_draws_the_same(simulated: SimulatedRatings) -> None:
    run = subprocess.run(
        [sys.executable, "-c", ANOTHER_RUN],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": "4711"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    columns = (simulated.user_idx, simulated.item_idx, simulated.half_stars, simulated.timestamps)
    assert run.stdout.strip() == hashlib.sha256(b"".join(c.tobytes() for c in columns)).hexdigest()


def test_the_order_is_that_of_a_primary_key(simulated: SimulatedRatings, movies: list[Movie]) -> None:
    keys = simulated.user_idx * len(movies) + simulated.item_idx
    assert (np.diff(keys) > 0).all()
    assert simulated.usernames[0] == "simulated-0001"
    assert len(set(simulated.usernames)) == MEMBERS


def test_members_and_movies_are_rated_as_people_rate(
    simulated: SimulatedRatings, movies: list[Movie]
) -> None:
    of_members = np.bincount(simulated.user_idx, minlength=MEMBERS)
    of_items = np.sort(np.bincount(simulated.item_idx, minlength=len(movies)))[::-1]
    assert 130_000 < len(simulated.half_stars) < 170_000
    assert of_members.min() >= 20
    assert of_members.mean() > 1.2 * np.median(of_members), "a few rate very much"
    assert of_items.min() > 0
    assert of_items[: len(movies) // 10].sum() > 0.25 * of_items.sum(), "a few are rated by most"
    stars = simulated.half_stars / 2
    assert stars.mean() == pytest.approx(3.5, abs=0.1)
    assert 0.85 < stars.std() < 1.15
    assert set(simulated.half_stars.tolist()) == set(range(1, 11))


def test_nobody_rates_a_movie_before_its_release(simulated: SimulatedRatings, movies: list[Movie]) -> None:
    years = np.array([movie.year for movie in movies])
    rated = (simulated.timestamps.astype("datetime64[s]").astype("datetime64[Y]").astype(int)) + 1970
    assert (rated >= years[simulated.item_idx]).all()
    days = simulated.timestamps.astype("datetime64[s]").astype("datetime64[D]")
    released = np.array(
        [str(movie.release_date or f"{movie.year}-01-01") for movie in movies], dtype="datetime64[D]"
    )
    assert (days >= released[simulated.item_idx]).all()
    assert {int(rated.min()), int(rated.max())} == {2016, 2025}


def test_a_member_comes_in_sessions(simulated: SimulatedRatings) -> None:
    order = np.lexsort((simulated.timestamps, simulated.user_idx))
    same_member = np.diff(simulated.user_idx[order]) == 0
    pauses = np.diff(simulated.timestamps[order])[same_member]
    assert (pauses > 0).all()
    sessions = MEMBERS + (pauses > 3600).sum()
    assert 5 < len(order) / sessions < 15
    assert np.median(pauses) < 120


def test_tastes_can_be_found(simulated: SimulatedRatings, movies: list[Movie]) -> None:
    """On everybody's latest fifth, sixteen factors order the movies twice as well as popularity does."""
    order = np.lexsort((simulated.timestamps, simulated.user_idx))
    users, items = simulated.user_idx[order], simulated.item_idx[order]
    counts = np.bincount(users, minlength=MEMBERS)
    place = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    late = place >= (0.8 * counts)[users]
    liked = simulated.half_stars[order] >= 8

    def matrix(chosen: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
        dense = np.zeros((MEMBERS, len(movies)))
        dense[users[chosen], items[chosen]] = values[chosen]
        return dense

    early = matrix(~late, np.where(liked, 1.0, 0.2))
    hidden = matrix(late & liked, np.ones(len(users)))
    _, axes = np.linalg.eigh(early.T @ early)  # PureSVD: the movies' factors are the last eigenvectors
    found = ndcg_at_10(early @ axes[:, -16:] @ axes[:, -16:].T, early > 0, hidden)
    popular = ndcg_at_10(np.tile(early.sum(axis=0), (MEMBERS, 1)), early > 0, hidden)
    assert popular > 0.07
    assert found > 1.8 * popular


def ndcg_at_10(scores: NDArray[np.float64], seen: NDArray[np.bool_], hidden: NDArray[np.float64]) -> float:
    top = np.argsort(np.where(seen, np.inf, -scores), axis=1)[:, :10]
    discount = 1 / np.log2(np.arange(2, 12))
    ideal = np.concatenate(([0], np.cumsum(discount)))[np.minimum(hidden.sum(axis=1).astype(int), 10)]
    gained = (np.take_along_axis(hidden, top, axis=1) * discount).sum(axis=1)
    return float((gained[ideal > 0] / ideal[ideal > 0]).mean())
