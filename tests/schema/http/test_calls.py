"""How many calls of our functions a request takes, and in how many of our files."""

import asyncio
import inspect
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self
from uuid import uuid4

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.db.engine import Sessions
from app.main import create_app
from app.settings import Settings
from app.telemetry import metrics
from app.web.meter import Meter, MeteredCoroutine
from tests.statements import noted_statements
from tests.wire import traced

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
OURS = tuple(str(ROOT / package) for package in ("app", "schema", "recommender"))
PASSWORD = "correct horse battery"

COMPILED = metrics.executions.labels("compiled", "")
PAGE = "{ movies(first: 20) { totalCount edges { node { id title genres { name } } } } }"

RESUMED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
STEPS = {Meter.run.__code__, MeteredCoroutine.__next__.__code__}
COUNTED: ContextVar[bool] = ContextVar("counted", default=False)


class Calls:
    """Counts the calls of our functions in the event loop for one request, and their files.

    A coroutine that resumes is no further call, and its number of steps depends on the machine: the functions
    that meter each step are not counted. Nor are the tasks of the process's own.
    """

    def __init__(self) -> None:
        self.of: Counter[CodeType] = Counter()
        self.frames: set[FrameType] = set()

    def __enter__(self) -> Self:
        self.token = COUNTED.set(True)
        sys.setprofile(self.note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        COUNTED.reset(self.token)
        self.frames.clear()

    def note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(OURS) or not COUNTED.get() or code in STEPS:
            return
        if code.co_flags & RESUMED:
            if frame in self.frames:
                return
            self.frames.add(frame)
        self.of[code] += 1

    @property
    def total(self) -> int:
        return self.of.total()

    @property
    def files(self) -> set[str]:
        return {code.co_filename for code in self.of}


class Client:
    def __init__(self, http: httpx.AsyncClient, operations: dict[str, str], sessions: Sessions) -> None:
        self.http = http
        self.operations = operations
        self.sessions = sessions
        self.headers: dict[str, str] = {}

    async def send(self, operation: str, **variables: Any) -> dict[str, Any]:
        query = self.operations.get(operation, operation)
        body = {"query": query, "variables": variables}
        answer = await self.http.post("/graphql", json=body, headers=self.headers)
        result: dict[str, Any] = answer.json()
        assert "errors" not in result, result["errors"]
        return result["data"]  # type: ignore[no-any-return]

    async def until_compiled(self, operation: str, **variables: Any) -> None:
        for _ in range(200):
            before = COMPILED._value.get()
            await self.send(operation, **variables)
            if COMPILED._value.get() > before:
                return
            await asyncio.sleep(0.05)
        pytest.fail("a thread compiles an operation that is asked for again")

    async def counted(self, operation: str, *, compiled: bool, **variables: Any) -> Calls:
        """The calls of a warm request; with `compiled`, of one that a compiled function answers."""
        for _ in range(2):
            await self.send(operation, **variables)
        if compiled:
            await self.until_compiled(operation, **variables)
        with Calls() as calls:
            await self.send(operation, **variables)
        return calls


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client(
    request: pytest.FixtureRequest, server_database_url: str, model_dir: Path, operations: dict[str, str]
) -> AsyncIterator[Client]:
    """A client of the whole application in this process, as a member with ten ratings.

    A parameter holds more settings.
    """
    values = {"secret_key": "a secret of the tests, long enough", "model_dir": model_dir}
    settings = Settings.model_validate({**values, "poll_seconds": 3600, **getattr(request, "param", {})})
    app = create_app(settings, server_database_url)
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            client = Client(http, operations, (state or {})["sessions"])
            names = {"username": f"calls{uuid4().hex[:10]}", "password": PASSWORD}
            signed_up = await client.send("SignUp", **names)
            client.headers = {"Authorization": f"Bearer {signed_up['signUp']['accessToken']}"}
            movies = await client.send("{ movies(first: 10) { edges { node { id } } } }")
            for edge in movies["movies"]["edges"]:
                await client.send("RateMovie", movie=edge["node"]["id"], stars=4.0)
            yield client


# Calls and files by request, of a compiled function (True) and of graphql-core, whose own calls are not
# counted. A further charge, of measured time, takes ten of them. Lower them when a change saves calls.
CEILINGS: dict[str, tuple[str, dict[str, Any], dict[bool, tuple[int, int]]]] = {
    "Typename": ("{ __typename }", {}, {True: (118, 30), False: (130, 27)}),
    "Page": (PAGE, {}, {True: (160, 42), False: (182, 33)}),
    "Recommendations": ("Recommendations", {"first": 20}, {True: (305, 56), False: (340, 48)}),
    "RateMovie": ("RateMovie", {"stars": 3.5}, {True: (254, 48), False: (210, 40)}),
}


@pytest.mark.parametrize("name", CEILINGS)
@pytest.mark.parametrize(
    ("client", "compiled"),
    [
        pytest.param({}, True, id="compiled"),  # by default
        pytest.param({"compiled_operations": False}, False, id="graphql-core"),
    ],
    indirect=["client"],
)
async def test_a_request_takes_few_calls_in_few_files(client: Client, name: str, *, compiled: bool) -> None:
    operation, variables, most = CEILINGS[name]
    max_calls, max_files = most[compiled]
    if name == "RateMovie":
        movies = await client.send("{ movies(first: 1) { edges { node { id } } } }")
        variables = {**variables, "movie": movies["movies"]["edges"][0]["node"]["id"]}
    calls = await client.counted(operation, compiled=compiled, **variables)
    of = [f"{count} {code.co_qualname}" for code, count in calls.of.most_common(20)]
    assert calls.total <= max_calls, of
    assert len(calls.files) <= max_files, sorted(calls.files)


VIEWER = "{ viewer { username } }"
MOVIE = (
    "query ($movie: ID!) { movie(id: $movie) { title viewer { rating { stars } onWatchlist } "
    "similar(first: 12) { edges { node { title } } } } }"
)
# Statements by request, without the beginning and the end of a mutation's transaction. Lower them when a
# change saves some.
STATEMENTS: dict[str, tuple[str, dict[str, Any], int]] = {
    "page": ("{ movies(first: 20) { edges { node { title } } } }", {}, 0),
    "viewer": (VIEWER, {}, 1),
    "list": ("Recommendations", {"first": 20}, 1),
    "list and viewer": ("{ recommendations(first: 20) { strategy } viewer { username } }", {}, 1),
    "home": ("Home", {"shelves": 8, "perShelf": 24}, 2),
    "movie": (MOVIE, {}, 4),  # the session, the statistics, the viewer's state, and the similar movies
    "search": ('{ search(query: "star", first: 20) { edges { score } } }', {}, 1),
    "rate": ("RateMovie", {"stars": 3.5}, 3),  # the session, the rating, and the movie's statistics
}
OWN = "shadow_runs"  # read by a task of the process


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_request_takes_few_statements(client: Client, name: str) -> None:
    operation, variables, most = STATEMENTS[name]
    if name in ("movie", "rate"):
        movies = await client.send("{ movies(first: 1) { edges { node { id } } } }")
        variables = {**variables, "movie": movies["movies"]["edges"][0]["node"]["id"]}
    await client.send(operation, **variables)
    noted = noted_statements(client.sessions)
    await client.send(operation, **variables)
    sent = [statement for statement in noted if OWN not in statement]
    assert len(sent) == most, sent


@pytest.mark.parametrize(("operation", "reads"), [(VIEWER, 1), ("Recommendations", 1), ("Home", 2)])
async def test_a_warm_request_parses_no_statement(
    client: Client, tmp_path: Path, operation: str, reads: int
) -> None:
    asked = {"Recommendations": {"first": 20}, "Home": {"shelves": 8, "perShelf": 24}}.get(operation, {})
    await client.send(operation, **asked)
    with traced(client.sessions, tmp_path) as sent:
        await client.send(operation, **asked)
    assert sent == ["Bind", "Describe", "Execute", "Sync"] * reads
