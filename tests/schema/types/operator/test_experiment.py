"""An experiment from start to report: lists with arms, exposures, outcomes, and the refusals."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner

from app.cli.commands import app
from app.db.notifications import Changes
from app.experiments.running import Running
from app.serving import live
from app.training import registry, train
from tests.schema.types.operator.experiment_service import ARMS, Service

pytestmark = pytest.mark.anyio

LIST = """
query ($first: Int!, $after: String, $diversity: Float) {
  recommendations(first: $first, after: $after, diversity: $diversity) {
    requestId arm modelVersion pageInfo { endCursor } edges { rank node { id } }
  }
}
"""
FEEDBACK = """
mutation ($events: [FeedbackInput!]!) {
  recordFeedback(input: { events: $events }) { ... on RecordFeedbackPayload { accepted ignoredRequestIds } }
}
"""
RATE = """
mutation ($movie: ID!) {
  rateMovie(input: { movieId: $movie, stars: 4.5 }) { ... on RateMoviePayload { rating { stars } } }
}
"""
EXPERIMENTS = "query ($first: Int!, $after: String) { experiments(first: $first, after: $after) { %s } }"
PAGE = "edges { cursor node { name status sampleRatio { pValue mismatch } } } pageInfo { hasNextPage }"
MEMBERS = 24


def events(page: Any, *kinds: str) -> list[dict[str, Any]]:
    """Events on a page: IMPRESSION of all its movies, others of the first one."""
    return [
        {"movieId": edge["node"]["id"], "kind": kind, "requestId": page["requestId"], "watchedFraction": seen}
        for kind in kinds
        for edge in page["edges"][: None if kind == "IMPRESSION" else 1]
        for seen in [0.8 if kind == "WATCH" else None]
    ]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(condition)


async def test_first_pages_without_an_arm_are_queued_for_shadow_mode(service: Service) -> None:
    await service.sign_up("bo")
    await service.send(LIST, "bo", first=5)
    assert not service.shadow.queue  # no model runs
    service.shadow.run = (1, "another")
    await service.send(LIST, "bo", first=5)
    await service.send(LIST, None, first=5)
    assert [each.signed_in for each in service.shadow.queue] == [True, False]
    await service.start()
    assert (await service.send(LIST, "bo", first=5))["arm"] is not None
    assert len(service.shadow.queue) == 2


async def test_from_start_to_report(service: Service, seeded_database_url: str) -> None:
    started = await service.start()
    assert started["__typename"] == "StartExperimentPayload"
    assert started["experiment"]["status"] == "RUNNING"
    assert [arm["users"] for arm in started["experiment"]["arms"]] == [0, 0]
    arms: dict[str, list[str]] = {"variety/plain": [], "variety/varied": []}
    for number in range(MEMBERS):
        name = f"member-{number}"
        await service.sign_up(name)
        page = await service.send(LIST, name, first=5)
        arms[page["arm"]].append(name)
        again = await service.send(LIST, name, first=5)
        assert again["arm"] == page["arm"]
        varied = page["arm"] == "variety/varied"
        kinds = ("IMPRESSION", "CLICK", "WATCH") if varied else ("IMPRESSION", "CLICK")[: 1 + number % 2]
        accepted = await service.send(FEEDBACK, name, events=events(page, *kinds))
        assert accepted["ignoredRequestIds"] == 0
        if number < 2:
            await service.send(RATE, name, movie=page["edges"][0]["node"]["id"])
    service.recorder.write(seeded_database_url)
    plain, varied_arm = len(arms["variety/plain"]), len(arms["variety/varied"])
    assert min(plain, varied_arm) > 3

    report = await service.send("ExperimentReport", "ada", name="variety")
    shown = {arm["name"]: arm for arm in report["arms"]}
    assert [arm["users"] for arm in report["arms"]] == [plain, varied_arm]  # without `again`, not shown
    assert shown["varied"]["impressions"] == 5 * varied_arm
    assert shown["varied"]["clickRate"] == shown["varied"]["watchRate"] == 1
    clicked = sum(int(name.rpartition("-")[2]) % 2 for name in arms["variety/plain"]) / plain
    assert shown["plain"]["clickRate"] == pytest.approx(clicked)
    assert shown["plain"]["watchRate"] == 0
    assert {arm["meanRating"] and arm["meanRating"]["value"] for arm in report["arms"]} <= {None, 4.5}
    clicks = next(each for each in report["comparisons"] if each["metric"] == "CLICK_RATE")
    assert clicks["test"] == "WELCH_T"
    assert clicks["lift"] == pytest.approx(1 / clicked - 1)
    assert clicks["low"] < clicks["lift"] < clicks["high"]
    assert 0 < clicks["pValue"] < 0.05

    stopped = (await service.send("StopExperiment", "ada", name="variety"))["experiment"]
    assert stopped["status"] == "STOPPED"
    assert [arm["users"] for arm in stopped["arms"]] == [plain, varied_arm]
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("TRUNCATE served_lists")  # as after SERVED_LIST_DAYS
    assert await service.send("ExperimentReport", "ada", name="variety") == stopped
    await service.running.read(service.sessions)
    assert (await service.send(LIST, "member-0", first=5))["arm"] is None


async def test_pages_trace_and_replay_know_the_arm(
    service: Service, seeded_database_url: str, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.start(arms=[{"name": "bold", "share": 1, "diversity": 0.4, "exploration": 0.5}])
    first = await service.send(LIST, "ada", first=10)
    service.running.experiments = ()  # a process that does not know of it, or that it is stopped
    after = first["pageInfo"]["endCursor"]
    second = await service.send(LIST, "ada", first=10, after=after)
    assert (first["arm"], second["arm"]) == ("variety/bold", "variety/bold")
    movies = [edge["node"]["id"] for page in (first, second) for edge in page["edges"]]
    assert len(set(movies)) == 20
    service.recorder.write(seeded_database_url)
    with psycopg.connect(seeded_database_url) as connection:
        found = connection.execute("SELECT arm, propensities FROM served_lists").fetchall()
    assert [(arm, len(propensities)) for arm, propensities in found] == [("variety/bold", 10)] * 2
    assert all(0 < each <= 1 for _, propensities in found for each in propensities)
    monkeypatch.setenv("DATABASE_URL", seeded_database_url)
    monkeypatch.setenv("SECRET_KEY", "a secret of the tests, long enough")
    monkeypatch.setenv("MODEL_DIR", str(model_dir))
    traced = CliRunner().invoke(app, ["trace", str(UUID(first["requestId"]))])
    assert traced.exit_code == 0, traced.output
    assert traced.stdout.count("arm        variety/bold") == 2
    assert traced.stdout.count("reproduced: the same movies in the same order") == 2


async def test_who_has_no_arm(service: Service) -> None:
    await service.sign_up("bob")
    await service.start(arms=[{"name": "all", "share": 1, "diversity": 0.4}], minRatings=1, roles=["USER"])
    page = await service.send(LIST, "bob", first=5)
    assert page["arm"] is None
    await service.send(RATE, "bob", movie=page["edges"][0]["node"]["id"])
    assert (await service.send(LIST, "bob", first=5))["arm"] == "variety/all"
    assert (await service.send(LIST, "bob", first=5, diversity=0.0))["arm"] is None
    assert (await service.send(LIST, None, first=5))["arm"] is None
    assert (await service.send(LIST, "ada", first=5))["arm"] is None


async def test_the_model_of_an_arm(service: Service, seeded_database_url: str, model_dir: Path) -> None:
    version = service.served.model.version
    trained = train.train(seeded_database_url, model_dir, lambda *_: None, kept_models=3, kind="popularity")
    await registry.activate(service.sessions, model_dir, version)
    await service.start(arms=[{"name": "this", "share": 1, "modelVersion": version}])
    page = await service.send(LIST, "ada", first=5)
    assert (page["arm"], page["modelVersion"]) == ("variety/this", version)
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("UPDATE experiment_arms SET model_version = %s", (trained,))
    wanted: list[str] = []
    service.running.want = wanted.extend
    await service.running.read(service.sessions)
    assert wanted == [trained]
    page = await service.send(LIST, "ada", first=5)  # before this process has it
    assert (page["arm"], page["modelVersion"]) == (None, version)
    service.served = await live.refreshed(service.served, service.sessions, model_dir, wanted)
    page = await service.send(LIST, "ada", first=5)
    assert (page["arm"], page["modelVersion"]) == ("variety/this", trained)
    after = page["pageInfo"]["endCursor"]
    rest = await service.send(LIST, "ada", first=5, after=after)
    assert (rest["arm"], rest["modelVersion"]) == ("variety/this", trained)
    assert not {edge["node"]["id"] for edge in rest["edges"]} & {edge["node"]["id"] for edge in page["edges"]}


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"name": ""}, "name"),
    ({"name": "a b"}, "name"),
    ({"layer": "/"}, "layer"),
    ({"arms": []}, "arms"),
    ({"arms": [{"name": "a", "share": 0.6}, {"name": "b", "share": 0.5}]}, "arms"),
    ({"arms": [{"name": "a", "share": 0.5}, {"name": "a", "share": 0.5}]}, "arms[1].name"),
    ({"arms": [{"name": "a", "share": 0}]}, "arms[0].share"),
    ({"arms": [{"name": "a", "share": 1, "diversity": 1.1}]}, "arms[0].diversity"),
    ({"arms": [{"name": "a", "share": 1, "exploration": -0.1}]}, "arms[0].exploration"),
    ({"arms": [{"name": "a", "share": 1, "modelVersion": "none"}]}, "arms[0].modelVersion"),
    ({"minRatings": -1}, "minRatings"),
    ({"periodHours": 24}, "periodHours"),
    ({"design": "SWITCHBACK"}, "periodHours"),
    ({"design": "SWITCHBACK", "periodHours": 24, "arms": ARMS[:1]}, "arms"),
    ({"startsAt": "2020-01-01T00:00:00Z"}, "startsAt"),
    ({"endsAt": "2020-01-01T00:00:00"}, "endsAt"),
    ({"endsAt": (datetime.now(UTC) + timedelta(days=31)).isoformat()}, "endsAt"),
)


async def test_refusals_name_the_field(service: Service) -> None:
    document = """
    mutation ($input: StartExperimentInput!) { startExperiment(input: $input) {
      __typename ... on InvalidExperiment { field message } } }
    """
    for given, field in REFUSED:
        variables = {"name": "variety", "arms": ARMS} | given
        refused = await service.send(document, "ada", input=variables)
        assert (refused["__typename"], refused.get("field")) == ("InvalidExperiment", field)
        assert refused["message"].startswith(field)


async def test_conflicts(service: Service) -> None:
    half = [{"name": "a", "share": 0.4, "diversity": 0.5}]
    assert (await service.start(arms=half))["__typename"] == "StartExperimentPayload"
    for given in ({}, {"name": "second"}, {"name": "third", "layer": "other", "arms": half}):
        assert (await service.start(**given))["__typename"] == "ExperimentConflict", given
    assert (await service.start(name="second", arms=half))["__typename"] == "StartExperimentPayload"
    first, second = sorted(service.running.experiments, key=lambda each: each.slice_from)
    assert (first.slice_from, first.slice_to, second.slice_from) == (0, 0.4, 0.4)
    exploring = [{"name": "a", "share": 1, "exploration": 0.1}]
    other = await service.start(name="third", layer="other", arms=exploring)
    assert other["__typename"] == "StartExperimentPayload"
    await service.send("StopExperiment", "ada", name=first.name)
    assert (await service.start(name="fourth", arms=half))["__typename"] == "StartExperimentPayload"
    assert min(each.slice_from for each in service.running.experiments if each.layer == "default") == 0


async def test_pages_of_experiments(service: Service) -> None:
    for name in ("one", "two", "three"):
        await service.start(name=name, arms=[{"name": "a", "share": 0.3}])
    page = await service.send(EXPERIMENTS % PAGE, "ada", first=2)
    assert [edge["node"]["name"] for edge in page["edges"]] == ["three", "two"]
    assert page["edges"][0]["node"] == {"name": "three", "status": "RUNNING", "sampleRatio": None}
    rest = await service.send(EXPERIMENTS % PAGE, "ada", first=2, after=page["edges"][-1]["cursor"])
    assert [edge["node"]["name"] for edge in rest["edges"]] == ["one"]
    assert await service.send("ExperimentReport", "ada", name="four") is None
    missing = await service.send("StopExperiment", "ada", name="four")
    assert missing["__typename"] == "ExperimentNotFound"


async def test_processes_follow_the_experiments(service: Service, seeded_database_url: str) -> None:
    changes, other = Changes(seeded_database_url), Running()
    tasks = [
        asyncio.create_task(each) for each in (changes.follow(), other.follow(service.sessions, changes))
    ]
    try:
        await service.start()
        await until(lambda: bool(other.experiments))
        assert other.experiments == service.running.experiments
        await service.send("StopExperiment", "ada", name="variety")
        await until(lambda: not other.experiments)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
