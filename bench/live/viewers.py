"""Members of the stream who look at their lists, and click on, watch and rate the movies to their taste.

The taste of a member is the one by which `seeds/simulator.py` draws their ratings. So a model that ranks
better gets more clicks, and an experiment between two models has a true answer.
"""

import threading
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import psycopg
from numpy.typing import NDArray

from app.accounts import access_tokens
from app.settings import Settings
from bench.live.observe import BEGIN_SESSION
from bench.live.stream import TOPIC
from seeds import simulator
from seeds.bundled import read_catalogue

SHOWN = 12  # movies of a list
LOOKS = 0.85  # chance that a viewer looks at the next movie, after each one
LIKED, STEEPNESS = 1.5, 3.0  # affinity at which half of the viewers who look click
WATCHES = 0.5  # chance of a watch event after a click
WATCHED, MORE, SPREAD = (
    0.4,
    0.2,
    0.2,
)  # fraction watched: mean at affinity 0, its rise with 1, standard deviation
RATES = 0.4  # chance of a rating after a watch event
FAILURE_SECONDS = 1.0  # rest after a failure
MEMBERS = "SELECT external_id::integer, user_id FROM external_members WHERE source = %s"
LIST = """
query Visit($first: Int!) {
  recommendations(first: $first) { requestId arm edges { node { id title year } } }
}
"""
HOME = """
query Visit($first: Int!) {
  home(shelves: 2, perShelf: $first) {
    requestId arm shelves { movies(first: $first) { edges { node { id title year } } } }
  }
}
"""
FEEDBACK = """
mutation Seen($events: [FeedbackInput!]!) { recordFeedback(input: { events: $events }) { __typename } }
"""
RATE = """
mutation Rate($movie: ID!, $stars: Float!) {
  rateMovie(input: { movieId: $movie, stars: $stars }) { __typename }
}
"""

Event = dict[str, Any]


def affinities(members: int) -> tuple[NDArray[np.float64], dict[tuple[str, int | None], int]]:
    """The taste of each member for each movie, N(0, 1), and the columns by title and year."""
    catalog = read_catalogue()
    movies = [entry.movie for entry in catalog]
    rng = np.random.default_rng(simulator.SEED)
    item_factors = simulator.movie_factors(movies, rng)
    renown = np.array([entry.renown for entry in catalog])
    found = simulator.member_factors(members, item_factors, renown, rng) @ item_factors.T
    columns = {(movie.title, movie.year): place for place, movie in enumerate(movies)}
    return (found - found.mean()) / found.std(), columns


@dataclass(slots=True)
class Viewers:
    """Lets `members` visit the service, `rate` times a second in a thread. `visits`, `failed`: so far."""

    url: str
    database_url: str
    settings: Settings
    members: int
    rate: float
    visits: int = 0
    failed: int = 0
    sessions: dict[int, tuple[int, UUID]] = field(default_factory=dict)  # by the member's external id
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(2))
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self.run, name="viewers", daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.stopping.set()
        if self.thread is not None:
            self.thread.join()

    def run(self) -> None:
        """Visit until `close`. A failure is counted, and the next visit comes after a rest."""
        taste, columns = affinities(self.members)
        with httpx.Client(timeout=10) as http:
            while not self.stopping.wait(1 / self.rate):
                try:
                    member = self.next_member()
                    if member is not None:
                        self.visit(http, member, taste[member - 1], columns)
                        self.visits += 1
                except (psycopg.Error, httpx.HTTPError, KeyError, TypeError):
                    self.failed += 1
                    self.stopping.wait(FAILURE_SECONDS)

    def next_member(self) -> int | None:
        """A member who has an event already, at random; None before the first event."""
        if len(self.sessions) < self.members and self.visits % self.members == 0:
            with psycopg.connect(self.database_url) as connection:
                for member, user_id in connection.execute(MEMBERS, (TOPIC,)).fetchall():
                    if member not in self.sessions:
                        session_id = uuid4()
                        connection.execute(BEGIN_SESSION, (session_id, user_id))
                        self.sessions[member] = (user_id, session_id)
        return int(self.rng.choice(list(self.sessions))) if self.sessions else None

    def visit(
        self,
        http: httpx.Client,
        member: int,
        taste: NDArray[np.float64],
        columns: dict[tuple[str, int | None], int],
        *,
        home: bool = False,
    ) -> str | None:
        """Ask for the member's list or home page, report what they look at, click on and watch, and rate it.

        Returns the arms of the list.
        """
        token, _ = access_tokens.issue(self.settings, *self.sessions[member])
        headers = {"Authorization": f"Bearer {token}"}

        def ask(query: str, **variables: Any) -> Any:
            body = {"query": query, "variables": variables}
            return http.post(f"{self.url}/graphql", json=body, headers=headers).json()["data"]

        found = ask(HOME, first=SHOWN // 2)["home"] if home else ask(LIST, first=SHOWN)["recommendations"]
        rows = [shelf["movies"] for shelf in found["shelves"]] if home else [found]
        movies = [edge["node"] for row in rows for edge in row["edges"]]
        liking = np.array([taste[columns.get((each["title"], each["year"]), 0)] for each in movies])
        events = reactions(liking, self.rng)
        if events:
            ask(
                FEEDBACK,
                events=[
                    event | {"movieId": movies[place]["id"], "requestId": found["requestId"]}
                    for place, event in events
                ],
            )
        for place, event in events:
            if event["kind"] == "WATCH" and self.rng.random() < RATES:
                ask(RATE, movie=movies[place]["id"], stars=stars(liking[place], self.rng))
        arm: str | None = found["arm"]
        return arm


def reactions(liking: NDArray[np.float64], rng: np.random.Generator) -> list[tuple[int, Event]]:
    """The reactions of a viewer of a list, with the movies' places. `liking`: by place, float64 (n,)."""
    events: list[tuple[int, Event]] = []
    for place, chance in enumerate(1 / (1 + np.exp(-STEEPNESS * (liking - LIKED)))):
        if place and rng.random() >= LOOKS:
            break
        events.append((place, {"kind": "IMPRESSION"}))
        if rng.random() < chance:
            events.append((place, {"kind": "CLICK"}))
            if rng.random() < WATCHES:
                fraction = rng.normal(WATCHED + MORE * liking[place], SPREAD)
                events.append(
                    (place, {"kind": "WATCH", "watchedFraction": float(np.clip(fraction, 0.01, 1))})
                )
    return events


def stars(liking: float, rng: np.random.Generator) -> float:
    """Draw a rating in steps of half a star, as the simulator does for a member and a movie without bias."""
    drawn = simulator.MEAN_STARS + simulator.TASTE_IN_STARS * liking + rng.normal(0, simulator.NOISE)
    return float(np.clip(np.rint(2 * drawn) / 2, 0.5, 5))
