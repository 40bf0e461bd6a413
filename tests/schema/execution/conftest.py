"""A database with one of everything, and a request of each kind of client."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, text

from app.accounts import api_keys, authentication
from app.accounts.api_keys import Scope
from app.accounts.viewer import MEMBER as MEMBER_COLUMNS
from app.accounts.viewer import Role, Viewer
from app.db import activity_tables, tables
from app.db.engine import Sessions, create_engine, sessionmaker
from app.db.training_tables import ModelVersion, TrainingJob
from app.serving import snapshot
from app.serving.live import ServingState
from app.settings import Settings
from app.web.client import Client
from schema.execution.actor import Credentials
from schema.execution.context import Context

ACTING = "key MEMBERS for a member"
SIGNED_IN = frozenset({"USER", "CURATOR", "ADMIN"})


@dataclass(frozen=True, slots=True)
class World:
    settings: Settings
    sessions: Sessions
    served: ServingState
    key_id: int
    other: Viewer
    tokens: dict[str, Callable[[], Any]]

    async def context(self, actor: str) -> Context:
        """The context of a new request, with a new member for a signed-in role."""
        acting = actor == ACTING
        token = await self.tokens["key MEMBERS" if acting else actor]()
        credentials = Credentials(token, f"u-{uuid4()}" if acting else None)
        return Context(self.settings, self.sessions, self.served, credentials, client=Client("192.0.2.1"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    secret_key = "a secret of the tests, long enough"
    settings = Settings.model_validate({"database_url": database_url, "secret_key": secret_key})
    engine = create_engine(database_url, settings)
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        users = [{"id": 100 + rank, "username": role, "role": role} for rank, role in enumerate(Role)]
        users.append({"id": 1, "username": "other", "role": "USER"})
        users = [{**user, "password_hash": "of nobody"} for user in users]
        await session.execute(insert(tables.User), users)
        await session.execute(text("SELECT setval(pg_get_serial_sequence('users', 'id'), 1000)"))
        await session.execute(insert(tables.Movie), [{"id": id_, "title": f"Movie {id_}"} for id_ in (1, 2)])
        await session.execute(insert(tables.Genre).values(id=1, name="Drama"))
        await session.execute(insert(tables.MovieGenre).values(movie_id=1, genre_id=1))
        await session.execute(insert(tables.Person).values(id=1, name="Ada"))
        await session.execute(insert(tables.Credit).values(movie_id=1, kind="CAST", position=0, person_id=1))
        rated = [{"user_id": user["id"], "movie_id": 1, "half_stars": 8} for user in users]
        await session.execute(insert(activity_tables.Rating), rated)
        for user in users:
            seen = {"user_id": user["id"], "movie_id": 2, "kind": "WATCHLIST"}
            await session.execute(insert(activity_tables.Feedback).values(**seen, occurred_at=func.now()))
        trained = {"version": "v1", "status": "READY", "dataset_version": "own@0", "metrics": {}}
        await session.execute(insert(ModelVersion).values(trained))
        await session.execute(insert(TrainingJob).values(status="FAILED"))
        members = {user["username"]: (await member(session, user)) for user in users}

    def signed_in(name: str) -> Callable[[], Any]:
        async def token() -> str:
            async with sessions.begin() as session:
                signed_in = await authentication.begin_session(
                    session, settings, members[name], authentication.NOWHERE
                )
            return signed_in.access_token

        return token

    def always(token: str | None) -> Callable[[], Any]:
        async def given() -> str | None:
            return token

        return given

    tokens = {"signed out": always(None)} | {role: signed_in(role) for role in SIGNED_IN}
    for scope in Scope:
        source = "tv" if scope is Scope.MEMBERS else None
        key, record = await api_keys.create(sessions, None, scope.name, [scope], None, source)
        tokens[f"key {scope}"] = always(key)
    async with sessions.begin() as session:
        other = (
            await authentication.begin_session(session, settings, members["other"], authentication.NOWHERE)
        ).viewer
    served = ServingState(await snapshot.load(sessions))
    yield World(settings, sessions, served, record.id, other, tokens)
    await engine.dispose()


async def member(session: Any, user: dict[str, Any]) -> Any:
    return (await session.execute(select(*MEMBER_COLUMNS).where(tables.User.id == user["id"]))).one()
