"""The home page over HTTP: all shelves in one request and few statements, pagination, refusals."""

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app.accounts import authentication
from app.activity import ratings
from app.db import activity_tables
from app.db.engine import create_engine, sessionmaker
from app.recommendations.home import HomePage, ShelfPage
from app.recommendations.recommend import Match
from app.serving import live
from app.settings import Settings
from schema import schema
from schema.execution.actor import Credentials
from schema.execution.context import Context
from tests.schema.conftest import Ask, Member, code
from tests.statements import noted_statements

CONTINUE = """
query Continue($id: ID!, $first: Int!, $after: String) {
  node(id: $id) {
    ... on Shelf {
      id title
      movies(first: $first, after: $after) { edges { rank node { id } } pageInfo { hasNextPage endCursor } }
    }
  }
}
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def movies(ask: Ask) -> list[str]:
    """Ids of movies, most rated first."""
    body = ask("Movies", first=20, orderBy={"field": "POPULARITY", "direction": "DESC"})
    return [edge["node"]["id"] for edge in body["data"]["movies"]["edges"]]


def rate(ask: Ask, member: Member, movies: list[str], stars: float) -> None:
    for movie in movies:
        assert ask("RateMovie", member.token, movie=movie, stars=stars)["data"]["rateMovie"]["rating"]


def shown(shelf: dict[str, Any]) -> list[str]:
    return [edge["node"]["id"] for edge in shelf["movies"]["edges"]]


def test_a_member_gets_eight_shelves(ask: Ask, member: Member, movies: list[str]) -> None:
    rate(ask, member, movies[:10], 4.5)
    page = ask("Home", member.token, shelves=8, perShelf=24)["data"]["home"]
    assert page["requestId"]
    assert page["modelVersion"]
    assert len(page["shelves"]) == 8
    titles = [shelf["title"] for shelf in page["shelves"]]
    assert titles[0] == "Top picks"
    assert titles[1].startswith("Because you liked ")
    assert {"Trending", "New releases"} <= set(titles)
    everything = [movie for shelf in page["shelves"] for movie in shown(shelf)]
    assert len(everything) == len(set(everything)) == 8 * 24
    assert not set(everything) & set(movies[:10])
    for shelf in page["shelves"]:
        assert [edge["rank"] for edge in shelf["movies"]["edges"]] == list(range(1, 25))
        assert all(0 <= edge["matchPercent"] <= 100 for edge in shelf["movies"]["edges"])
        assert all(edge["predictedRating"]["stars"] for edge in shelf["movies"]["edges"])


def test_a_page_for_a_signed_out_client(ask: Ask) -> None:
    page = ask("Home", shelves=8, perShelf=12)["data"]["home"]
    assert [shelf["kind"] for shelf in page["shelves"]][:4] == [
        "POPULAR",
        "GENRE",
        "TRENDING",
        "NEW_RELEASES",
    ]
    everything = [movie for shelf in page["shelves"] for movie in shown(shelf)]
    assert len(everything) == len(set(everything)) == 8 * 12


def test_a_rating_changes_the_next_page(ask: Ask, member: Member, movies: list[str]) -> None:
    rate(ask, member, movies[:3], 5.0)
    before = ask("Home", member.token, shelves=4, perShelf=12)["data"]["home"]
    rate(ask, member, movies[3:4], 5.0)
    after = ask("Home", member.token, shelves=4, perShelf=12)["data"]["home"]
    assert movies[3] not in [movie for shelf in after["shelves"] for movie in shown(shelf)]
    assert [shown(shelf) for shelf in after["shelves"]] != [shown(shelf) for shelf in before["shelves"]]


def test_each_shelf_continues_from_its_cursor(ask: Ask, member: Member, movies: list[str]) -> None:
    rate(ask, member, movies[:8], 4.5)
    page = ask("Home", member.token, shelves=6, perShelf=10)["data"]["home"]
    rated = ask(CONTINUE, member.token, id=page["shelves"][0]["id"], first=15)["data"]["node"]
    gone = shown(rated)[13]
    rate(ask, member, [gone], 1.0)  # a rating meanwhile moves no other movie
    seen = [movie for shelf in page["shelves"] for movie in shown(shelf)]
    for shelf in page["shelves"]:
        after, ranks = shelf["movies"]["pageInfo"]["endCursor"], list(range(1, 11))
        for _ in range(2):
            more = ask(CONTINUE, member.token, id=shelf["id"], first=10, after=after)["data"]["node"]
            assert more["title"] == shelf["title"]
            seen += shown(more)
            ranks += [edge["rank"] for edge in more["movies"]["edges"]]
            after = more["movies"]["pageInfo"]["endCursor"]
        assert ranks == list(range(1, len(ranks) + 1))
    assert len(seen) == len(set(seen)) > 150
    assert gone not in seen


def test_a_shelf_is_paginated_to_its_end(ask: Ask) -> None:
    page = ask("Home", shelves=3, perShelf=5)["data"]["home"]
    shelf = page["shelves"][1]
    seen, info = shown(shelf), shelf["movies"]["pageInfo"]
    while info["hasNextPage"]:
        more = ask(CONTINUE, id=shelf["id"], first=100, after=info["endCursor"])["data"]["node"]
        seen += shown(more)
        info = more["movies"]["pageInfo"]
    assert len(seen) == len(set(seen)) > 50


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"shelves": 0, "perShelf": 10}, "home.shelves"),
        ({"shelves": 21, "perShelf": 10}, "home.shelves"),
        ({"shelves": 3, "perShelf": 0}, "home.perShelf"),
        ({"shelves": 3, "perShelf": 101}, "home.perShelf"),
    ],
)
def test_bad_input_names_field_and_rule(ask: Ask, variables: dict[str, Any], message: str) -> None:
    body = ask("Home", **variables)
    assert {error["extensions"]["code"] for error in body["errors"]} == {"BAD_USER_INPUT"}
    assert message in body["errors"][0]["message"]


def test_a_shelf_accepts_only_its_own_cursors(ask: Ask) -> None:
    first, second = ask("Home", shelves=2, perShelf=5)["data"]["home"]["shelves"]
    assert code(ask(CONTINUE, id=first["id"], first=101)) == "BAD_USER_INPUT"
    for cursor in (second["movies"]["pageInfo"]["endCursor"], "bm8", "WyJzaGVsZiIsMV0"):
        body = ask(CONTINUE, id=first["id"], first=5, after=cursor)
        assert code(body) == "BAD_USER_INPUT"
        assert "cursor" in body["errors"][0]["message"]


@pytest.mark.parametrize(
    "key",
    [
        "no",
        "a/b/c/d/e/f/g",
        f"{'0' * 32}/v/{10**30}/3/3/POPULAR/0",
        f"{'0' * 32}/v/0/99/3/POPULAR/0",
        f"{'0' * 32}/v/0/3/0/POPULAR/0",
    ],
)
def test_a_forged_shelf_id_is_refused(ask: Ask, key: str) -> None:
    body = ask(CONTINUE, id=b64encode(f"Shelf:{key}".encode()).decode(), first=3)
    assert code(body) == "BAD_USER_INPUT"


@pytest.fixture
async def context(seeded_database_url: str, model_dir: Path) -> AsyncIterator[Context]:
    """The context of a member with new and old ratings, on a database for one test."""
    settings = Settings.model_validate(
        {"database_url": seeded_database_url, "secret_key": "a secret of the tests, long enough"}
    )
    engine = create_engine(seeded_database_url, settings)
    sessions = sessionmaker(engine)
    served = await live.load(sessions, model_dir)
    tokens = await authentication.sign_up(sessions, settings, "ada", "a long walk home")
    for movie_id in served.snapshot.movie_ids[:10].tolist():
        await ratings.rate(sessions, tokens.viewer.id, movie_id, 4.5)
    async with sessions.begin() as session:
        long_ago = {"rated_at": datetime.now(UTC) - timedelta(days=900)}
        old = activity_tables.Rating.movie_id.in_(served.snapshot.movie_ids[:5].tolist())
        mine = activity_tables.Rating.user_id == tokens.viewer.id
        await session.execute(update(activity_tables.Rating).where(mine, old).values(long_ago))
    yield Context(settings, sessions, served, Credentials(tokens.access_token))
    await engine.dispose()


@pytest.mark.anyio
async def test_eight_shelves_of_twenty_four_need_few_statements(
    context: Context, operations: dict[str, str]
) -> None:
    sent = noted_statements(context.sessions)
    result = await schema.execute(
        operations["Home"], variable_values={"shelves": 8, "perShelf": 24}, context_value=context
    )
    assert result.errors is None
    assert result.data is not None
    shelves = result.data["home"]["shelves"]
    assert [len(shown(shelf)) for shelf in shelves] == [24] * 8
    assert "REDISCOVER" in {shelf["kind"] for shelf in shelves}  # the one with the most statements
    assert len(sent) == 2, sent


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("selected", "predicted", "explained"),
    [("score", False, False), ("matchPercent", True, False), ("reasons { text }", True, True)],
)
async def test_matches_and_reasons_are_made_only_if_they_are_selected(
    context: Context, monkeypatch: pytest.MonkeyPatch, selected: str, predicted: bool, explained: bool
) -> None:
    made: list[Match] = []
    original = HomePage.page

    def page(*arguments: Any) -> ShelfPage:
        found = original(*arguments)
        made.extend(pick.match for pick, _ in found.picks)
        return found

    monkeypatch.setattr(HomePage, "page", page)
    movies = f"movies(first: 4) {{ edges {{ {selected} }} }}"
    result = await schema.execute(
        f"{{ home(shelves: 2, perShelf: 4) {{ shelves {{ {movies} }} }} }}", context_value=context
    )
    assert result.errors is None
    assert len(made) == 8
    assert any(match.match_percent is not None for match in made) == predicted
    assert any(match.reasons for match in made) == explained
