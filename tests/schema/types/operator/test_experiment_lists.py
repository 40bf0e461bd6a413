"""Arms of experiments on home pages and on lists of groups: pages, records, replays, and the stop."""

from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.provenance import replay
from app.provenance.replay import Replayer
from app.serving import live
from app.training import registry, train
from tests.schema.types.operator.experiment_service import Service

pytestmark = pytest.mark.anyio

HOME = """
query ($shelves: Int!, $perShelf: Int!) {
  home(shelves: $shelves, perShelf: $perShelf) {
    requestId arm modelVersion
    shelves { id kind movies(first: $perShelf) { edges { node { id } } pageInfo { endCursor } } }
  }
}
"""
SHELF = """
query ($id: ID!, $first: Int!, $after: String) {
  node(id: $id) { ... on Shelf { kind movies(first: $first, after: $after) { edges { node { id } } } } }
}
"""
GROUP = """
query ($usernames: [String!]!, $first: Int!, $after: String) {
  groupRecommendations(usernames: $usernames, first: $first, after: $after) {
    requestId arm modelVersion edges { rank node { id } } pageInfo { endCursor }
  }
}
"""
LIST = "query ($first: Int!) { recommendations(first: $first) { requestId arm edges { node { id } } } }"
RATE = """
mutation ($movie: ID!, $stars: Float!) {
  rateMovie(input: { movieId: $movie, stars: $stars }) { ... on RateMoviePayload { rating { stars } } }
}
"""
SEEN = """
mutation ($events: [FeedbackInput!]!) {
  recordFeedback(input: { events: $events }) { ... on RecordFeedbackPayload { accepted ignoredRequestIds } }
}
"""
VARIED = [{"name": "varied", "share": 1, "diversity": 0.9}]
RANKED = {"TOP_PICKS", "POPULAR", "GENRE", "NEW_RELEASES"}


def ids(of: Any) -> list[str]:
    return [edge["node"]["id"] for edge in of["edges"]]


async def with_taste(service: Service, username: str, count: int = 8) -> list[str]:
    """Sign the member up, and rate every third movie of their list; returns those."""
    await service.sign_up(username)
    rated = ids(await service.send(LIST, username, first=3 * count))[::3]
    for movie in rated:
        await service.send(RATE, username, movie=movie, stars=4.5)
    return rated


def discoverable(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET discoverable = true")


def recorded(service: Service, url: str, model_dir: Path, page: Any) -> list[tuple[str, str | None]]:
    """The field and arm of each recorded page. Makes each page again."""
    service.recorder.write(url)
    with psycopg.connect(url) as connection:
        found = replay.recorded(connection, UUID(page["requestId"]))
        replayer = Replayer(model_dir)
        assert all(replayer.replay(connection, each).same for each in found)
    return [(each.field, each.arm) for each in found]


async def test_a_home_page_has_the_arm(service: Service, seeded_database_url: str, model_dir: Path) -> None:
    await with_taste(service, "bo")
    plain = await service.send(HOME, "bo", shelves=4, perShelf=10)
    assert plain["arm"] is None
    await service.start(arms=VARIED)
    page = await service.send(HOME, "bo", shelves=4, perShelf=10)
    assert page["arm"] == "variety/varied"
    assert (await service.send(HOME, None, shelves=2, perShelf=5))["arm"] is None
    changed = {
        shelf["kind"]
        for shelf, other in zip(page["shelves"], plain["shelves"], strict=True)
        if ids(shelf["movies"]) != ids(other["movies"])
    }
    assert "TOP_PICKS" in changed
    seen = [movie for shelf in page["shelves"] for movie in ids(shelf["movies"])]
    await service.send("StopExperiment", "ada", name="variety")
    await service.running.read(service.sessions)
    assert service.running.experiments == ()
    assert (await service.send(HOME, "bo", shelves=4, perShelf=10))["arm"] is None
    for shelf in page["shelves"]:  # the pages of a list have the arm of the first, also after the stop
        end = shelf["movies"]["pageInfo"]["endCursor"]
        more = await service.send(SHELF, "bo", id=shelf["id"], first=10, after=end)
        assert more["kind"] == shelf["kind"]
        seen += ids(more["movies"])
    assert len(seen) == len(set(seen)) > 60
    assert recorded(service, seeded_database_url, model_dir, page) == [("shelf", "variety/varied")] * 8
    assert recorded(service, seeded_database_url, model_dir, plain) == [("shelf", None)] * 4


async def test_a_home_page_has_the_model_of_the_arm(
    service: Service, seeded_database_url: str, model_dir: Path
) -> None:
    version = service.served.model.version
    other = train.train(seeded_database_url, model_dir, lambda *_: None, kept_models=3, kind="popularity")
    await registry.activate(service.sessions, model_dir, version)
    await with_taste(service, "bo")
    discoverable(seeded_database_url)
    await service.start(arms=[{"name": "other", "share": 1, "modelVersion": other}], minRatings=8)
    asked = {"shelves": 3, "perShelf": 6}
    group = {"usernames": ["bo"], "first": 5}
    for query, given in ((HOME, asked), (GROUP, group)):  # before this process has the model
        page = await service.send(query, "bo", **given)
        assert (page["arm"], page["modelVersion"]) == (None, version)
    service.served = await live.refreshed(service.served, service.sessions, model_dir, [other])
    for query, given in ((HOME, asked), (GROUP, group)):
        page = await service.send(query, "bo", **given)
        assert (page["arm"], page["modelVersion"]) == ("variety/other", other)
        assert {arm for _, arm in recorded(service, seeded_database_url, model_dir, page)} == {page["arm"]}
        page = await service.send(query, "ada", **given)  # ada has no ratings
        assert (page["arm"], page["modelVersion"]) == (None, version)


async def test_a_list_of_a_group_has_the_arm_of_the_viewer(
    service: Service, seeded_database_url: str, model_dir: Path
) -> None:
    await with_taste(service, "bo")
    await with_taste(service, "cy")
    discoverable(seeded_database_url)
    group = {"usernames": ["bo", "cy"]}
    plain = await service.send(GROUP, "bo", first=24, **group)
    assert plain["arm"] is None
    await service.start(arms=VARIED)
    whole = await service.send(GROUP, "bo", first=24, **group)
    first = await service.send(GROUP, "bo", first=10, **group)
    await service.send("StopExperiment", "ada", name="variety")
    await service.running.read(service.sessions)
    after = first["pageInfo"]["endCursor"]
    rest = await service.send(GROUP, "bo", first=14, after=after, **group)
    assert {page["arm"] for page in (whole, first, rest)} == {"variety/varied"}
    assert ids(first) + ids(rest) == ids(whole) != ids(plain)
    assert (
        recorded(service, seeded_database_url, model_dir, first)
        == [("groupRecommendations", "variety/varied")] * 2
    )
    assert (await service.send(GROUP, "bo", first=5, **group))["arm"] is None


async def test_outcomes_of_home_pages_and_groups_count(service: Service, seeded_database_url: str) -> None:
    old = (await with_taste(service, "bo"))[0]
    await service.start(arms=VARIED)
    home = await service.send(HOME, "bo", shelves=3, perShelf=4)
    group = await service.send(GROUP, "bo", usernames=["bo"], first=4)
    listed = await service.send(LIST, "bo", first=4)
    shown = [movie for shelf in home["shelves"] for movie in ids(shelf["movies"])] + [old]
    for page, movies in ((home, shown), (group, ids(group)), (listed, ids(listed))):
        events = [
            {"movieId": movie, "kind": "IMPRESSION", "requestId": page["requestId"]} for movie in movies
        ]
        if page is not listed:
            events.append(events[0] | {"kind": "CLICK"})
        accepted = await service.send(SEEN, "bo", events=events)
        assert accepted == {"accepted": len(events), "ignoredRequestIds": 0}
    await service.send(RATE, "bo", movie=old, stars=0.5)  # given again: no outcome of the page
    await service.send(RATE, "bo", movie=shown[0], stars=3.0)
    await service.send(RATE, "bo", movie=shown[0], stars=4.0)
    service.recorder.write(seeded_database_url)
    report = await service.send("ExperimentReport", "ada", name="variety")
    (arm,) = report["arms"]
    assert (arm["users"], arm["impressions"]) == (1, 21)
    assert arm["meanRating"]["value"] == 4
    assert arm["clickRate"] == pytest.approx(2 / 3)  # a home page is one list
