"""Measure a page of 20 movies: compiled, by graphql-core, and by plain Strawberry with caches.

    python -m bench.serve.page [--rounds 300] [--json FILE]

All are ASGI applications of one process, asked in turn for the same answer. A time is the processor time of
the event loop's thread for one request, from the call of the application to the last byte.
Postgres is not asked for a page. Plain Strawberry answers from objects that are made before.
"""

import argparse
import asyncio
import gc
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import Any

import orjson
import strawberry
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from app.db import migrations
from app.db.embedded import embedded_postgres
from app.main import create_app
from app.settings import Settings
from bench.figures import Figure, write
from seeds.bundled import load_bundled

PAGE = """query Page { movies(first: 20) { totalCount edges { cursor node {
    id title releaseDate posterUrl averageRating ratingCount genres { name } } }
    pageInfo { hasNextPage endCursor } } }"""
TYPENAME = "{ __typename }"
UNLIMITED = dict.fromkeys(("requests_per_minute", "operations_per_minute", "cost_per_minute"), 10**9)
WARM = 20
TARGET = 12.0  # times as cheap as plain Strawberry with caches


@strawberry.type
class Genre:
    name: str


@strawberry.type
class Movie:
    id: strawberry.ID
    title: str
    release_date: str | None
    poster_url: str | None
    average_rating: float | None
    rating_count: int
    genres: list[Genre]


@strawberry.type
class MovieEdge:
    cursor: str
    node: Movie


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class MovieConnection:
    total_count: int
    edges: list[MovieEdge]
    page_info: PageInfo


def plain(data: dict[str, Any]) -> Any:
    """A Strawberry application that gives this answer."""
    movies = data["movies"]
    edges = []
    for edge in movies["edges"]:
        node = edge["node"]
        movie = Movie(
            id=node["id"],
            title=node["title"],
            release_date=node["releaseDate"],
            poster_url=node["posterUrl"],
            average_rating=node["averageRating"],
            rating_count=node["ratingCount"],
            genres=[Genre(name=genre["name"]) for genre in node["genres"]],
        )
        edges.append(MovieEdge(cursor=edge["cursor"], node=movie))
    info = PageInfo(
        has_next_page=movies["pageInfo"]["hasNextPage"], end_cursor=movies["pageInfo"]["endCursor"]
    )
    connection = MovieConnection(total_count=movies["totalCount"], edges=edges, page_info=info)

    @strawberry.type
    class Query:
        @strawberry.field
        async def movies(self, first: int) -> MovieConnection:  # noqa: ARG002 - the argument of the query
            return connection

    return GraphQL(strawberry.Schema(Query, extensions=[ParserCache, ValidationCache]))


async def ask(app: Any, query: str, state: dict[str, Any]) -> tuple[int, bytes]:
    """The thread's nanoseconds for one request, and the body of the response."""
    body = orjson.dumps({"query": query})
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("127.0.0.1", 4000),
        "server": ("127.0.0.1", 8000),
        "state": dict(state),
    }
    parts: list[bytes] = []
    left = asyncio.get_running_loop().create_future()

    async def receive() -> Any:
        if not sent:
            sent.append(True)
            return {"type": "http.request", "body": body, "more_body": False}
        return await left

    async def send(message: Any) -> None:
        parts.append(message.get("body", b""))

    sent: list[bool] = []
    began = thread_time_ns()
    await app(scope, receive, send)
    return thread_time_ns() - began, b"".join(parts)


async def measured(database_url: str, data_dir: Path, rounds: int) -> dict[str, list[float]]:
    """Microseconds of each round, by application and query."""
    apps: dict[str, tuple[Any, dict[str, Any]]] = {}
    async with AsyncExitStack() as stack:
        for name, compiled in (("compiled", True), ("graphql-core", False)):
            values = {
                "database_url": database_url,
                "data_dir": str(data_dir),
                "compiled_operations": compiled,
            }
            settings = Settings.model_validate(
                {**values, **UNLIMITED, "production": True, "secret_key": "s" * 40}
            )
            app = create_app(settings, database_url)
            state = await stack.enter_async_context(app.router.lifespan_context(app))
            apps[name] = app, dict(state or {})
        data = await answer_of(*apps["graphql-core"])
        apps["strawberry"] = plain(data), {}
        for app, state in apps.values():
            assert await answer_of(app, state) == data, "all give the same answer"
        await asyncio.sleep(1)
        return await in_turn(apps, rounds)


async def answer_of(app: Any, state: dict[str, Any]) -> Any:
    answers = []
    for _ in range(WARM):
        answers.append(orjson.loads((await ask(app, PAGE, state))[1])["data"])
        await asyncio.sleep(0.02)
    return answers[-1]


async def in_turn(apps: dict[str, tuple[Any, dict[str, Any]]], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, (app, state) in apps.items():
            for label, query in (("page", PAGE), ("typename", TYPENAME)):
                spent, _ = await ask(app, query, state)
                found.setdefault(f"{label} {name}", []).append(spent / 1000)
    return found


def main(show: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="requests of each kind")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, embedded_postgres(Path(name)) as url:
        migrations.upgrade(url)
        load_bundled(url)
        times = asyncio.run(measured(url, Path(name), options.rounds))
    figures = [Figure(label, min(spent), "us") for label, spent in times.items()]
    for label, spent in times.items():
        show(f"{label}: least {min(spent):.0f} us, median {median(spent):.0f} us")
    for name in ("graphql-core", "strawberry"):
        ratio = min(times[f"page {name}"]) / min(times["page compiled"])
        target = TARGET if name == "strawberry" else None
        figures.append(Figure(f"page compiled is cheaper than {name}", ratio, "times", target))
        show(f"a page compiled is {ratio:.1f} times as cheap as by {name}")
    if options.json:
        write(options.json, "the bundled catalog", figures)


if __name__ == "__main__":
    main()
