"""Search ranks the intended movie first, and pagination reaches every movie found."""

from typing import Any

import pytest
from sqlalchemy import insert

from app.catalog import text_query
from app.catalog.search import search
from app.db import tables
from app.db.engine import Sessions
from app.serving import snapshot
from app.serving.snapshot import MovieFilter, Snapshot

pytestmark = pytest.mark.anyio

MOVIES: dict[str, dict[str, Any]] = {
    "Alien": {"overview": "A crew wakes a stranger.", "ratings": 300},
    "Aliens": {"overview": "Marines go where nobody answers.", "ratings": 200},
    "Resident Alien": {"overview": "A writer walks through New York.", "ratings": 2},
    "The Visitor": {"overview": "An alien learns to cook.", "ratings": 500},
    "The Matrix": {"overview": "A hacker wakes up.", "ratings": 400},
    "The Matrix Reloaded": {"overview": "He is awake.", "ratings": 350},
    "Amélie": {"original_title": "Le Fabuleux Destin d'Amélie Poulain", "overview": "A waitress does good."},
    "Spider-Man": {"overview": "A student is bitten."},
    "Ocean's Eleven": {"overview": "Eleven men and a safe."},
    "Star Wars": {"overview": "A farm boy leaves home."},
    "The Godfather": {"overview": "A family business."},
    "Tokyo Story": {"overview": "Old parents visit their grown children.", "director": "Yasujirō Ozu"},
    "Late Spring": {"overview": "A daughter will not leave.", "director": "Yasujirō Ozu"},
}


@pytest.fixture
async def movies(sessions: Sessions) -> Snapshot:
    async with sessions.begin() as session:
        await session.execute(insert(tables.Person).values(id=1, name="Yasujirō Ozu"))
        for id_, (title, facts) in enumerate(MOVIES.items(), 1):
            row: dict[str, Any] = {
                "id": id_,
                "title": title,
                "overview": facts["overview"],
                "year": 1950 + id_,
            }
            row["original_title"] = facts.get("original_title")
            await session.execute(insert(tables.Movie).values(row))
            count = facts.get("ratings", 0)
            stats = {"movie_id": id_, "rating_count": count, "half_stars_sum": 7 * count}
            await session.execute(insert(tables.MovieStats).values(stats))
            if "director" in facts:
                credit = {"movie_id": id_, "kind": "DIRECTOR", "position": 0, "person_id": 1}
                await session.execute(insert(tables.Credit).values(credit))
    return await snapshot.load(sessions)


async def titles(sessions: Sessions, movies: Snapshot, words: str, **facts: Any) -> list[str]:
    hits = await search(sessions, movies, None, words, MovieFilter(**facts), count=20)
    assert sorted(hits.scores.tolist(), reverse=True) == hits.scores.tolist()
    return [movies.cards[position].title for position in hits.positions]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("the matrix", "The Matrix"),
        ("matrix", "The Matrix"),
        ("ALIEN", "Alien"),
        ("the mat", "The Matrix"),  # unfinished
        ("matrix rel", "The Matrix Reloaded"),
        ("spid", "Spider-Man"),
        ("amelie", "Amélie"),  # without accents
        ("le fabuleux destin", "Amélie"),  # in the original language
        ("fabuleux dest", "Amélie"),
        ("spiderman", "Spider-Man"),
        ("spider man", "Spider-Man"),
        ("oceans eleven", "Ocean's Eleven"),
        ("starwars", "Star Wars"),
        ("godfahter", "The Godfather"),  # letters swapped
        ("matirx relaoded", "The Matrix Reloaded"),
        ("tokio story", "Tokyo Story"),
        ("hackers", "The Matrix"),  # by the stem, in the overview
        ('"family business"', "The Godfather"),
    ],
)
async def test_the_intended_movie_ranks_first(
    sessions: Sessions, movies: Snapshot, words: str, first: str
) -> None:
    assert (await titles(sessions, movies, words))[0] == first


async def test_a_title_ranks_before_an_overview_of_a_popular_movie(
    sessions: Sessions, movies: Snapshot
) -> None:
    assert await titles(sessions, movies, "alien") == ["Alien", "Aliens", "Resident Alien", "The Visitor"]


async def test_operators(sessions: Sessions, movies: Snapshot) -> None:
    assert await titles(sessions, movies, "matrix -reloaded") == ["The Matrix"]
    assert await titles(sessions, movies, 'matrix -"the matrix reloaded"') == ["The Matrix"]
    assert await titles(sessions, movies, '"wars star"') == []
    assert set(await titles(sessions, movies, "godfather or wars")) == {"The Godfather", "Star Wars"}


async def test_a_person_query_finds_their_movies(sessions: Sessions, movies: Snapshot) -> None:
    assert set(await titles(sessions, movies, "yasujiro ozu")) == {"Tokyo Story", "Late Spring"}


async def test_a_search_is_filtered(sessions: Sessions, movies: Snapshot) -> None:
    assert await titles(sessions, movies, "alien", year_from=1952) == [
        "Aliens",
        "Resident Alien",
        "The Visitor",
    ]
    assert await titles(sessions, movies, "godfahter", year_to=1950) == []


@pytest.mark.parametrize(
    "words", ["", "   ", "🎬", "xyzzyx", "the", "'; DROP TABLE movies", "a & | ! b:*", "\\", "%"]
)
async def test_any_text_is_accepted(sessions: Sessions, movies: Snapshot, words: str) -> None:
    found = await titles(sessions, movies, words)
    assert len(found) == len(set(found)) < len(MOVIES)


async def test_pages_cover_the_whole_search(sessions: Sessions, movies: Snapshot) -> None:
    whole = await search(sessions, movies, None, "alien", MovieFilter(), count=20)
    assert (whole.has_previous, whole.has_next) == (False, False)
    seen: list[int] = []
    key = None
    while True:
        page = await search(sessions, movies, None, "alien", MovieFilter(), count=1, key=key)
        assert page.has_previous == bool(seen)
        seen += page.positions.tolist()
        if not page.has_next:
            break
        key = (float(page.scores[-1]), int(movies.movie_ids[page.positions[-1]]))
    assert seen == whole.positions.tolist()


async def test_a_search_is_one_statement(sessions: Sessions, movies: Snapshot, statements: list[str]) -> None:
    await titles(sessions, movies, "godfahter")
    assert len(statements) == 1


async def test_texts_with_some_of_the_words_answer_what_no_title_does(
    sessions: Sessions, movies: Snapshot, statements: list[str]
) -> None:
    # `cook` is in one text and weighs more than `alien`, which is in several.
    assert (await titles(sessions, movies, "someone cooks for aliens in paris"))[0] == "The Visitor"
    assert (await titles(sessions, movies, "a bitten student climbs walls"))[0] == "Spider-Man"
    assert len(statements) == 4
    hits = await search(sessions, movies, None, "a bitten student climbs walls", MovieFilter(), count=20)
    assert hits.scores.max() < 0.3


async def test_texts_with_some_of_the_words_are_not_added_to_a_title(
    sessions: Sessions, movies: Snapshot
) -> None:
    assert await titles(sessions, movies, "the matrix hacker") == ["The Matrix"]


@pytest.mark.parametrize("words", ["-matrix", '"" -matrix', '""-matrix', "-a -b or -c"])
async def test_words_that_are_only_excluded_read_no_movie(
    sessions: Sessions, movies: Snapshot, words: str
) -> None:
    assert movies.cards
    explained = await sessions.reads.row(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {text_query.FOUND}", text_query.parameters_of(words)
    )
    assert explained is not None
    assert movies_read(explained[0][0]["Plan"]) == 0
    assert await titles(sessions, movies, words) == []


def movies_read(plan: dict[str, Any]) -> int:
    """The rows of movies that a plan, or those below it, has looked at."""
    looked_at = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    own = int(looked_at * plan["Actual Loops"]) if plan.get("Relation Name") == "movies" else 0
    return own + sum(map(movies_read, plan.get("Plans", [])))


def test_a_repeated_word_counts_once() -> None:
    given = text_query.parameters_of('The the "a b" "A B" or or the or the "a b" -no -No -"no"')
    assert given["words"] == 'the "a b" or  or the'
    assert given["without"] == 'no or "no"'


async def test_the_more_words_the_fewer_movies_are_ranked(
    sessions: Sessions, movies: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    anything = '"crew" or marines or writer or hacker or awake or waitress or student or farm'
    assert len(await titles(sessions, movies, anything)) == 8
    monkeypatch.setattr(text_query, "MOST_COMPARED", 60)  # fifteen words and operators, by two dictionaries
    assert len(await titles(sessions, movies, anything)) in (1, 2, 3, 4)
