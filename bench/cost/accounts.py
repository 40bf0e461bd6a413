"""Accounts of `bench.cost`: a member with a history, friends and an administrator; and their HTTP client."""

import http.client
import os
import subprocess
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import orjson

from bench.processes.start_service import PROGRAM, Service

PASSWORD = "a long walk home"  # noqa: S105 - of temporary accounts
RATINGS, EVENTS, BATCH = 300, 4_000, 500
MOVIES = 800  # ids 1 to MOVIES of the bundled catalog are used
TRAINING_SECONDS = 600
IDLE_SECONDS = 1.0  # the service closes connections that are idle for longer
LISTENING_SECONDS = 0.3  # no message says from when on a subscription notices changes
RATE = "mutation($i:RateMovieInput!){rateMovie(input:$i){__typename}}"
PAYLOAD = "... on AuthPayload{accessToken refreshToken}"


@dataclass(frozen=True, slots=True)
class Member:
    username: str
    token: str
    refresh_token: str


def global_id(type_name: str, key: int) -> str:
    return b64encode(f"{type_name}:{key}".encode()).decode()


def event(number: int) -> dict[str, Any]:
    kinds = ("IMPRESSION", "CLICK", "WATCHLIST", "LIKE", "IMPRESSION", "WATCH")
    kind = kinds[number % len(kinds)]
    watched = {"watchedFraction": 0.95} if kind == "WATCH" else {}
    return {"movieId": global_id("Movie", 1 + number * 7 % MOVIES), "kind": kind, **watched}


def history_file(titles: Sequence[tuple[str, int]], rows: int) -> str:
    lines = ["Date,Name,Year,Letterboxd URI,Rating"]
    for number in range(rows):
        title, year = titles[number % len(titles)]
        lines.append(f'2024-01-01,"{title}",{year},https://boxd.it/{number},{1 + number % 9 / 2}')
    return "\n".join(lines) + "\n"


class Client:
    """An HTTP client with one kept-alive connection."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        self.last_used = 0.0

    def post(self, query: str, variables: dict[str, Any], member: Member | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(self._send(query, variables, member).read())
        return answer

    def first_event(self, query: str, variables: dict[str, Any], member: Member | None) -> None:
        """Read the first event of a subscription, then close the stream.

        The member rates a movie where that is the event.
        """
        response = self._send(query, variables, member, accept="text/event-stream")
        if "recommendationsChanged" in query:
            time.sleep(LISTENING_SECONDS)
            other = Client(f"http://{self.connection.host}:{self.connection.port}")
            other.post(RATE, {"i": {"movieId": global_id("Movie", 7), "stars": 4.0}}, member)
            other.connection.close()
        while not response.readline().startswith(b"data:"):
            pass
        self.connection.close()

    def _send(
        self, query: str, variables: dict[str, Any], member: Member | None, accept: str = "application/json"
    ) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json", "Accept": accept}
        if member is not None:
            headers["Authorization"] = f"Bearer {member.token}"
        body = orjson.dumps({"query": query, "variables": variables})
        if time.monotonic() - self.last_used > IDLE_SECONDS:
            self.connection.close()  # `request` reconnects
        self.connection.request("POST", "/graphql", body, headers)
        response = self.connection.getresponse()
        self.last_used = time.monotonic()
        return response


@dataclass
class Rig:
    """The service and the accounts that send requests to it."""

    service: Service
    name: str = field(default_factory=lambda: os.urandom(3).hex())
    n_members: int = 0

    @cached_property
    def client(self) -> Client:
        return Client(self.service.url)

    def sign_up(self) -> Member:
        self.n_members += 1
        return self._authenticate("signUp", "SignUpInput", f"m{self.n_members}-{self.name}")

    def log_in(self, member: Member) -> Member:
        return self._authenticate("logIn", "LogInInput", member.username)

    def _authenticate(self, mutation: str, kind: str, username: str) -> Member:
        query = f"mutation($i:{kind}!){{{mutation}(input:$i){{{PAYLOAD}}}}}"
        answer = self.client.post(query, {"i": {"username": username, "password": PASSWORD}})
        payload = answer["data"][mutation]
        return Member(username, payload["accessToken"], payload["refreshToken"])

    @cached_property
    def member(self) -> Member:
        """A member with RATINGS ratings, EVENTS events and favorite genres."""
        return self._with_history(RATINGS, EVENTS)

    @cached_property
    def friends(self) -> list[str]:
        return [self._with_history(RATINGS // 2, BATCH).username for _ in range(4)]

    def _with_history(self, ratings: int, events: int) -> Member:
        member = self.sign_up()
        self._mutate("setDiscoverable", "SetDiscoverableInput", {"discoverable": True}, member)
        self._mutate("setFavoriteGenres", "SetFavoriteGenresInput", {"genreIds": self.genre_ids[:5]}, member)
        file = history_file(self.titles, ratings)
        self._mutate("importRatings", "ImportRatingsInput", {"csv": file, "source": "LETTERBOXD"}, member)
        for start in range(0, events, BATCH):
            batch = [event(number) for number in range(start, start + BATCH)]
            self._mutate("recordFeedback", "RecordFeedbackInput", {"events": batch}, member)
        return member

    def _mutate(self, name: str, kind: str, values: dict[str, Any], member: Member) -> None:
        answer = self.client.post(
            f"mutation($i:{kind}!){{{name}(input:$i){{__typename}}}}", {"i": values}, member
        )
        assert answer["data"][name]["__typename"].endswith("Payload"), answer

    @cached_property
    def admin(self) -> Member:
        member = self.sign_up()
        environment = {**self.service.environment, "ADMIN_PASSWORD": PASSWORD}
        subprocess.run(  # noqa: S603 - our own command
            [*PROGRAM, "create-admin", member.username], env=environment, check=True, capture_output=True
        )
        return self.log_in(member)

    @cached_property
    def acting_key(self) -> Member:
        """An API key of a system whose members it acts for."""
        selection = "... on CreateApiKeyPayload{key}"
        query = f"mutation($i:CreateApiKeyInput!){{createApiKey(input:$i){{{selection}}}}}"
        given = {"name": "bench", "scopes": ["MEMBERS"], "source": "bench"}
        answer = self.client.post(query, {"i": given}, self.admin)
        return Member("bench", answer["data"]["createApiKey"]["key"], "")

    @cached_property
    def titles(self) -> list[tuple[str, int]]:
        found = []
        for start in range(1, MOVIES, 100):
            ids = [global_id("Movie", key) for key in range(start, min(start + 100, MOVIES))]
            answer = self.client.post("query($i:[ID!]!){nodes(ids:$i){... on Movie{title year}}}", {"i": ids})
            found += [(node["title"], node["year"]) for node in answer["data"]["nodes"] if node]
        return [(title, year) for title, year in found if year]

    @cached_property
    def genre_ids(self) -> list[str]:
        return [genre["id"] for genre in self.client.post("{genres{id}}", {})["data"]["genres"]]

    @cached_property
    def trained_job(self) -> str:
        """The id of a training job that has succeeded. Raises TimeoutError after TRAINING_SECONDS."""
        query = "mutation{trainModel(input:{}){... on TrainModelPayload{job{id}}}}"
        job: str = self.client.post(query, {}, self.admin)["data"]["trainModel"]["job"]["id"]
        query = "query($id:ID!){node(id:$id){... on TrainingJob{status}}}"
        deadline = time.monotonic() + TRAINING_SECONDS
        while time.monotonic() < deadline:
            status = self.client.post(query, {"id": job}, self.admin)["data"]["node"]["status"]
            if status == "SUCCEEDED":
                return job
            assert status != "FAILED"
            time.sleep(1)
        raise TimeoutError("the training did not end in time")
