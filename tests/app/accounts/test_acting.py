"""Keys that act for members: the number of statements, and concurrent first uses."""

import asyncio

import pytest
from sqlalchemy import func, select

from app.accounts import api_keys, authentication
from app.accounts.acting import Acting
from app.accounts.api_keys import InvalidApiKey, Scope
from app.db.engine import Sessions
from app.db.stream_tables import ExternalMember
from app.db.tables import User
from app.serving import snapshot
from app.serving.live import ServingState
from app.settings import Settings
from schema.execution.actor import Credentials
from schema.execution.context import Context

pytestmark = pytest.mark.anyio


async def test_one_read_more_than_a_signed_in_member(
    sessions: Sessions, settings: Settings, statements: list[str]
) -> None:
    served, acting = ServingState(await snapshot.load(sessions)), Acting()
    tokens = await authentication.sign_up(sessions, settings, "ada", "a long walk home")
    key, _ = await api_keys.create(sessions, None, "tv", [Scope.MEMBERS], None, "tv")
    sent = []
    first = Credentials(key, "u-7")
    for credentials in (first, first, Credentials(tokens.access_token)):
        statements.clear()
        context = Context(settings, sessions, served, credentials, acting=acting)
        await context.authentication.payer()
        assert await context.viewer() is not None
        sent.append(list(statements))
    made, known, signed_in = sent
    assert len(known) == len(signed_in) + 1 == 2
    assert any("INSERT INTO external_members" in each for each in made)
    assert not any("INSERT" in each for each in known)


async def test_concurrent_first_uses_make_one_member(sessions: Sessions, settings: Settings) -> None:
    served = ServingState(await snapshot.load(sessions))
    key, _ = await api_keys.create(sessions, None, "tv", [Scope.MEMBERS], None, "tv")
    contexts = [Context(settings, sessions, served, Credentials(key, "u-7")) for _ in range(8)]
    viewers = await asyncio.gather(*(context.viewer() for context in contexts))
    assert len({viewer.id for viewer in viewers if viewer is not None}) == 1
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(ExternalMember)) == 1
        assert await session.scalar(select(func.count()).select_from(User)) == 1


@pytest.mark.parametrize(
    ("scopes", "source", "message"),
    [
        ([Scope.MEMBERS], None, "needs a source"),
        ([Scope.READ], "tv", "Only a key with the scope MEMBERS"),
        ([Scope.MEMBERS], "TV set", "must have 1 to 64 lower-case letters"),
        ([Scope.MEMBERS], "", "must have 1 to 64 lower-case letters"),
    ],
)
async def test_a_key_has_a_source_exactly_with_the_scope(
    sessions: Sessions, scopes: list[Scope], source: str | None, message: str
) -> None:
    with pytest.raises(InvalidApiKey, match=message):
        await api_keys.create(sessions, None, "tv", scopes, None, source)
