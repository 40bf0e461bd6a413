"""Pages of movies are made once for a snapshot, and the ones asked for last are kept."""

import asyncio

import pytest

from app.catalog.browse import MovieSort, OrderField
from app.serving import snapshot
from app.serving.snapshot import MovieFilter
from schema.core.cursors import Cursors
from schema.core.pagination import Window
from schema.types.movies import pages
from schema.types.movies.pages import page_of_movies
from tests.schema.execution.conftest import World

pytestmark = pytest.mark.anyio
POPULAR = MovieSort()


def first(count: int, key: bytes = b"a list") -> Window:
    return Window(Cursors("movies", key), count, None)


async def test_a_page_is_made_once(world: World) -> None:
    catalog = world.served.snapshot
    page = await page_of_movies(catalog, first(10), MovieFilter(), POPULAR)
    assert page.edges
    assert await page_of_movies(catalog, first(10), MovieFilter(), POPULAR) is page
    by_title = MovieSort(OrderField.TITLE, descending=False)
    others = [
        await page_of_movies(catalog, first(9), MovieFilter(), POPULAR),
        await page_of_movies(catalog, first(10), MovieFilter(year_from=1950), POPULAR),
        await page_of_movies(catalog, first(10), MovieFilter(), by_title),
        # The same movies in a list that was asked for in other words, whose cursors differ.
        await page_of_movies(catalog, first(10, b"another list"), MovieFilter(), POPULAR),
    ]
    assert all(other is not page for other in others)
    assert others[3].edges[0].cursor != page.edges[0].cursor


async def test_a_later_snapshot_has_its_own_pages(world: World) -> None:
    before = await page_of_movies(world.served.snapshot, first(10), MovieFilter(), POPULAR)
    after = await page_of_movies(await snapshot.load(world.sessions), first(10), MovieFilter(), POPULAR)
    assert after is not before
    assert after.edges[0].node is not before.edges[0].node


async def test_the_pages_asked_for_last_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "KEPT_PAGES", 2)
    catalog = world.served.snapshot
    made = [await page_of_movies(catalog, first(n), MovieFilter(), POPULAR) for n in (1, 2)]
    assert await page_of_movies(catalog, first(1), MovieFilter(), POPULAR) is made[0]
    await asyncio.gather(*(page_of_movies(catalog, first(3), MovieFilter(), POPULAR) for _ in range(3)))
    assert await page_of_movies(catalog, first(1), MovieFilter(), POPULAR) is made[0]
    assert await page_of_movies(catalog, first(2), MovieFilter(), POPULAR) is not made[1]
