"""Fixtures of monitoring: a service whose metrics are read as Prometheus reads them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.services import Service, StartServer

LIST = "query List { recommendations(first: 12) { requestId edges { node { id } } } }"
RANKED = """query Ranked { recommendations(first: 12, diversity: 0.5) {
  requestId edges { matchPercent reasons { text } node { id } } } }"""
RATE = """mutation Rate($id: ID!, $stars: Float!) {
  rateMovie(input: { movieId: $id, stars: $stars }) { __typename } }"""
FEEDBACK = """mutation Feedback($events: [FeedbackInput!]!) {
  recordFeedback(input: { events: $events }) { __typename } }"""
SIGN_UP = """mutation SignUp($username: String!, $password: String!) {
  signUp(input: { username: $username, password: $password }) { ... on AuthPayload { accessToken } } }"""

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(slots=True)
class Client:
    """A client of a service, and a scraper of its metrics."""

    url: str
    metrics: str
    http: httpx.Client
    token: str | None = None

    def ask(self, query: str, headers: dict[str, str] | None = None, **variables: Any) -> Any:
        headers = dict(headers or {})
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        body = {"query": query, "variables": variables}
        return self.http.post(f"{self.url}/graphql", json=body, headers=headers).json()

    def sign_up(self) -> None:
        name = f"m{uuid4().hex[:12]}"
        answer = self.ask(SIGN_UP, username=name, password="a long walk home")
        self.token = answer["data"]["signUp"]["accessToken"]

    def show(self, *, click: bool, query: str = RANKED) -> list[str]:
        """Show a list, report it as shown, and click its first movie. Returns the movies."""
        answer = self.ask(query)["data"]["recommendations"]
        ids = [edge["node"]["id"] for edge in answer["edges"]]
        of_list = {"requestId": answer["requestId"]}
        events = [{"movieId": id_, "kind": "IMPRESSION", **of_list} for id_ in ids]
        if click:
            events.append({"movieId": ids[0], "kind": "CLICK", **of_list})
            events.append({"movieId": ids[0], "kind": "WATCH", "watchedFraction": 0.95, **of_list})
        stored = self.ask(FEEDBACK, events=events)
        assert stored["data"]["recordFeedback"]["__typename"] == "RecordFeedbackPayload", stored
        return ids

    def scrape(self) -> Samples:
        answer = self.http.get(self.metrics)
        assert answer.status_code == 200
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.scrape().get((name, tuple(sorted(labels.items()))))


def metrics_of(service: Service) -> str:
    """The address of the metrics, as the service prints it."""
    found = re.search(r"http://\S+/metrics", service.log.read_text())
    assert found is not None, service.log.read_text()
    return found[0]


StartClient = Callable[..., Client]


@pytest.fixture
def start_client(start_server: StartServer) -> StartClient:
    def start(database_url: str, **settings: str) -> Client:
        service = start_server(database_url, **{"METRICS_PORT": "0", **settings})
        return Client(service.url, metrics_of(service), httpx.Client(timeout=30))

    return start


@pytest.fixture
def client(seeded_database_url: str, start_client: StartClient) -> Client:
    return start_client(seeded_database_url)
