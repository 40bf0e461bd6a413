"""Pagination in every order and direction while movies are added and removed; similar movies."""

import numpy as np
import pytest
from sqlalchemy import delete, insert, text

from app.catalog import browse
from app.catalog.browse import MovieSort, OrderField
from app.db import tables
from app.db.engine import Sessions
from app.db.tables import VECTOR_WIDTH
from app.serving import snapshot
from app.serving.snapshot import MovieFilter, Snapshot

pytestmark = pytest.mark.anyio

EVERYTHING = MovieFilter()
ORDERS = [MovieSort(field, descending) for field in OrderField for descending in (True, False)]
# Not every Postgres has `unaccent`. The titles of the movies have only these two accented letters.
IN_SQL = {
    OrderField.POPULARITY: "coalesce(rating_count, 0)",
    OrderField.AVERAGE_RATING: "half_stars_sum::float8 / nullif(rating_count, 0)",
    OrderField.RELEASE_DATE: "coalesce(release_date, make_date(year, 1, 1))",
    OrderField.TITLE: """translate(lower(title), 'éÉ', 'ee') COLLATE "C" """,
}


def walk(
    movies: Snapshot, movie_filter: MovieFilter, order: MovieSort, count: int, *, backward: bool
) -> list[int]:
    """Ids on all pages, in order."""
    seen: list[int] = []
    key = None
    while True:
        page = browse.page(movies, movie_filter, order, count, key, backward=backward)
        assert 0 < len(page.positions) <= count
        assert (page.has_previous if backward else page.has_next) or len(seen) + len(page.keys) == page.total
        ids = movies.movie_ids[page.positions].tolist()
        seen = ids + seen if backward else seen + ids
        if not (page.has_previous if backward else page.has_next):
            return seen
        key = page.keys[0] if backward else page.keys[-1]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.field}-{order.descending}")
async def test_pages_in_both_directions_are_the_whole_list_in_the_order_of_sql(
    catalogue: Sessions, order: MovieSort
) -> None:
    movies = await snapshot.load(catalogue)
    direction = "DESC" if order.descending else "ASC"
    async with catalogue() as session:
        expected = await session.scalars(
            text(
                "SELECT movies.id FROM movies LEFT JOIN movie_stats ON movie_stats.movie_id = movies.id "  # noqa: S608
                f"ORDER BY {IN_SQL[order.field]} {direction} NULLS LAST, movies.id"
            )
        )
    forward = walk(movies, EVERYTHING, order, 37, backward=False)
    assert forward == list(expected)
    assert walk(movies, EVERYTHING, order, 41, backward=True) == forward
    movie_filter = MovieFilter(genres=("Comedy",), year_from=1992)
    kept = set(movies.movie_ids[movies.mask(movie_filter)].tolist())
    assert 10 < len(kept) < 100
    assert walk(movies, movie_filter, order, 7, backward=False) == [id_ for id_ in forward if id_ in kept]
    assert walk(movies, movie_filter, order, 9, backward=True) == [id_ for id_ in forward if id_ in kept]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.field}-{order.descending}")
async def test_no_movie_is_repeated_or_skipped_while_others_are_added_and_removed(
    catalogue: Sessions, order: MovieSort
) -> None:
    movies = await snapshot.load(catalogue)
    lasting = {id_ for id_ in movies.movie_ids.tolist() if id_ % 3}
    seen: list[int] = []
    brought: list[int] = []
    page = browse.page(movies, EVERYTHING, order, 12)
    turn = moved = 0
    while True:
        seen += movies.movie_ids[page.positions].tolist()
        if not page.has_next:
            break
        turn += 1
        if moved < 1_000:  # a limit, since new movies might follow each page forever
            async with catalogue.begin() as session:
                # The last movie of the page is among those removed.
                leaving = {int(movies.movie_ids[page.positions[-1]]), 3 * turn, *brought} - lasting
                await session.execute(delete(tables.Movie).where(tables.Movie.id.in_(leaving)))
                coming = [
                    {"title": f"{'anz'[number % 3]} {turn}", "year": 1990 + turn % 10} for number in range(25)
                ]
                brought = list(await session.scalars(insert(tables.Movie).returning(tables.Movie.id), coming))
            moved += len(leaving) + len(coming)
        movies = await snapshot.refreshed(catalogue, movies)
        page = browse.page(movies, EVERYTHING, order, 12, page.keys[-1])
    assert moved >= 1_000
    assert len(seen) == len(set(seen))
    assert lasting <= set(seen)


async def test_a_page_shows_whether_others_precede_and_follow(catalogue: Sessions) -> None:
    movies = await snapshot.load(catalogue)
    order = MovieSort()
    first = browse.page(movies, EVERYTHING, order, 100)
    assert (first.has_previous, first.has_next, first.total) == (False, True, 300)
    last = browse.page(movies, EVERYTHING, order, 100, backward=True)
    assert (last.has_previous, last.has_next, last.total) == (True, False, 300)
    middle = browse.page(movies, EVERYTHING, order, 100, first.keys[-1])
    assert (middle.has_previous, middle.has_next) == (True, True)
    nothing = browse.page(movies, MovieFilter(people=("nobody",)), order, 100)
    assert (len(nothing.positions), nothing.has_previous, nothing.has_next, nothing.total) == (
        0,
        False,
        False,
        0,
    )


async def test_similar_movies_are_the_nearest_k(catalogue: Sessions, statements: list[str]) -> None:
    ids, vectors = await embedded(catalogue)
    cosines = vectors @ vectors.T
    statements.clear()
    near = await browse.similar(catalogue, [5, 9, 10], 150)
    assert len(statements) <= 2
    for movie_id in (5, 9):
        similarity = cosines[ids.index(movie_id)].copy()
        similarity[ids.index(movie_id)] = -2
        nearest = [ids[i] for i in np.argsort(-similarity)[:150]]
        found = [neighbor.movie_id for neighbor in near[movie_id]]
        assert len(found) == 150
        assert movie_id not in found
        assert len(set(found) & set(nearest)) >= 145  # the index may miss a few
        assert found[0] == nearest[0]
        expected = [cosines[ids.index(movie_id), ids.index(other)] for other in found]
        assert [neighbor.similarity for neighbor in near[movie_id]] == pytest.approx(expected, abs=1e-6)
    assert near[10] == []  # it has no vector


async def embedded(sessions: Sessions) -> tuple[list[int], np.ndarray]:
    """Vectors for all movies except those with an id that ends in 0."""
    ids = [id_ for id_ in range(1, 301) if id_ % 10]
    vectors = np.random.default_rng(0).normal(size=(len(ids), VECTOR_WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        {"movie_id": id_, "embedding": vector, "model_version": "1"}
        for id_, vector in zip(ids, vectors.tolist(), strict=True)
    ]
    async with sessions.begin() as session:
        await session.execute(insert(tables.MovieVector), rows)
    return ids, vectors
