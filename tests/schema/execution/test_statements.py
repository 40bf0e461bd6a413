"""The number of SQL statements of a response."""

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, select
from strawberry import relay

from app.accounts import authentication
from app.accounts.viewer import MEMBER
from app.db import tables
from app.db.engine import create_engine, sessionmaker
from app.db.tables import VECTOR_WIDTH
from app.serving import snapshot
from app.serving.live import ServingState
from app.settings import Settings
from schema import schema
from schema.execution.actor import Credentials
from schema.execution.context import Context
from tests.statements import noted_statements

pytestmark = pytest.mark.anyio

N_MOVIES = 60


class Counted:
    """Executes operations in this process and counts the statements."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.sent = noted_statements(context.sessions)

    async def __call__(self, operation: str, token: str | None = None, /, **variables: Any) -> dict[str, Any]:
        self.sent.clear()
        credentials = Credentials(token)
        context = Context(self.context.settings, self.context.sessions, self.context.served, credentials)
        result = await schema.execute(operation, variable_values=variables, context_value=context)
        assert result.errors is None
        assert result.data is not None
        return result.data


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def counted(database_url: str) -> AsyncIterator[Counted]:
    settings = Settings.model_validate(
        {"database_url": database_url, "secret_key": "a secret of the tests, long enough"}
    )
    engine = create_engine(database_url, settings)
    sessions = sessionmaker(engine)
    vectors = np.random.default_rng(0).normal(size=(N_MOVIES, VECTOR_WIDTH))
    async with sessions.begin() as session:
        await session.execute(insert(tables.Genre).values(id=1, name="Drama"))
        movies = [{"id": id_, "title": f"Movie {id_}"} for id_ in range(1, N_MOVIES + 1)]
        await session.execute(insert(tables.Movie), movies)
        await session.execute(
            insert(tables.MovieGenre), [{"movie_id": movie["id"], "genre_id": 1} for movie in movies]
        )
        await session.execute(
            insert(tables.MovieVector),
            [
                {"movie_id": movie["id"], "embedding": vector, "model_version": "1"}
                for movie, vector in zip(movies, vectors.tolist(), strict=True)
            ],
        )
    served = ServingState(await snapshot.load(sessions))
    yield Counted(Context(settings, sessions, served, Credentials()))
    await engine.dispose()


CARDS = "{ id title genres { id name } directors { id name } averageRating ratingCount cast { character } }"


async def test_a_page_of_cards_with_its_count_needs_no_statement(counted: Counted) -> None:
    data = await counted(
        f"{{ movies(first: 24) {{ totalCount edges {{ cursor node {CARDS} }} }} genres {{ name }} }}"
    )
    assert len(data["movies"]["edges"]) == 24
    assert data["movies"]["totalCount"] == N_MOVIES
    assert counted.sent == []


async def test_the_viewers_state_of_a_page_is_one_statement(counted: Counted) -> None:
    settings, sessions = counted.context.settings, counted.context.sessions
    async with sessions.begin() as session:
        await session.execute(insert(tables.User).values(id=1, username="ada"))
        member = (await session.execute(select(*MEMBER).where(tables.User.id == 1))).one()
        signed_in = await authentication.begin_session(session, settings, member, authentication.NOWHERE)
    state = "viewer { rating { stars } onWatchlist watchedFraction hidden }"
    page = f"{{ movies(first: 24) {{ nodes {{ {state} }} }} }}"
    data = await counted(page, signed_in.access_token)
    assert [movie["viewer"]["hidden"] for movie in data["movies"]["nodes"]] == [False] * 24
    of_movies = [statement for statement in counted.sent if "feedback" in statement or "ratings" in statement]
    assert len(of_movies) == 1
    assert len(counted.sent) == 2  # and the session


async def test_the_histograms_of_a_page_are_one_statement(counted: Counted) -> None:
    data = await counted("{ movies(first: 24) { nodes { ratingHistogram { count } } } }")
    assert all(len(movie["ratingHistogram"]) == 10 for movie in data["movies"]["nodes"])
    assert len(counted.sent) == 1


async def test_similar_movies_of_a_page_are_read_together(counted: Counted) -> None:
    data = await counted(
        "{ movies(first: 24) { edges { node { "
        f"similar(first: 5) {{ edges {{ node {CARDS} }} }} }} }} }} }}"
    )
    assert all(len(edge["node"]["similar"]["edges"]) == 5 for edge in data["movies"]["edges"])
    assert len(counted.sent) <= 2


@pytest.mark.parametrize(("query", "statements"), [("Movie 12", 1), ("movie", 2)])
async def test_a_search_is_one_statement_and_another_if_no_title_matches(
    counted: Counted, query: str, statements: int
) -> None:
    data = await counted(f'{{ search(query: "{query}", first: 24) {{ edges {{ node {CARDS} }} }} }}')
    assert data["search"]["edges"]
    assert len(counted.sent) == statements


async def test_nodes_in_memory_need_no_statement(counted: Counted) -> None:
    page = await counted("{ movies(first: 24) { edges { node { id genres { id } } } } }")
    ids = [edge["node"]["id"] for edge in page["movies"]["edges"]]
    data = await counted("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert [node["id"] for node in data["nodes"]] == ids
    assert counted.sent == []


async def test_movies_missing_in_the_snapshot_are_read_together(counted: Counted) -> None:
    ids = [relay.to_base64("Movie", 10**6 + number) for number in range(100)]
    data = await counted("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert data["nodes"] == [None] * 100
    assert len(counted.sent) == 1


async def test_a_movie_newer_than_the_snapshot_is_read(counted: Counted) -> None:
    async with counted.context.sessions.begin() as session:
        await session.execute(insert(tables.Movie).values(id=500, title="Just Added", poster_path="/a.jpg"))
        await session.execute(insert(tables.MovieGenre).values(movie_id=500, genre_id=1))
        await session.execute(insert(tables.Person).values(id=1, name="Ada"))
        await session.execute(
            insert(tables.Credit).values(movie_id=500, kind="CAST", position=0, person_id=1, character="Eve")
        )
    data = await counted(
        "query ($id: ID!) { movie(id: $id) "
        "{ title posterUrl genres { name } cast { person { name } character } averageRating ratingCount } }",
        id="TW92aWU6NTAw",
    )
    assert data["movie"] == {
        "title": "Just Added",
        "posterUrl": "https://image.tmdb.org/t/p/w500/a.jpg",
        "genres": [{"name": "Drama"}],
        "cast": [{"person": {"name": "Ada"}, "character": "Eve"}],
        "averageRating": None,
        "ratingCount": 0,
    }
