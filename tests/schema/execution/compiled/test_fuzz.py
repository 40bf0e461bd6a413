"""Random queries have the same answer, to the byte, from graphql-core and from their compiled form.

COMPILED_FUZZ is the number of queries, COMPILED_SEED the first seed; `make bench-fuzz` asks 20,000.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.accounts import list_ids
from app.accounts.viewer import Role, Viewer
from app.db.engine import Sessions, create_engine, sessionmaker
from app.serving import live
from app.serving.live import ServingState
from app.settings import Settings
from schema import schema
from schema.execution import pace
from schema.execution.actor import Credentials
from schema.execution.compiled.compiler import Compiler
from schema.execution.context import Context
from tests.schema.execution.compiled.both import NotCompiled, by_compiled, by_core, printed
from tests.schema.execution.compiled.faults import faults
from tests.schema.execution.compiled.random_operations import Query, random_query

pytestmark = [pytest.mark.long, pytest.mark.anyio]

QUERIES = int(os.environ.get("COMPILED_FUZZ", "500"))
SEED = int(os.environ.get("COMPILED_SEED", "1"))
RATES = (0.0, 0.02, 0.1, 0.3)  # of faults
RETRIES = 12
NOW = datetime.now(UTC)
CORE = schema._schema


@dataclass(frozen=True, slots=True)
class World:
    settings: Settings
    sessions: Sessions
    served: ServingState
    members: dict[Role, Viewer]

    def context(self, role: Role | None) -> Context:
        credentials = Credentials(None if role is None else "a token")
        context = Context(self.settings, self.sessions, self.served, credentials)
        context.pinned_at = NOW
        if role is not None:
            context.authentication._actor = asyncio.get_running_loop().create_future()
            context.authentication._actor.set_result(self.members[role])
        return context


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world(seeded_database_url: str, model_dir: Path) -> AsyncIterator[World]:
    values = {"secret_key": "a secret of the tests, long enough", "model_dir": str(model_dir)}
    settings = Settings.model_validate({"database_url": seeded_database_url, **values})
    engine = create_engine(seeded_database_url, settings)
    sessions = sessionmaker(engine)
    served = await live.load(sessions, settings.models)
    yield World(settings, sessions, served, {role: await member(sessions, role) for role in Role})
    await engine.dispose()


async def member(sessions: Sessions, role: Role) -> Viewer:
    async with sessions.begin() as session:
        name = f"fuzz-{role.lower()}"
        user_id = await session.scalar(
            text("INSERT INTO users (username, role) VALUES (:name, :role) RETURNING id"),
            {"name": name, "role": role},
        )
        assert user_id is not None
        await session.execute(
            text(
                "INSERT INTO ratings (user_id, movie_id, half_stars, rated_at) "
                "SELECT :user_id, id, 1 + id % 10, now() - id * interval '1 day' FROM movies WHERE id % 9 = 0"
            ),
            {"user_id": user_id},
        )
    return Viewer(user_id, name, role, datetime.now(UTC), uuid4())


@pytest.fixture
def repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what varies: threads and time, which change the order of errors, and random ids of lists."""
    issue, issued = list_ids.issue, dict[Any, Any]()

    def same(settings: Settings, owner: int | None) -> Any:
        if owner not in issued:
            issued[owner] = issue(settings, owner)
        return issued[owner]

    async def here(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        await asyncio.sleep(0)
        return function(*arguments, **named)

    monkeypatch.setattr(list_ids, "issue", same)
    monkeypatch.setattr(asyncio, "to_thread", here)
    monkeypatch.setattr(pace, "PIECE_SECONDS", 1e9)


@pytest.mark.timeout(14_400)
# A statement that a failed sibling cancels leaves its cursor to the garbage collector, in both executors.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_answers_are_the_same(world: World, repeatable: None) -> None:  # noqa: ARG001
    compiler = Compiler(CORE, at_once=True)
    counted = Counter[str]()
    for seed in range(SEED, SEED + QUERIES):
        try:
            counted[await compared(world, compiler, random_query(CORE, seed), seed)] += 1
        except asyncio.CancelledError:
            pytest.fail(f"seed {seed}: an error in one field canceled the operation")
    print(f"seeds {SEED} to {SEED + QUERIES - 1}: {dict(counted)}")  # noqa: T201 - for the reader of a run
    assert counted["data"] + counted["errors"] > 0.9 * QUERIES, counted


async def compared(world: World, compiler: Compiler, query: Query, seed: int) -> str:
    """What was compared. A race of statements is seen in graphql-core's answers, which then vary too."""
    random = Random(seed)  # noqa: S311 - of a test
    role = random.choice([None, Role.USER, Role.ADMIN])
    rate = random.choice(RATES)
    kept = not rate  # what is kept would hide faults
    with faults(CORE, seed, rate):
        try:
            mine = await by_compiled(compiler, query.text, query.variables, world.context(role), kept=kept)
        except NotCompiled:
            return "not compiled"
        theirs = await by_core(CORE, query.text, query.variables, world.context(role))
        if printed(mine) == printed(theirs):
            return "errors" if mine.errors else "data"
        of_core, of_mine = {printed(theirs)}, {printed(mine)}
        for _ in range(RETRIES):
            mine = await by_compiled(compiler, query.text, query.variables, world.context(role), kept=kept)
            theirs = await by_core(CORE, query.text, query.variables, world.context(role))
            of_mine.add(printed(mine))
            of_core.add(printed(theirs))
            if of_mine & of_core:
                break
    assert of_mine & of_core, f"seed {seed}: {query}\n{of_mine}\n{of_core}"
    return "races"
