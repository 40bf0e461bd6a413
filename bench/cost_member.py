"""Who asks in `bench.cost`: a member with a history, friends, and an administrator; and how they ask."""

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

from bench.start_service import PROGRAM, Service

PASSWORD = "a long walk home"  # noqa: S105 - of accounts that the bench makes and removes
RATINGS, EVENTS, BATCH = 300, 4_000, 500
MOVIES = 800  # of the bundled catalogue, by their ids
TRAINING_SECONDS = 600
KEPT_SECONDS = 1.0  # the service closes connections that are idle for some seconds
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
    """One connection."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        self.used = 0.0

    def ask(self, query: str, variables: dict[str, Any], member: Member | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(self._post(query, variables, member).read())
        return answer

    def first_event(self, query: str, variables: dict[str, Any], member: Member | None) -> None:
        """Of a subscription, whose member rates a movie to have something happen; then the stream is left."""
        response = self._post(query, variables, member, accept="text/event-stream")
        if "recommendationsChanged" in query:
            other = Client(f"http://{self.connection.host}:{self.connection.port}")
            other.ask(RATE, {"i": {"movieId": global_id("Movie", 7), "stars": 4.0}}, member)
            other.connection.close()
        while not response.readline().startswith(b"data:"):
            pass
        self.connection.close()

    def _post(
        self, query: str, variables: dict[str, Any], member: Member | None, accept: str = "application/json"
    ) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json", "Accept": accept}
        if member is not None:
            headers["Authorization"] = f"Bearer {member.token}"
        body = orjson.dumps({"query": query, "variables": variables})
        if time.monotonic() - self.used > KEPT_SECONDS:
            self.connection.close()  # it opens again
        self.connection.request("POST", "/graphql", body, headers)
        response = self.connection.getresponse()
        self.used = time.monotonic()
        return response


@dataclass
class Rig:
    """The service with those who ask it."""

    service: Service
    name: str = field(default_factory=lambda: os.urandom(3).hex())
    made: int = 0

    @cached_property
    def client(self) -> Client:
        return Client(self.service.url)

    def sign_up(self) -> Member:
        self.made += 1
        return self._enter("signUp", "SignUpInput", f"m{self.made}-{self.name}")

    def log_in(self, member: Member) -> Member:
        return self._enter("logIn", "LogInInput", member.username)

    def _enter(self, how: str, kind: str, username: str) -> Member:
        query = f"mutation($i:{kind}!){{{how}(input:$i){{{PAYLOAD}}}}}"
        answer = self.client.ask(query, {"i": {"username": username, "password": PASSWORD}})
        entered = answer["data"][how]
        return Member(username, entered["accessToken"], entered["refreshToken"])

    @cached_property
    def member(self) -> Member:
        """With RATINGS ratings, EVENTS events and favorite genres."""
        return self._with_history(RATINGS, EVENTS)

    @cached_property
    def friends(self) -> list[str]:
        return [self._with_history(RATINGS // 2, BATCH).username for _ in range(4)]

    def _with_history(self, ratings: int, events: int) -> Member:
        member = self.sign_up()
        self._done("setDiscoverable", "SetDiscoverableInput", {"discoverable": True}, member)
        self._done("setFavoriteGenres", "SetFavoriteGenresInput", {"genreIds": self.genre_ids[:5]}, member)
        file = history_file(self.titles, ratings)
        self._done("importRatings", "ImportRatingsInput", {"csv": file, "source": "LETTERBOXD"}, member)
        for start in range(0, events, BATCH):
            batch = [event(number) for number in range(start, start + BATCH)]
            self._done("recordFeedback", "RecordFeedbackInput", {"events": batch}, member)
        return member

    def _done(self, name: str, kind: str, given: dict[str, Any], member: Member) -> None:
        answer = self.client.ask(
            f"mutation($i:{kind}!){{{name}(input:$i){{__typename}}}}", {"i": given}, member
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
    def titles(self) -> list[tuple[str, int]]:
        found = []
        for start in range(1, MOVIES, 100):
            ids = [global_id("Movie", key) for key in range(start, min(start + 100, MOVIES))]
            answer = self.client.ask("query($i:[ID!]!){nodes(ids:$i){... on Movie{title year}}}", {"i": ids})
            found += [(node["title"], node["year"]) for node in answer["data"]["nodes"] if node]
        return [(title, year) for title, year in found if year]

    @cached_property
    def genre_ids(self) -> list[str]:
        return [genre["id"] for genre in self.client.ask("{genres{id}}", {})["data"]["genres"]]

    def trained_job(self) -> str:
        return self._trained

    @cached_property
    def _trained(self) -> str:
        """The id of a training that has succeeded."""
        query = "mutation{trainModel(input:{}){... on TrainModelPayload{job{id}}}}"
        job: str = self.client.ask(query, {}, self.admin)["data"]["trainModel"]["job"]["id"]
        query = "query($id:ID!){node(id:$id){... on TrainingJob{status}}}"
        deadline = time.monotonic() + TRAINING_SECONDS
        while time.monotonic() < deadline:
            status = self.client.ask(query, {"id": job}, self.admin)["data"]["node"]["status"]
            if status == "SUCCEEDED":
                return job
            assert status != "FAILED"
            time.sleep(1)
        raise TimeoutError("the training does not end")
