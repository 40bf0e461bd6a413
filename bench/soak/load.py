"""The load of the soak test: operations of signed-in members over HTTP, at random times."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

MEMBERS = 20
PASSWORD = "a long walk home"  # noqa: S105 - of members of a temporary database
GIVE_UP_SECONDS = 60.0
WORDS = ("night", "the last", "love", "star", "king", "dark", "return", "house", "man", "alien")
MOVIES = "query Movies { movies(first: 100) { edges { node { id } } } }"
SIGN_UP = """
mutation SignUp($name: String!, $password: String!) {
  signUp(input: { username: $name, password: $password }) { ... on AuthPayload { accessToken } }
}
"""
LOG_IN = """
mutation LogIn($name: String!, $password: String!) {
  logIn(input: { username: $name, password: $password }) { ... on AuthPayload { accessToken } }
}
"""
BROWSE = """
query Browse($year: Int!) {
  movies(first: 24, filter: { yearFrom: $year }) {
    edges { node { id title year genres { name } averageRating } }
  }
}
"""
SEARCH = "query Search($words: String!) { search(query: $words, first: 10) { edges { node { id title } } } }"
RECOMMEND = """
query Recommend($diversity: Float!) {
  recommendations(first: 20, diversity: $diversity) {
    requestId edges { node { id title } matchPercent reasons { text } }
  }
}
"""
RATE = """
mutation Rate($movie: ID!, $stars: Float!) {
  rateMovie(input: { movieId: $movie, stars: $stars }) { __typename ... on Error { message } }
}
"""
FEEDBACK = """
mutation Feedback($events: [FeedbackInput!]!) {
  recordFeedback(input: { events: $events }) { __typename ... on Error { message } }
}
"""
TRAIN = "mutation Train { trainModel(input: {}) { __typename ... on Error { message } } }"
ACTIVE = "query Active { activeModel { version } }"


@dataclass(slots=True)
class Member:
    token: str
    request_id: str | None = None  # of the last list, with its movies
    shown: list[str] = field(default_factory=list)


Variables = dict[str, Any]
Make = Callable[[random.Random, Member, list[str]], Variables]


def rating(rng: random.Random, member: Member, movies: list[str]) -> Variables:  # noqa: ARG001
    return {"movie": rng.choice(movies), "stars": rng.randint(1, 10) / 2}


def feedback(rng: random.Random, member: Member, movies: list[str]) -> Variables:
    """The last list as impressions, and a click on one of its movies; before it, any movie."""
    shown = member.shown or [rng.choice(movies)]
    of_list = {"requestId": member.request_id} if member.request_id else {}
    kinds = [*((movie, "IMPRESSION") for movie in shown), (rng.choice(shown), "CLICK")]
    return {"events": [{"movieId": movie, "kind": kind, **of_list} for movie, kind in kinds]}


# The share of each operation, its document and the variables.
OPERATIONS: dict[str, tuple[float, str, Make]] = {
    "browse": (0.3, BROWSE, lambda rng, _member, _movies: {"year": rng.randint(1930, 2010)}),
    "search": (0.15, SEARCH, lambda rng, _member, _movies: {"words": rng.choice(WORDS)}),
    "recommendations": (0.25, RECOMMEND, lambda rng, _m, _movies: {"diversity": rng.choice([0.0, 0.3])}),
    "rate": (0.15, RATE, rating),
    "feedback": (0.15, FEEDBACK, feedback),
}


@dataclass(slots=True)
class Load:
    """Latencies in milliseconds by operation, from the time an operation was due, and errors by code."""

    url: str
    rate: float
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)  # operation and code
    http: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(
            timeout=GIVE_UP_SECONDS, limits=httpx.Limits(max_connections=200)
        )
    )
    members: list[Member] = field(default_factory=list)
    movies: list[str] = field(default_factory=list)

    async def prepare(self) -> None:
        """Sign up the members, and read the ids of movies. Raises RuntimeError if the service refuses."""
        for _ in range(MEMBERS):
            name = f"soak-{uuid4().hex[:12]}"
            answer = await self.ask(SIGN_UP, {"name": name, "password": PASSWORD})
            self.members.append(Member(answer["signUp"]["accessToken"]))
        answer = await self.ask(MOVIES, {})
        self.movies = [edge["node"]["id"] for edge in answer["movies"]["edges"]]

    async def ask(self, query: str, variables: Variables, token: str | None = None) -> dict[str, Any]:
        """The data of an operation that must succeed. Raises RuntimeError."""
        answer = await self.send(query, variables, token)
        if "errors" in answer:
            raise RuntimeError(str(answer["errors"]))
        found: dict[str, Any] = answer["data"]
        return found

    async def send(self, query: str, variables: Variables, token: str | None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": variables}
        return (await self.http.post(f"{self.url}/graphql", json=body, headers=headers)).json()

    async def run(self, seconds: float) -> None:
        """Send operations at the times of a Poisson process, whether or not earlier ones are answered."""
        rng = random.Random(1)  # noqa: S311 - the same operations in each run
        names, shares = list(OPERATIONS), [share for share, _, _ in OPERATIONS.values()]
        due = time.monotonic()
        until = due + seconds
        async with asyncio.TaskGroup() as tasks:
            while (due := due + rng.expovariate(self.rate)) < until:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                (name,) = rng.choices(names, shares)
                member = rng.choice(self.members)
                variables = OPERATIONS[name][2](rng, member, self.movies)
                tasks.create_task(self.one(name, member, variables, due))

    async def one(self, name: str, member: Member, variables: Variables, due: float) -> None:
        try:
            answer = await self.send(OPERATIONS[name][1], variables, member.token)
        except (httpx.HTTPError, ValueError) as error:  # no response, or one that is not JSON
            self.errors[name, type(error).__name__] += 1
            return
        if (code := error_of(answer)) is not None:
            self.errors[name, code] += 1
            return
        self.latencies[name].append(1_000 * (time.monotonic() - due))
        if name == "recommendations":
            found = answer["data"]["recommendations"]
            member.request_id = found["requestId"]
            member.shown = [edge["node"]["id"] for edge in found["edges"]]


def error_of(answer: dict[str, Any]) -> str | None:
    """The code of an error, or the type of a refused mutation."""
    if errors := answer.get("errors"):
        return str(errors[0].get("extensions", {}).get("code", "without a code"))
    types = (value.get("__typename") for value in answer["data"].values() if isinstance(value, dict))
    return next((name for name in types if name is not None and not name.endswith("Payload")), None)
