"""A service in the process of the test, on the seeded catalog, with its recorder and its promotions."""

from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.accounts import authentication
from app.activity import ratings
from app.db.engine import create_engine, sessionmaker
from app.provenance.recorder import Recorder
from app.provenance.replay import Replayer, recorded
from app.recommendations.steering.promotions import Promotions
from app.serving import live
from app.serving.live import Live
from app.settings import Settings
from app.web.client import Client
from schema import schema
from schema.execution.actor import Credentials
from schema.execution.context import Context

LIST = """
query ($first: Int! = 24, $filter: MovieFilter, $for: String, $after: String, $diversity: Float) {
  recommendations(first: $first, filter: $filter, for: $for, after: $after, diversity: $diversity) {
    requestId pageInfo { endCursor }
    edges { rank score node { id title collection genres { id name } } reasons { kind text } }
  }
}
"""
PREFER = """
mutation ($subject: PreferenceSubjectInput!, $direction: PreferenceDirection!) {
  setPreference(input: { subject: $subject, direction: $direction }) {
    __typename ... on Error { message } ... on SetPreferencePayload { preference { direction } }
  }
}
"""
PROMOTE = """
mutation ($input: PromoteInput!) {
  promote(input: $input) {
    __typename ... on Error { message } ... on PromotePayload { promotion { id live } }
  }
}
"""
HIDE = """
mutation ($movie: ID!, $hidden: Boolean!) {
  setMovieHidden(input: { movieId: $movie, hidden: $hidden }) { __typename }
}
"""


def local(id_: str) -> int:
    return int(b64decode(id_).decode().partition(":")[2])


class Steered:
    """The service. ada is an administrator, cara a curator, ben a member; all have rated eight movies."""

    def __init__(self, settings: Settings, following: Live, url: str) -> None:
        self.settings, self.live, self.url = settings, following, url
        self.recorder, self.promotions = Recorder(30), Promotions()
        self.tokens: dict[str, str] = {}

    def context(self, username: str | None) -> Context:
        credentials = Credentials(None if username is None else self.tokens[username])
        served, client = self.live.served, Client("::1")
        context = Context(self.settings, self.live.sessions, served, credentials, self.live, client=client)
        context.recorder, context.promotions = self.recorder, self.promotions
        return context

    async def send(self, document: str, username: str | None, **variables: Any) -> Any:
        result = await self.result(document, username, **variables)
        assert result.errors is None, result.errors
        return next(iter(result.data.values()))

    async def result(self, document: str, username: str | None, **variables: Any) -> Any:
        context = self.context(username)
        return await schema.execute(document, variable_values=variables, context_value=context)

    async def edges(self, username: str | None, **variables: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.send(LIST, username, **variables))["edges"]
        return found

    async def prefer(self, username: str, direction: str, **subject: str) -> Any:
        made = await self.send(PREFER, username, subject=subject, direction=direction)
        assert made["__typename"] == "SetPreferencePayload", made
        return made

    async def promote(self, **given: Any) -> str:
        made = await self.send(PROMOTE, "cara", input=given)
        assert made["__typename"] == "PromotePayload", made
        found: str = made["promotion"]["id"]
        return found

    def replayed(self) -> int:
        """Write the served lists, make each again, and return their number. All must be the same."""
        self.recorder.write(self.url)
        replayer = Replayer(self.live.models)
        with psycopg.connect(self.url) as connection:
            ids = connection.execute("SELECT DISTINCT request_id FROM served_lists").fetchall()
            pages = [page for (id_,) in ids for page in recorded(connection, id_)]
            for page in pages:
                made = replayer.replay(connection, page)
                assert made.same, (page.field, made.reason, page.movie_ids, made.movie_ids)
                assert made.scores == pytest.approx(page.scores)
        return len(pages)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def steered(seeded_database_url: str, model_dir: Path) -> AsyncIterator[Steered]:
    settings = Settings.model_validate(
        {
            "database_url": seeded_database_url,
            "secret_key": "a secret of the tests, long enough",
        }
    )
    with psycopg.connect(seeded_database_url) as connection:  # the bundled catalog has no collections
        connection.execute("UPDATE movies SET collection = 'The Sea Collection' WHERE id % 97 = 3")
    engine = create_engine(seeded_database_url, settings)
    sessions = sessionmaker(engine)
    service = Steered(
        settings, Live(sessions, model_dir, await live.load(sessions, model_dir)), seeded_database_url
    )
    counts = service.live.served.snapshot.rating_count
    known = service.live.served.snapshot.movie_ids[(-counts).argsort()]
    for place, name in enumerate(("ada", "ben", "cara")):
        tokens = await authentication.sign_up(sessions, settings, name, "a long walk home")
        service.tokens[name] = tokens.access_token
        for movie_id in known[place * 8 : place * 8 + 8].tolist():
            await ratings.rate(sessions, tokens.viewer.id, movie_id, 4.5)
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("UPDATE users SET role = 'ADMIN' WHERE username = 'ada'")
        connection.execute("UPDATE users SET role = 'CURATOR' WHERE username = 'cara'")
        connection.execute("UPDATE users SET discoverable = true")
    yield service
    if service.recorder.connection is not None:
        service.recorder.connection.close()
    await engine.dispose()
