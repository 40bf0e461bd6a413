"""Promotions and hidden movies: what lists show, what wins over them, their audit, limits and processes."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from app.db.notifications import Changes
from app.experiments import outcomes
from app.recommendations.steering.promotions import Promotions
from tests.schema.types.steering.conftest import HIDE, LIST, PROMOTE, Steered, local
from tests.schema.types.steering.test_preference import GROUP, HOME, genre_id, ids, share

pytestmark = pytest.mark.anyio

WITHDRAW = """
mutation ($id: ID!) {
  withdrawPromotion(input: { promotionId: $id }) {
    __typename ... on WithdrawPromotionPayload { promotion { live withdrawnAt } }
  }
}
"""
RECORD = """
mutation ($movie: ID!) {
  recordFeedback(input: { events: [{ movieId: $movie, kind: NOT_INTERESTED }] }) { __typename }
}
"""
PROMOTIONS = """
{ promotions(first: 10) { edges { node {
  id kind live strength subject { __typename ... on Movie { id } ... on Genre { name } }
} } } }
"""


async def tail(steered: Steered, username: str, place: int = 60) -> dict[str, Any]:
    """A movie far down the list."""
    node: dict[str, Any] = (await steered.edges(username, first=100))[place]["node"]
    return node


def kinds(edge: dict[str, Any]) -> list[str]:
    return [reason["kind"] for reason in edge["reasons"]]


async def test_a_pinned_movie_comes_first_everywhere(steered: Steered) -> None:
    movie = await tail(steered, "ben")
    await steered.promote(kind="PIN", subject={"movieId": movie["id"]})
    for username in ("ben", None):
        edges = await steered.edges(username)
        assert edges[0]["node"]["id"] == movie["id"]
        assert kinds(edges[0])[0] == "PROMOTED"
        assert edges[0]["reasons"][0]["text"] == "Promoted"
        assert [edge["rank"] for edge in edges] == list(range(1, 25))
        assert len(set(ids(edges))) == 24
        assert not any("PROMOTED" in kinds(edge) for edge in edges[1:])
        scores = [edge["score"] for edge in edges]
        assert scores == sorted(scores, reverse=True)
    shelves = (await steered.send(HOME, "ben"))["shelves"]
    first = shelves[0]["movies"]["edges"][0]
    assert (first["node"]["id"], kinds(first)[0]) == (movie["id"], "PROMOTED")
    shown = [edge["node"]["id"] for shelf in shelves for edge in shelf["movies"]["edges"]]
    assert shown.count(movie["id"]) == 1
    group = (await steered.send(GROUP, "ben"))["edges"]
    assert (group[0]["node"]["id"], [edge["promoted"] for edge in group[:2]]) == (movie["id"], [True, False])
    assert steered.replayed() == 4 + len(shelves)


async def test_members_win_over_promotions(steered: Steered) -> None:
    movie = await tail(steered, "ben")
    genre = movie["genres"][0]
    await steered.promote(kind="PIN", subject={"movieId": movie["id"]})
    filtered = await steered.edges("ben", filter={"excludeGenres": [genre["name"]]})
    assert movie["id"] not in ids(filtered)
    page = await steered.send(LIST, "ben", first=5)
    await steered.prefer("ben", "LESS", genreId=genre["id"])
    assert (await steered.edges("ben"))[0]["node"]["id"] != movie["id"]
    rate = f'mutation {{ rateMovie(input: {{ movieId: "{movie["id"]}", stars: 3 }}) {{ __typename }} }}'
    await steered.send(rate, "cara")
    assert movie["id"] not in ids(await steered.edges("cara"))
    await steered.send(RECORD, "ada", movie=movie["id"])
    assert movie["id"] not in ids(await steered.edges("ada"))
    # A later page continues the list with the pin.
    more = await steered.edges("ben", first=5, after=page["pageInfo"]["endCursor"])
    assert not set(ids(more)) & set(ids(page["edges"]))
    assert [edge["rank"] for edge in more] == [6, 7, 8, 9, 10]


async def test_a_genre_is_boosted_or_pinned_until_it_is_withdrawn(steered: Steered) -> None:
    horror = await genre_id(steered, "Horror")
    before = await steered.edges("ben")
    boost = await steered.promote(kind="BOOST", subject={"genreId": horror}, strength=3)
    boosted = await steered.edges("ben", diversity=0.3)
    assert share(boosted, "Horror") > share(before, "Horror")
    for edge in boosted:
        is_horror = "Horror" in {genre["name"] for genre in edge["node"]["genres"]}
        assert ("PROMOTED" in kinds(edge)) is is_horror
    ended = (await steered.send(WITHDRAW, "cara", id=boost))["promotion"]
    assert ended["live"] is False
    assert ids(await steered.edges("ben")) == ids(before)
    assert (await steered.send(WITHDRAW, "cara", id=boost))["__typename"] == "PromotionUnknown"
    await steered.promote(kind="PIN", subject={"genreId": horror})
    pinned = await steered.edges("ben")
    best = (await steered.edges("ben", filter={"genres": ["Horror"]}))[0]["node"]["id"]
    assert pinned[0]["node"]["id"] == best
    listed = (await steered.send(PROMOTIONS, "cara"))["edges"]
    assert [(edge["node"]["kind"], edge["node"]["live"]) for edge in listed] == [
        ("PIN", True),
        ("BOOST", False),
    ]
    assert listed[0]["node"]["subject"] == {"__typename": "Genre", "name": "Horror"}
    assert steered.replayed() > 4


async def test_start_end_number_and_strength_are_limited(steered: Steered) -> None:
    movies = ids(await steered.edges(None, first=8))
    now = datetime.now(UTC)
    later = {"startsAt": (now + timedelta(hours=1)).isoformat()}
    await steered.promote(kind="PIN", subject={"movieId": movies[7]}, **later)
    assert (await steered.edges(None))[0]["node"]["id"] == movies[0]
    assert steered.promotions.live(now + timedelta(hours=2))
    assert not steered.promotions.live(now + timedelta(days=8))  # a week is usual
    for movie in movies[3:8]:
        await steered.promote(kind="PIN", subject={"movieId": movie})
    edges = await steered.edges(None, first=8)
    assert [kinds(edge)[0] == "PROMOTED" for edge in edges] == [True] * 3 + [False] * 5
    assert ids(edges)[:3] == movies[3:6]
    refused: list[dict[str, Any]] = [
        {"kind": "BOOST"},
        {"kind": "PIN", "strength": 1},
        {"kind": "BOOST", "strength": 5.5},
        {"kind": "PIN", "endsAt": (now - timedelta(hours=1)).isoformat()},
        {"kind": "PIN", "endsAt": (now + timedelta(days=800)).isoformat()},
    ]
    named = ["strength", "strength", "strength", "endsAt", "endsAt"]
    for given, field in zip(refused, named, strict=True):
        made = await steered.send(PROMOTE, "cara", input={"subject": {"movieId": movies[0]}, **given})
        assert made["__typename"] == "PromotionInvalid"
        assert made["message"].startswith(f"{field} must") or made["message"].startswith(f"{field} belongs")
    with psycopg.connect(steered.url) as connection:
        connection.execute(
            "INSERT INTO promotions (kind, collection, starts_at, ends_at) SELECT 'PIN', 'None', now(), "
            "now() + interval '1 day' FROM generate_series(1, 44)"
        )
    full = await steered.send(PROMOTE, "cara", input={"kind": "PIN", "subject": {"movieId": movies[0]}})
    assert full["message"] == "There are 50 promotions that are not over: withdraw one first."


async def test_promoted_places_are_marked_in_the_record(steered: Steered) -> None:
    movie = await tail(steered, "ben")
    await steered.promote(kind="PIN", subject={"movieId": movie["id"]})
    await steered.edges("ben", first=5)
    await steered.edges("ben", filter={"excludeGenres": [movie["genres"][0]["name"]]})
    steered.recorder.write(steered.url)
    with psycopg.connect(steered.url) as connection:
        rows = connection.execute("SELECT promoted FROM served_lists ORDER BY served_at DESC LIMIT 2")
        assert rows.fetchall() == [(None,), ([local(movie["id"])],)]
        audit = connection.execute("SELECT act, outcome FROM audit_log").fetchall()
    assert audit == [("promote", "PromotePayload")]


async def test_a_hidden_movie_is_in_no_list_and_still_in_the_catalog(steered: Steered) -> None:
    page = await steered.send(LIST, "ben")
    before = ids(page["edges"])
    movie = before[0]
    title = page["edges"][0]["node"]["title"]
    await steered.promote(kind="PIN", subject={"movieId": movie})
    assert (await steered.send(HIDE, "cara", movie=movie, hidden=True))[
        "__typename"
    ] == "SetMovieHiddenPayload"
    assert ids(await steered.edges("ben"))[:10] == before[1:11]
    for document in (HOME, GROUP, "{ onboarding(first: 100) { edges { node { id } } } }"):
        assert movie not in str(await steered.send(document, "ben"))
    near = "query ($id: ID!) { movie(id: $id) { title similar(first: 5) { edges { node { id } } } } }"
    (neighbor, *_) = (await steered.send(near, "ben", id=movie))["similar"]["edges"]
    assert movie not in str((await steered.send(near, "ben", id=neighbor["node"]["id"]))["similar"])
    search = "query ($title: String!) { search(query: $title, first: 5) { edges { node { id } } } }"
    assert movie in str(await steered.send(search, "ben", title=title))
    hidden = "{ hiddenMovies(first: 5) { edges { node { id } } } }"
    assert [edge["node"]["id"] for edge in (await steered.send(hidden, "cara"))["edges"]] == [movie]
    assert steered.replayed() > 8
    await steered.send(HIDE, "cara", movie=movie, hidden=False)
    assert (await steered.edges("ben"))[0]["node"]["id"] == movie
    assert (await steered.send(HIDE, "cara", movie="TW92aWU6OTk5OTk5", hidden=True))[
        "__typename"
    ] == "MovieUnknown"


async def test_an_administrators_look_is_the_members_list_and_leaves_no_trace(steered: Steered) -> None:
    own = await steered.edges("ben")
    steered.recorder.queue.clear()
    looked = await steered.edges("ada", **{"for": "BEN"})
    assert looked == own
    assert not steered.recorder.queue
    page = await steered.send(LIST, "ada", first=5, **{"for": "ben"})
    more = await steered.edges("ada", first=5, after=page["pageInfo"]["endCursor"], **{"for": "ben"})
    assert ids(more) == ids(own)[5:10]
    foreign = await steered.result(LIST, "ada", first=5, after=page["pageInfo"]["endCursor"])
    assert "cursor" in str(foreign.errors)
    unknown = await steered.result(LIST, "ada", **{"for": "nobody"})
    assert "there is no member of this name" in str(unknown.errors)
    for username in ("cara", "ben", None):
        refused = await steered.result(LIST, username, **{"for": "ben"})
        assert "Needs the role ADMIN" in str(refused.errors)
    shown = {"movieId": ids(page["edges"])[0], "kind": "IMPRESSION", "requestId": page["requestId"]}
    assert (await steered.send(EVENTS, "ada", events=[shown]))["ignoredRequestIds"] == 1
    with psycopg.connect(steered.url) as connection:
        audit = connection.execute("SELECT act, arguments, outcome FROM audit_log ORDER BY id").fetchall()
    assert audit[0] == ("recommendations", {"input": {"username": "BEN"}}, "done")
    assert [outcome for *_, outcome in audit] == ["done", "done", "done", "UserNotFound"]


EVENTS = """
mutation ($events: [FeedbackInput!]!) {
  recordFeedback(input: { events: $events }) { ... on RecordFeedbackPayload { ignoredRequestIds } }
}
"""


async def test_what_members_do_in_promoted_places_is_no_outcome(steered: Steered) -> None:
    movie = await tail(steered, "ben")
    await steered.promote(kind="PIN", subject={"movieId": movie["id"]})
    page = await steered.send(LIST, "ben", first=3)
    steered.recorder.write(steered.url)
    shown = ids(page["edges"])

    async def report(kind: str, *movies: str) -> None:
        events = [{"movieId": id_, "kind": kind, "requestId": page["requestId"]} for id_ in movies]
        assert (await steered.send(EVENTS, "ben", events=events))["ignoredRequestIds"] == 0

    async def found() -> outcomes.Outcomes:
        now = datetime.now(UTC)
        async with steered.live.sessions() as session:
            return await outcomes.of_all(session, now - timedelta(hours=1), now + timedelta(minutes=1))

    await report("IMPRESSION", *shown)
    await report("CLICK", movie["id"])
    rate = "mutation ($id: ID!) { rateMovie(input: { movieId: $id, stars: 5 }) { __typename } }"
    await steered.send(rate, "ben", id=movie["id"])
    of_pin = await found()
    assert (of_pin.impressions.tolist(), of_pin.rated_user.size) == ([2], 0)
    assert np.isnan(of_pin.clicked_at).all()
    await report("CLICK", shown[1])
    await steered.send(rate, "ben", id=shown[1])
    of_other = await found()
    assert np.isfinite(of_other.clicked_at).all()
    assert of_other.rated_user.size == 1


async def test_processes_follow_the_promotions(steered: Steered) -> None:
    changes, other = Changes(steered.url), Promotions()
    tasks = [
        asyncio.create_task(each) for each in (changes.follow(), other.follow(steered.live.sessions, changes))
    ]
    movie = await tail(steered, "ben")
    try:
        promotion = await steered.promote(kind="PIN", subject={"movieId": movie["id"]})
        await until(lambda: bool(other.live(datetime.now(UTC))))
        await steered.send(WITHDRAW, "cara", id=promotion)
        await until(lambda: not other.live(datetime.now(UTC)))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(reached: Callable[[], bool]) -> None:
    for _ in range(1500):
        if reached():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError
