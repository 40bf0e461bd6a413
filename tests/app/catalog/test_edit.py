"""After any changes of movies, the catalog in memory equals the one that a new process reads."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, text, update

from app.activity.ratings import MovieNotFound
from app.catalog import edit
from app.catalog.title_match import matches
from app.catalog.validation import InvalidMovie
from app.db.engine import Sessions
from app.db.tables import CatalogChange, Movie
from app.serving import snapshot
from app.serving.live import Live, ServingState
from app.serving.snapshot import MovieFilter, Snapshot

pytestmark = pytest.mark.anyio

WORDS = ("alien", "amélie", "war", "piece", "quiet", "returns", "of", "the", "zebra")


def facts(rng: random.Random) -> dict[str, Any]:
    return {
        "title": " ".join(rng.sample(WORDS, rng.randint(1, 4))).title(),
        "genres": rng.sample(["Comedy", "Drama", "Horror"], rng.randint(0, 2)),
        "original_language": rng.choice(["en", "fr", "xx", None]),
        "year": rng.choice([1999, 2020, None]),
        "directors": rng.sample(["Person 1", "Person 2", "New One", "Nobody"], rng.randint(0, 2)),
        "cast": rng.sample(["Person 3", "New One", "Ada"], rng.randint(0, 3)),
    }


def assert_same(updated: Snapshot, fresh: Snapshot) -> None:
    assert updated.revision == fresh.revision
    assert np.array_equal(updated.movie_ids, fresh.movie_ids)
    assert [replace(card, genres=()) for card in updated.cards] == [
        replace(card, genres=()) for card in fresh.cards
    ]
    assert [[genre.id for genre in card.genres] for card in updated.cards] == [
        [genre.id for genre in card.genres] for card in fresh.cards
    ]
    assert updated.genres == fresh.genres
    assert updated.position_of == fresh.position_of
    assert np.array_equal(updated.rating_count, fresh.rating_count)
    assert np.array_equal(updated.facts.title_ranks, fresh.facts.title_ranks)
    assert np.array_equal(updated.facts.release_days, fresh.facts.release_days, equal_nan=True)
    for word in (*WORDS, "alie", "zebr", "quietreturns"):
        one, other = (matches(each.titles, each.people, each.facts, word) for each in (updated, fresh))
        assert np.array_equal(one.positions, other.positions), word
        assert np.allclose(one.relevance, other.relevance, atol=1e-4), word
    for name in ("person 1", "PERSON 3", "new one", "ada", "nobody", "never heard of"):
        assert sorted(updated.people.movies_of(name)) == sorted(fresh.people.movies_of(name)), name
    for movie_filter in (
        MovieFilter(genres=("Drama",)),
        MovieFilter(languages=("xx", "fr")),
        MovieFilter(year_from=2000),
        MovieFilter(people=("new one",)),
    ):
        assert np.array_equal(updated.mask(movie_filter), fresh.mask(movie_filter)), movie_filter


async def test_any_sequence_of_changes_equals_a_fresh_load(
    catalogue: Sessions, tmp_path: Path, statements: list[str]
) -> None:
    live = Live(catalogue, tmp_path, ServingState(await snapshot.load(catalogue)))
    other = Live(catalogue, tmp_path, live.served)
    rng = random.Random(3)  # noqa: S311 - not for secrets
    async with catalogue.begin() as session:  # the fixture sets the ids of people
        await session.execute(text("SELECT setval(pg_get_serial_sequence('people', 'id'), 1000)"))
    statements.clear()
    for step in range(40):
        ids = live.served.snapshot.movie_ids.tolist()
        match rng.choice(["add", "add", "change", "change", "remove"]):
            case "add":
                await edit.add(catalogue, live, facts(rng))
            case "change":
                fields = facts(rng)
                kept = rng.sample(sorted(fields), 3)
                await edit.change(catalogue, live, rng.choice(ids), {name: fields[name] for name in kept})
            case "remove":
                await edit.remove(catalogue, live, rng.choice(ids))
        if step % 5 == 0:
            await other.refresh()
    await other.refresh()
    whole = [sent for sent in statements if "FROM movies LEFT JOIN movie_stats" in sent and "ANY" not in sent]
    assert whole == []  # only the movies that changed were read
    fresh = await snapshot.load(catalogue)
    assert_same(live.served.snapshot, fresh)
    assert_same(other.served.snapshot, fresh)


async def test_an_external_change_reloads_all_and_changes_of_one_movie_continue(
    catalogue: Sessions, tmp_path: Path
) -> None:
    live = Live(catalogue, tmp_path, ServingState(await snapshot.load(catalogue)))
    added = await edit.add(catalogue, live, {"title": "One"})
    async with catalogue.begin() as session:
        await session.execute(update(Movie).where(Movie.id == added).values(title="Another"))
    await edit.add(catalogue, live, {"title": "Two"})
    assert_same(live.served.snapshot, await snapshot.load(catalogue))
    position = live.served.snapshot.position(added)
    assert position is not None
    assert live.served.snapshot.cards[position].title == "Another"


async def test_a_refused_change_stores_nothing(catalogue: Sessions, tmp_path: Path) -> None:
    live = Live(catalogue, tmp_path, ServingState(await snapshot.load(catalogue)))
    before = live.served.snapshot.revision
    with pytest.raises(InvalidMovie, match="genres: there is no genre 'Nonsense'"):
        await edit.add(catalogue, live, {"title": "One", "genres": ["Nonsense"], "cast": ["Never Seen"]})
    await edit.add(catalogue, live, {"title": "One", "imdb_id": "tt7777777"})
    with pytest.raises(edit.MovieExists, match="imdbId"):
        await edit.add(catalogue, live, {"title": "Two", "imdb_id": "tt7777777"})
    with pytest.raises(MovieNotFound):
        await edit.change(catalogue, live, 10**9, {"title": "Two"})
    async with catalogue() as session:
        assert await session.scalar(select(func.count()).select_from(CatalogChange)) == 1
    fresh = await snapshot.load(catalogue)
    assert fresh.revision > before
    assert_same(live.served.snapshot, fresh)
