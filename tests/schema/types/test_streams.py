"""Events of a stream reach the lists of their members at once."""

from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest

from app.ingest.clean_events import Batch, Line, Stream
from app.ingest.store_events import Store
from app.settings import Settings
from tests.schema.conftest import Ask, Member

LIST = "{ recommendations(first: 20) { edges { node { id title year } } } }"
RATINGS = "{ viewer { ratings(first: 5) { edges { node { stars movie { title } } } } } }"


@pytest.fixture
def external_id(member: Member, server_database_url: str) -> str:
    """The member's id in the source `tv`."""
    external_id = uuid4().hex
    with psycopg.connect(server_database_url) as connection:
        connection.execute(
            "INSERT INTO external_members (source, external_id, user_id) "
            "SELECT 'tv', %s, id FROM users WHERE username = %s",
            (external_id, member.username),
        )
    return external_id


def test_ratings_and_opinions_change_the_next_list(
    ask: Ask, member: Member, external_id: str, server_database_url: str
) -> None:
    def shown() -> list[dict[str, Any]]:
        edges = ask(LIST, member.token)["data"]["recommendations"]["edges"]
        return [edge["node"] for edge in edges]

    before = shown()
    rated, refused = before[3], before[5]
    usual = {"version": 1, "user": external_id, "time": "2025-02-15T01:49:06Z"}
    events = [
        usual | {"kind": "rating", "movie": {"title": rated["title"], "year": rated["year"]}, "value": 5},
        usual | {"kind": "not_interested", "movie": {"id": refused["id"]}},
    ]
    given = {"database_url": server_database_url, "secret_key": "a secret of the tests, long enough"}
    with psycopg.connect(server_database_url, autocommit=True) as connection:
        store = Store(connection, Settings.model_validate(given))
        lines = [Line(0, n, orjson.dumps(event)) for n, event in enumerate(events)]
        counts = store.store(Stream(f"test {external_id}", "tv"), Batch(lines, {0: len(lines)}))
    assert counts["STORED"] == len(events)
    after = shown()
    assert rated["id"] not in {movie["id"] for movie in after}
    assert refused["id"] not in {movie["id"] for movie in after}
    assert [movie["id"] for movie in after[:3]] != [movie["id"] for movie in before[:3]]
    [edge] = ask(RATINGS, member.token)["data"]["viewer"]["ratings"]["edges"]
    assert edge["node"] == {"stars": 5, "movie": {"title": rated["title"]}}
