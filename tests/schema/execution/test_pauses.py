"""Heavy work runs in threads, and long work on the event loop yields to other requests.

Times differ from machine to machine; threads and turns of the loop do not.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.accounts.viewer import Role, Viewer
from app.catalog import browse
from app.db.engine import Sessions, create_engine, sessionmaker
from app.recommendations import home
from app.recommendations.history import history_of
from app.recommendations.taste_profile import Opinions
from app.serving import live, snapshot
from app.serving.live import ServingState
from app.settings import Settings
from recommender.model import explain
from recommender.model.hybrid import Hybrid
from recommender.model.nearest import Neighbors
from schema import schema
from schema.execution import pace
from schema.execution.actor import Credentials
from schema.execution.context import Context

pytestmark = pytest.mark.anyio

HEAVY: tuple[tuple[Any, str], ...] = (
    (Hybrid, "load"),
    (Hybrid, "scores"),
    (Hybrid, "ranked"),
    (Hybrid, "predict"),
    (Hybrid, "reasons"),
    (Neighbors, "similar"),
    (Opinions, "likings"),
    (browse, "page"),
    (snapshot, "built"),
    (home, "put_up"),
)
CARD = "id title genres { name } directors { name } cast { person { name } character }"
REASONS = f"edges {{ matchPercent reasons {{ text }} node {{ {CARD} }} }}"
OPERATIONS = {
    "a list": f"{{ recommendations(first: 50, diversity: 0.3) {{ {REASONS} }} }}",
    "home": f"{{ home(shelves: 10, perShelf: 20) {{ shelves {{ movies(first: 20) {{ {REASONS} }} }} }} }}",
    "taste": "{ viewer { taste { genres { affinity } people { affinity } } } }",
    "onboarding": "{ onboarding(first: 50) { edges { node { title } } } }",
    "a group": '{ groupRecommendations(usernames: ["heavy"], first: 20) { edges { score } } }',
    "movies": f"{{ movies(first: 100) {{ edges {{ node {{ {CARD} }} }} }} }}",
    "matches": "{ movies(first: 100) { edges { node { viewerMatch { matchPercent reasons { text } } } } } }",
    "export": "{ exportMyData }",
}


@dataclass(frozen=True, slots=True)
class Process:
    settings: Settings
    sessions: Sessions
    served: ServingState
    viewer: Viewer

    async def ask(self, operation: str) -> Any:
        context = Context(self.settings, self.sessions, self.served, Credentials("a token"), spliced=True)
        context.authentication._actor = asyncio.get_running_loop().create_future()
        context.authentication._actor.set_result(self.viewer)
        result = await schema.execute(operation, context_value=context)
        assert result.errors is None
        context.discard_export()
        return result.data


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def threads() -> Iterator[dict[str, set[int]]]:
    """The threads in which each function of HEAVY was called, by name."""
    called = defaultdict[str, set[int]](set)

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def note(*arguments: Any, **named: Any) -> Any:
            called[name].add(threading.get_ident())
            return function(*arguments, **named)

        return note

    patches: list[Any] = []
    for owner, name in HEAVY:
        function = owner.__dict__[name]
        label = f"{owner.__name__}.{name}"
        if isinstance(function, classmethod):
            made: Any = classmethod(noted(label, function.__func__))
            patches.append(patch.object(owner, name, made))
        else:
            patches.append(patch.object(owner, name, noted(label, function)))
    for each in patches:
        each.start()
    yield called
    for each in patches:
        each.stop()


@pytest.fixture
async def process(
    seeded_database_url: str,
    model_dir: Path,
    threads: dict[str, set[int]],  # noqa: ARG001 - calls at start are recorded too
) -> AsyncIterator[Process]:
    """A request by a member who rated half of the catalog, to a process that has just started."""
    settings = Settings.model_validate(
        {
            "database_url": seeded_database_url,
            "secret_key": "a secret of the tests, long enough",
            "model_dir": str(model_dir),
        }
    )
    engine = create_engine(seeded_database_url, settings)
    sessions = sessionmaker(engine)
    served = await live.load(sessions, settings.models)
    viewer = await member(sessions)
    yield Process(settings, sessions, served, viewer)
    await engine.dispose()


async def member(sessions: Sessions) -> Viewer:
    async with sessions.begin() as session:
        user_id = await session.scalar(text("INSERT INTO users (username) VALUES ('heavy') RETURNING id"))
        assert user_id is not None
        await session.execute(
            text(
                "INSERT INTO ratings (user_id, movie_id, half_stars, rated_at) "
                "SELECT :user_id, id, 1 + id % 10, now() - id * interval '1 day' FROM movies WHERE id % 2 = 0"
            ),
            {"user_id": user_id},
        )
    return Viewer(user_id, "heavy", Role.USER, datetime.now(UTC), uuid4())


async def test_heavy_work_runs_in_threads(process: Process, threads: dict[str, set[int]]) -> None:
    for operation in OPERATIONS.values():
        assert await process.ask(operation)
    here = threading.get_ident()
    assert {name for name, where in threads.items() if here in where} == set()
    assert set(threads) == {f"{owner.__name__}.{name}" for owner, name in HEAVY}, "each of them was called"


async def test_nothing_is_built_on_first_use(process: Process) -> None:
    model = process.served.model
    assert model is not None
    assert {"_neighbors", "_popular"} <= model.hybrid.__dict__.keys()
    assert {"_index", "_vectors"} <= model.hybrid._neighbors.__dict__.keys()
    assert "by_factor" in model.hybrid.factor_model.__dict__
    for traits in (*model.hybrid.traits.values(), model.hybrid.makers):
        assert {"names", "rarity"} <= traits.__dict__.keys()


@pytest.mark.parametrize(
    ("operation", "at_least"), [(OPERATIONS["movies"], 100), ("{ __schema { types { name kind } } }", 200)]
)
async def test_other_requests_run_while_a_long_list_is_completed(
    process: Process, monkeypatch: pytest.MonkeyPatch, operation: str, at_least: int
) -> None:
    monkeypatch.setattr(pace, "PIECE_SECONDS", 0.0)  # after each item
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    assert await process.ask(operation)
    task.cancel()
    assert turns >= at_least


async def test_reasons_of_a_long_history_depend_on_the_list_only(process: Process) -> None:
    """Names that no movie of the list has are not scored, however many movies the member rated."""
    model = process.served.model
    assert model is not None
    user = await history_of(process.sessions, process.viewer.id)
    history = user.indexed(model)
    weighed: list[int] = []
    of = explain._Common.__init__

    def noted(self: Any, *arguments: Any) -> None:
        of(self, *arguments)
        weighed.append(self._weights.shape[0])

    listed = model.hybrid.recommend(history, k=3).item_idx
    with patch.object(explain._Common, "__init__", noted):
        model.hybrid.reasons(history, listed)
    borne = [len(set(traits.matrix[listed].indices.tolist())) for traits in model.hybrid.traits.values()]
    assert weighed == borne
