"""Served lists are recorded, and are reproduced after ratings, online updates, edits and trainings."""

import json
import random
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb
from typer.testing import CliRunner, Result

from app.cli.commands import app
from app.provenance.replay import Replayer, recorded
from app.training import train
from tests.schema.conftest import Ask, Member, asking, code, promoted, sign_up
from tests.services import StartServer, running

MEMBERS = 4
Shown = list[tuple[str, list[int]]]  # request id and movies of each page that clients received


def local(id_: str) -> int:
    return int(b64decode(id_).decode().partition(":")[2])


def movies_in(connection: dict[str, Any]) -> list[int]:
    return [local(edge["node"]["id"]) for edge in connection["edges"]]


@pytest.fixture
def ask(
    start_server: StartServer, seeded_database_url: str, http: httpx.Client, operations: dict[str, str]
) -> Ask:
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("DELETE FROM users WHERE id % 16 <> 0")  # keeps the training short
    service = start_server(seeded_database_url, LEARNING_SECONDS="0.5", POLL_SECONDS="0.1")
    return asking(service.url, http, operations)


@pytest.fixture
def database(seeded_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(seeded_database_url, autocommit=True) as connection:
        yield connection


def browse(ask: Ask, member: Member, members: list[Member], movies: list[str], rng: random.Random) -> Shown:
    """Ask for one list of each kind, with two pages of some."""
    shown: Shown = []
    wishes: list[dict[str, Any]] = [
        {},
        {"diversity": rng.random()},
        {"filter": {"genres": [rng.choice(["Drama", "Comedy", "Action"])], "minRating": 3.2}},
        {"exclude": rng.sample(movies, 5), "diversity": 0.5},
    ]
    for wish in wishes:
        page = ask("Recommendations", member.token, first=10, **wish)["data"]["recommendations"]
        shown.append((page["requestId"], movies_in(page)))
        if rng.random() < 0.5:
            rate(ask, member, rng.choice(page["edges"])["node"]["id"], rng)
            after = page["pageInfo"]["endCursor"]
            page = ask("Recommendations", member.token, first=7, after=after, **wish)["data"][
                "recommendations"
            ]
            shown.append((page["requestId"], movies_in(page)))
    for given in ({}, {"genres": rng.sample([genre["id"] for genre in ask("Genres")["data"]["genres"]], 2)}):
        asked = ask("Onboarding", member.token, first=5, **given)["data"]["onboarding"]
        rate(ask, member, asked["edges"][0]["node"]["id"], rng)
        after = asked["pageInfo"]["endCursor"]
        more = ask("Onboarding", member.token, first=4, after=after, **given)["data"]["onboarding"]
        shown += [(page["requestId"], movies_in(page)) for page in (asked, more)]
    likes = rng.sample(movies, 4)
    visitor = ask("Recommendations", first=8, likes=likes)["data"]["recommendations"]
    shown.append((visitor["requestId"], movies_in(visitor)))
    home = ask("Home", member.token, shelves=4, perShelf=6)["data"]["home"]
    shown += [(home["requestId"], movies_in(shelf["movies"])) for shelf in home["shelves"]]
    names = [each.username for each in rng.sample(members, 2)]
    group = ask(GROUP, member.token, usernames=names)["data"]["groupRecommendations"]
    shown.append((group["requestId"], movies_in(group)))
    return shown


GROUP = """
query ($usernames: [String!]!) {
  groupRecommendations(usernames: $usernames, first: 6) { requestId edges { node { id } } }
}
"""


def rate(ask: Ask, member: Member, movie: str, rng: random.Random) -> None:
    body = ask("RateMovie", member.token, movie=movie, stars=rng.randint(1, 10) / 2)
    assert body["data"]["rateMovie"]["rating"]


def wait_until_recorded(database: psycopg.Connection, count: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        row = database.execute("SELECT count(*) FROM served_lists").fetchone()
        if row == (count,):
            return
        assert time.monotonic() < deadline, (row, count)
        time.sleep(0.1)


def serve(
    ask: Ask, database: psycopg.Connection, url: str, model_dir: Path, rng: random.Random
) -> tuple[Shown, list[Member]]:
    """Serve lists of all kinds to members who rate meanwhile, with new movies and a training in between."""
    members = [sign_up(ask) for _ in range(MEMBERS)]
    database.execute("UPDATE users SET discoverable = true")
    order = {"field": "POPULARITY", "direction": "DESC"}
    found = ask("Movies", first=60, filter={}, orderBy=order)["data"]["movies"]["edges"]
    movies = [edge["node"]["id"] for edge in found]
    for member in members:
        for movie in rng.sample(movies, 12):
            rate(ask, member, movie, rng)
        impressions = [{"movieId": movie, "kind": "IMPRESSION"} for movie in rng.sample(movies, 10)]
        assert "errors" not in ask("RecordFeedback", member.token, events=impressions)
    shown: Shown = []
    for happens in (add_movies, train_again):
        for member in members:
            shown += browse(ask, member, members, movies, rng)
        happens(ask, members, url, model_dir, rng)
        time.sleep(1.5)
    for member in members:
        shown += browse(ask, member, members, movies, rng)
        rate(ask, member, rng.choice(movies), rng)
    return shown, members


def add_movies(ask: Ask, members: list[Member], url: str, _: Path, rng: random.Random) -> None:
    """Add movies that all members rate at once, so that their factors are updated."""
    curator = promoted(members[0], url, "CURATOR")
    for title in ("A Quiet Harbor", "The Long Afternoon"):
        given = {"title": title, "year": 2020, "genres": ["Drama"]}
        added = ask("AddMovie", curator.token, input=given)["data"]["addMovie"]["movie"]
        for member in members:
            rate(ask, member, added["id"], rng)


def train_again(_ask: Ask, _members: list[Member], url: str, model_dir: Path, _rng: random.Random) -> None:
    train.train(url, model_dir, lambda _stage, _fraction: None, kept_models=3)


@pytest.mark.timeout(300)  # it trains a model
def test_lists_are_reproduced_after_ratings_edits_and_a_training(
    ask: Ask, database: psycopg.Connection, seeded_database_url: str, model_dir: Path
) -> None:
    rng = random.Random(7)  # noqa: S311 - not a secret
    shown, _ = serve(ask, database, seeded_database_url, model_dir, rng)
    assert len(shown) >= 150
    wait_until_recorded(database, len(shown))
    versions = database.execute("SELECT DISTINCT model_version FROM served_lists").fetchall()
    assert len(versions) == 2
    kinds = {kind for (kind,) in database.execute("SELECT DISTINCT kind FROM model_states")}
    assert kinds == {"LOADED", "MOVIES", "FACTORS", "RATINGS"}

    replayer = Replayer(model_dir)
    pages_of: dict[str, list[list[int]]] = {}
    for request_id, ids in shown:
        pages_of.setdefault(request_id, []).append(ids)
    for request_id, pages in pages_of.items():
        lists = recorded(database, UUID(request_id))
        assert sorted(each.movie_ids for each in lists) == sorted(pages)  # as the clients received them
        for each in lists:
            again = replayer.replay(database, each)
            assert again.reason is None
            assert (again.movie_ids, again.ranks) == (each.movie_ids, each.ranks), each.parameters
            assert again.scores == pytest.approx(each.scores)
            assert again.same


def traced(url: str, model_dir: Path, *arguments: str) -> Result:
    environment = {
        "DATABASE_URL": url,
        "MODEL_DIR": str(model_dir),
        "SECRET_KEY": "a secret of the tests, long enough",
    }
    return CliRunner().invoke(app, ["trace", *arguments], env={**environment, "COLUMNS": "200"})


def test_operators_see_the_story_of_a_list(
    ask: Ask, database: psycopg.Connection, seeded_database_url: str, model_dir: Path
) -> None:
    member = sign_up(ask)
    body = ask("Recommendations", member.token, first=5)["data"]["recommendations"]
    request_id, titles = body["requestId"], [edge["node"]["title"] for edge in body["edges"]]
    wait_until_recorded(database, 1)
    assert code(ask("ServedList", member.token, requestId=request_id)) == "FORBIDDEN"
    operator = promoted(sign_up(ask), seeded_database_url, "ADMIN")
    assert code(ask("ServedList", operator.token, requestId="no")) == "BAD_USER_INPUT"
    assert ask("ServedList", operator.token, requestId=str(UUID(int=1)))["data"] == {"servedList": None}
    rate(ask, member, body["edges"][0]["node"]["id"], random.Random(1))  # noqa: S311 - not a secret
    streams = [{"stream": "kafka:tv@1", "partition": 2, "offset": 2**40}]  # as a training stores it
    database.execute("UPDATE training_data SET streams = %s", (Jsonb(streams),))
    served = ask("ServedList", operator.token, requestId=request_id)["data"]["servedList"]
    assert served["username"] == member.username
    (page,) = served["pages"]
    assert [movie["movie"]["title"] for movie in page["movies"]] == titles
    assert page["parameters"] == {"first": 5}
    (model,) = served["models"]
    assert model["version"] == page["modelVersion"] == body["modelVersion"]
    assert model["trainingData"]["streams"] == [streams[0] | {"offset": str(2**40)}]
    (replay,) = served["replays"]
    assert (replay["outcome"], replay["reason"]) == ("REPRODUCED", None)
    assert [movie["rank"] for movie in replay["movies"]] == [1, 2, 3, 4, 5]

    shown = traced(seeded_database_url, model_dir, request_id)
    assert shown.exit_code == 0, shown.output
    assert "reproduced: the same movies in the same order" in shown.output
    assert f"kafka:tv@1, partition 2, offset {2**40}" in shown.output
    for part in (member.username, model["datasetVersion"], model["codeVersion"], *titles):
        assert part in shown.output
    (story,) = json.loads(traced(seeded_database_url, model_dir, request_id, "--json").output)
    assert [movie["title"] for movie in story["movies"]] == titles
    assert story["reproduced"]
    (story,) = json.loads(
        traced(seeded_database_url, model_dir, request_id, "--json", "--candidates", "30").output
    )
    candidates = story["candidates"]
    assert [each["rank"] for each in candidates] == [*range(1, 31)]
    assert [each["title"] for each in candidates if each["shown"]] == titles
    scores = [movie["score"] for movie in story["movies"]]
    assert [each["score"] for each in candidates[:5]] == pytest.approx(scores)  # stored with four bytes

    database.execute("UPDATE served_lists SET movie_ids = movie_ids[5:5] || movie_ids[1:4]")
    different = traced(seeded_database_url, model_dir, request_id)
    assert different.exit_code == 1
    assert "the list is different" in different.output
    database.execute("UPDATE model_versions SET status = 'REMOVED'")
    gone = traced(seeded_database_url, model_dir, request_id)
    assert gone.exit_code == 1
    assert "KEPT_MODELS" in gone.output
    assert "SERVED_LIST_DAYS" in traced(seeded_database_url, model_dir, str(UUID(int=1))).output
    assert traced(seeded_database_url, model_dir, "no").exit_code == 2


def test_lists_are_written_when_the_service_stops(
    seeded_database_url: str,
    model_dir: Path,
    run_folder: Path,
    http: httpx.Client,
    operations: dict[str, str],
) -> None:
    with running(seeded_database_url, model_dir, run_folder) as service:
        ask = asking(service.url, http, operations)
        for _ in range(5):
            assert ask("Recommendations", first=3)["data"]["recommendations"]["edges"]
    with psycopg.connect(seeded_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM served_lists").fetchone() == (5,)
