"""Batches of movies: what is stored, what is refused, and in how many statements."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text

from app.catalog.batches import edit
from app.catalog.batches.fields import COLUMNS, fields_of
from app.catalog.batches.rows import InvalidBatch, RowOutcome, RowStatus
from app.catalog.edit import change
from app.catalog.validation import InvalidMovie
from app.db.engine import Sessions
from app.db.tables import CatalogRevision, Genre, Movie, Person
from app.serving import snapshot
from app.serving.live import Live, ServingState
from tests.app.catalog.test_edit import assert_same

pytestmark = pytest.mark.anyio

TROLL = {
    "title": "The Troll Hunter",
    "year": 2010,
    "genres": ["horror", "Mockumentary"],
    "directors": ["André Øvredal"],
    "cast": ["Otto Jespersen", "Person 3"],
    "keywords": ["troll"],
    "countries": ["NO"],
    "popularity": 7.3,
    "tmdb_id": "46138",
    "localized_titles": [("nb", "Trolljegeren"), ("de", "Trollhunter")],
    "attributes": {"studio": "Filmkameratene", "shelf": {"row": 3}},
}


@pytest.fixture
async def live(catalogue: Sessions, tmp_path: Path) -> Live:
    async with catalogue.begin() as session:  # the fixture sets these ids
        for table in ("people", "genres"):
            await session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1000)"))
    return Live(catalogue, tmp_path, ServingState(await snapshot.load(catalogue)))


async def upsert(live: Live, *rows: tuple[str, dict[str, Any]], source: str = "own") -> list[RowOutcome]:
    return await edit.upsert(live.sessions, live, source, len(rows), iter(rows))


def statuses(outcomes: list[RowOutcome]) -> list[str]:
    return [outcome.status.value for outcome in outcomes]


def messages(outcomes: list[RowOutcome]) -> list[str]:
    return ["" if outcome.error is None else str(outcome.error) for outcome in outcomes]


async def test_a_movie_is_added_then_unchanged_then_updated(live: Live) -> None:
    (added,) = await upsert(live, ("nor-1", TROLL))
    assert added.status is RowStatus.ADDED
    assert added.movie_id is not None
    card = live.served.snapshot.cards[live.served.snapshot.position_of[added.movie_id]]
    assert card.external_ids == (("own", "nor-1"),)
    assert [genre.name for genre in card.genres] == ["Horror", "Mockumentary"]  # as the catalog spells it
    assert [person.name for person, _ in card.cast] == ["Otto Jespersen", "Person 3"]
    assert (card.title, card.year, card.tmdb_id, card.countries) == ("The Troll Hunter", 2010, 46138, ("NO",))
    before = await revision(live)
    (again,) = await upsert(live, ("nor-1", TROLL))
    assert (again.status, again.movie_id) == (RowStatus.UNCHANGED, added.movie_id)
    assert await revision(live) == before  # no process reads it again
    (changed,) = await upsert(live, ("nor-1", {"overview": "A hunter of trolls.", "cast": None}))
    assert (changed.status, changed.movie_id) == (RowStatus.UPDATED, added.movie_id)
    card = live.served.snapshot.cards[live.served.snapshot.position_of[added.movie_id]]
    assert (card.overview, card.cast, card.year) == ("A hunter of trolls.", (), 2010)
    assert_same(live.served.snapshot, await snapshot.load(live.sessions))


async def test_a_refused_row_stores_nothing_and_keeps_no_other_from_being_stored(live: Live) -> None:
    outcomes = await upsert(
        live,
        ("1", {"title": "One", "imdb_id": "tt7654321"}),
        ("2", {"title": " ", "genres": ["Never made"]}),
        ("1", {"title": "Again"}),
        ("", {"title": "Nameless"}),
        ("3", {"year": 1999}),
        ("4", {"title": "Four", "imdb_id": "tt7654321", "directors": ["Nobody at all"]}),
        ("5", {"title": "Five", "attributes": {"deep": [[[["x"]]]]}}),
        ("6", {"title": "Six"}),
    )
    assert statuses(outcomes) == ["ADDED", *["REFUSED"] * 6, "ADDED"]
    assert [outcome.position for outcome in outcomes] == list(range(8))
    assert messages(outcomes)[1:7] == [
        "title: it is empty.",
        "externalId: row 0 has the same id.",
        "externalId: it must have 1 to 200 printable characters.",
        "title: a movie needs a title.",
        "imdbId: another movie of this source, 1, has this id.",
        "attributes: it is nested deeper than 4 levels.",
    ]
    async with live.sessions() as session:
        assert await session.scalar(select(func.count()).where(Genre.name == "Never made")) == 0
        assert await session.scalar(select(func.count()).where(Person.name == "Nobody at all")) == 0
        titles = (await session.scalars(select(Movie.title).where(Movie.id > 1000).order_by(Movie.id))).all()
    assert titles == ["One", "Six"]
    with pytest.raises(InvalidMovie, match="source: it must have"):
        await upsert(live, ("1", {"title": "One"}), source="Not a source")
    with pytest.raises(InvalidBatch, match="1 to 1,000 movies, not 1,001"):
        await upsert(live, *[(str(n), {"title": "x"}) for n in range(1001)])


@pytest.mark.parametrize("given", ['{"DE": "Eins", "fr": "Un"}', {"de": "Eins", "fr": "Un"}])
def test_a_file_has_titles_by_language(given: Any) -> None:
    record = {"id": "1", "Localized Titles": given}
    _, read = fields_of(record, COLUMNS, is_text=isinstance(given, str))
    assert read == {"localized_titles": {"de": "Eins", "fr": "Un"}}


@pytest.mark.parametrize("by_batch", [True, False])
async def test_people_who_stay_keep_their_characters(live: Live, by_batch: bool) -> None:
    (added,) = await upsert(live, ("1", {"title": "One", "cast": ["Otto J.", "Person 3"]}))
    assert added.movie_id is not None
    async with live.sessions.begin() as session:
        named = text("UPDATE credits SET character = 'Hans' WHERE position = 1 AND movie_id = :id")
        await session.execute(named, {"id": added.movie_id})
    cast = {"cast": ["Person 3", "Otto Jespersen"]}
    if by_batch:
        await upsert(live, ("1", cast))
    else:
        await change(live.sessions, live, added.movie_id, cast)
    card = live.served.snapshot.cards[live.served.snapshot.position_of[added.movie_id]]
    assert [(person.name, character) for person, character in card.cast] == [
        ("Person 3", "Hans"),
        ("Otto Jespersen", None),
    ]


async def test_a_movie_known_by_another_id_gets_the_external_id(live: Live) -> None:
    (added,) = await upsert(live, ("a", {"title": "A", "tmdb_id": "77"}), source="first")
    (linked, other) = await upsert(
        live,
        ("z", {"title": "A", "tmdb_id": "77"}),
        ("y", {"title": "Y", "tmdb_id": "77"}),
        source="second",
    )
    assert (linked.status, linked.movie_id) == (RowStatus.UPDATED, added.movie_id)
    assert messages([other]) == ["tmdbId: another movie of this source, z, has this id."]
    card = live.served.snapshot.cards[live.served.snapshot.position_of[added.movie_id or 0]]
    assert card.external_ids == (("first", "a"), ("second", "z"))


async def test_a_batch_takes_as_many_statements_for_a_thousand_movies_as_for_one(
    live: Live, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    execute = psycopg.Connection.execute

    def counted(connection: Any, query: Any, *arguments: Any, **named: Any) -> Any:
        sent.append(query)
        return execute(connection, query, *arguments, **named)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    await upsert(live, ("one", {**TROLL, "tmdb_id": "5000"}))
    of_one = len(sent)
    sent.clear()
    rows = [
        (str(n), {**TROLL, "title": f"Number {n}", "tmdb_id": str(1 + n), "cast": [f"Player {n % 300}"]})
        for n in range(1000)
    ]
    before = await revision(live)
    statements.clear()
    assert set(statuses(await upsert(live, *rows))) == {"ADDED"}
    assert len(sent) <= of_one
    assert await revision(live) - before == 1000  # one for each movie: other processes read only those
    whole = [each for each in statements if "FROM movies LEFT JOIN movie_stats" in each and "ANY" not in each]
    assert whole == []
    assert_same(live.served.snapshot, await snapshot.load(live.sessions))
    ids = [id_ for id_ in live.served.snapshot.movie_ids.tolist() if id_ > 1001]
    gone = await edit.remove(live.sessions, live, [*ids[:500], 999_999])
    assert sorted(gone) == ids[:500]
    assert_same(live.served.snapshot, await snapshot.load(live.sessions))


async def test_deleting_counts_the_ratings_of_each_movie(live: Live) -> None:
    async with live.sessions.begin() as session:
        await session.execute(text("DELETE FROM movie_stats WHERE movie_id <= 2"))
        await session.execute(text("INSERT INTO users (id, username) VALUES (1, 'one'), (2, 'two')"))
        await session.execute(
            text("INSERT INTO ratings (user_id, movie_id, half_stars) VALUES (1, 1, 8), (2, 1, 6), (1, 2, 4)")
        )
    assert await edit.remove(live.sessions, live, [1, 2, 4_000]) == {1: 2, 2: 1}
    async with live.sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM ratings")) == 0


async def revision(live: Live) -> int:
    async with live.sessions() as session:
        found = await session.scalar(select(CatalogRevision.revision))
    assert found is not None
    return int(found)


async def test_a_batch_that_outlives_its_request_is_rolled_back(live: Live) -> None:
    async with live.sessions.begin() as other:
        await other.execute(select(CatalogRevision.revision).with_for_update())
        batch = asyncio.create_task(upsert(live, ("late", TROLL)))
        await asyncio.sleep(0.3)
        batch.cancel()
        await asyncio.sleep(0)
        assert not batch.done()  # its thread waits for the lock
    with pytest.raises(asyncio.CancelledError):
        await batch
    async with live.sessions() as session:
        count = select(func.count()).select_from(Movie).where(Movie.title == TROLL["title"])
        assert await session.scalar(count) == 0
    (added,) = await upsert(live, ("late", TROLL))
    assert added.status is RowStatus.ADDED


async def test_a_batch_that_was_committed_in_time_is_answered(live: Live) -> None:
    async with live.refreshing:  # after the commit
        batch = asyncio.create_task(upsert(live, ("early", TROLL)))
        async with live.sessions() as session:
            count = select(func.count()).select_from(Movie).where(Movie.title == TROLL["title"])
            while not await session.scalar(count):  # noqa: ASYNC110 - a thread commits it
                await asyncio.sleep(0.05)
        batch.cancel()
        await asyncio.sleep(0)
    (added,) = await batch
    assert added.status is RowStatus.ADDED
