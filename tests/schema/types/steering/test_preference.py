"""Members' preferences: the next lists follow, they are taken back, recorded, exported and deleted."""

from typing import Any

import orjson
import psycopg
import pytest

from tests.schema.types.steering.conftest import LIST, PREFER, Steered, local

pytestmark = pytest.mark.anyio

HOME = """
{ home(shelves: 12, perShelf: 12) { shelves {
  kind genre { name } movies(first: 12) { edges { node { id genres { name } } reasons { kind } } }
} } }
"""
GROUP = """
{ groupRecommendations(usernames: ["ada", "ben"], first: 24) {
  edges { promoted score members { username askedFor } node { id genres { name } } }
} }
"""
REMOVE = """
mutation ($subject: PreferenceSubjectInput!) {
  removePreference(input: { subject: $subject }) {
    __typename ... on Error { message } ... on RemovePreferencePayload { wasSet }
  }
}
"""
HELD = """
{ viewer { preferences { direction subject {
  __typename ... on Genre { name } ... on Person { name } ... on Collection { name movieCount }
} } } }
"""


def share(edges: list[dict[str, Any]], genre: str) -> float:
    return sum(genre in {each["name"] for each in edge["node"]["genres"]} for edge in edges) / len(edges)


def ids(edges: list[dict[str, Any]]) -> list[str]:
    return [edge["node"]["id"] for edge in edges]


async def genre_id(steered: Steered, name: str) -> str:
    genres = await steered.send("{ genres { id name } }", None)
    return str(next(genre["id"] for genre in genres if genre["name"] == name))


async def test_all_lists_follow_a_wish_for_less_and_one_for_more(steered: Steered) -> None:
    before, group_before = await steered.edges("ben"), (await steered.send(GROUP, "ben"))["edges"]
    usual = {genre["name"] for edge in before for genre in edge["node"]["genres"]}
    common = max(sorted(usual), key=lambda name: min(share(before, name), share(group_before, name)))
    less, more = await genre_id(steered, common), await genre_id(steered, "Horror")
    await steered.prefer("ben", "LESS", genreId=less)
    await steered.prefer("ben", "MORE", genreId=more)
    after, group_after = await steered.edges("ben"), (await steered.send(GROUP, "ben"))["edges"]
    assert len(after) == 24
    for edge in after:
        (first, *_), horror = edge["reasons"], "Horror" in {each["name"] for each in edge["node"]["genres"]}
        assert (first["kind"] == "ASKED_FOR") is horror
        assert first["text"] == "You asked for more of Horror" or not horror
    for then, now in ((before, after), (group_before, group_after)):
        assert share(now, common) < share(then, common)
        assert share(now, "Horror") > share(then, "Horror")
    shelves = (await steered.send(HOME, "ben"))["shelves"]
    genres = [shelf["genre"]["name"] for shelf in shelves if shelf["kind"] == "GENRE"]
    assert genres[0] == "Horror"
    for shelf in shelves:
        by_score = shelf["kind"] in {"TOP_PICKS", "GENRE", "NEW_RELEASES"}
        for edge in shelf["movies"]["edges"]:
            horror = "Horror" in {each["name"] for each in edge["node"]["genres"]}
            asked_for = "ASKED_FOR" in [each["kind"] for each in edge["reasons"]]
            assert asked_for is (horror and by_score), shelf["kind"]
    for edge in group_after:
        named = {each["username"]: each["askedFor"] for each in edge["members"]}
        horror = "Horror" in {each["name"] for each in edge["node"]["genres"]}
        assert named == {"ada": None, "ben": "Horror" if horror else None}
    assert "Drama" not in genres[:-1]
    assert ids(await steered.edges("ada")) == ids((await steered.send(LIST, "ada"))["edges"])
    assert steered.replayed() == 6 + len(shelves)


async def test_people_and_collections(steered: Steered) -> None:
    snapshot = steered.live.served.snapshot
    before = ids(await steered.edges("ben", first=50))
    collection = "The Sea Collection"
    of_collection = {card.id for card in snapshot.cards if card.collection == collection}
    director = next(snapshot.cards[snapshot.position_of[local(id_)]].directors[0] for id_ in before)
    of_director = {
        card.id for card in snapshot.cards if any(person.id == director.id for person in card.directors)
    }
    person = await steered.send(
        "query ($id: ID!) { movie(id: $id) { directors { id } } }", None, id=before[0]
    )
    await steered.prefer("ben", "MORE", collection=collection.upper())
    await steered.prefer("ben", "LESS", personId=person["directors"][0]["id"])
    after = ids(await steered.edges("ben", first=50))
    places = {local(id_): place for place, id_ in enumerate(after)}
    assert sum(local(id_) in of_collection for id_ in after) >= sum(
        local(id_) in of_collection for id_ in before
    )
    moved = [
        places.get(local(id_), 50) - place for place, id_ in enumerate(before) if local(id_) in of_director
    ]
    assert max(moved) > 0
    texts = {
        edge["reasons"][0]["text"]
        for edge in await steered.edges("ben", first=50)
        if local(edge["node"]["id"]) in of_collection
    }
    assert texts == {f"You asked for more of {collection}"}
    held = (await steered.send(HELD, "ben"))["preferences"]
    assert [each["direction"] for each in held] == ["LESS", "MORE"]
    assert held[1]["subject"] == {
        "__typename": "Collection", "name": collection, "movieCount": len(of_collection)
    }  # fmt: skip


async def test_a_preference_is_replaced_and_taken_back(steered: Steered, seeded_database_url: str) -> None:
    drama = await genre_id(steered, "Drama")
    before = ids(await steered.edges("ben"))
    await steered.prefer("ben", "LESS", genreId=drama)
    page = await steered.send(LIST, "ben")
    await steered.prefer("ben", "MORE", genreId=drama)
    assert len((await steered.send(HELD, "ben"))["preferences"]) == 1
    removed = await steered.send(REMOVE, "ben", subject={"genreId": drama})
    assert removed == {"__typename": "RemovePreferencePayload", "wasSet": True}
    assert (await steered.send(REMOVE, "ben", subject={"genreId": drama}))["wasSet"] is False
    assert ids(await steered.edges("ben")) == before
    # The later page continues the list that began with the preference.
    more = await steered.edges("ben", after=page["pageInfo"]["endCursor"])
    assert not set(ids(more)) & set(ids(page["edges"]))
    assert min(edge["score"] for edge in page["edges"]) >= max(edge["score"] for edge in more)
    assert steered.replayed() == 4
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute("UPDATE list_preferences SET ended_at = ended_at - interval '2 days'")
        connection.commit()
        await steered.prefer("ben", "LESS", genreId=drama)
        assert connection.execute("SELECT count(*) FROM list_preferences").fetchone() == (1,)


async def test_refusals(steered: Steered, seeded_database_url: str) -> None:
    unknown = await steered.send(PREFER, "ben", subject={"collection": "No such"}, direction="MORE")
    assert unknown == {"__typename": "SubjectNotFound", "message": "The catalog has no such collection."}
    for subject, rule in (
        ({}, "must specify exactly one key"),
        ({"collection": "a", "genreId": "b"}, "must specify exactly one key"),
        ({"collection": None}, "must be non-null"),
    ):
        refused = await steered.result(PREFER, "ben", subject=subject, direction="MORE")
        assert rule in str(refused.errors)
    movie = (await steered.edges(None))[0]["node"]["id"]
    wrong = await steered.result(PREFER, "ben", subject={"genreId": movie}, direction="MORE")
    assert "input.subject.genreId must be the id of a Genre" in str(wrong.errors)
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute(
            "INSERT INTO list_preferences (user_id, collection, direction) "
            "SELECT users.id, number::text, 'MORE' FROM users, generate_series(1, 100) AS number "
            "WHERE username = 'ben'"
        )
    drama = await genre_id(steered, "Drama")
    full = await steered.send(PREFER, "ben", subject={"genreId": drama}, direction="MORE")
    assert full["__typename"] == "PreferenceLimitReached"
    assert (await steered.send(HELD, "ben"))["preferences"] == []  # the catalog has no such collections


async def test_a_deleted_member_takes_preferences_along(steered: Steered, seeded_database_url: str) -> None:
    await steered.prefer("ben", "LESS", genreId=await genre_id(steered, "Drama"))
    exported = orjson.loads(orjson.dumps(await steered.send("{ exportMyData }", "ben")))
    assert [each["direction"] for each in exported["listPreferences"]] == ["LESS"]
    await steered.edges("ben")
    steered.recorder.write(seeded_database_url)
    with psycopg.connect(seeded_database_url) as connection:
        owned = "SELECT count(*) FROM served_inputs WHERE user_id IS NOT NULL"
        assert connection.execute(owned).fetchone() == (2,)  # the history and the wishes
        connection.execute("DELETE FROM users WHERE username = 'ben'")
        assert connection.execute(owned).fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM list_preferences").fetchone() == (0,)
