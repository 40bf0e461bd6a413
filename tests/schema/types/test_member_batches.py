"""Batches of ratings and events that a service sends for many of its members."""

import json
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from strawberry import relay

from app.accounts.api_keys import Scope
from tests.schema.conftest import Ask, Member, code, outcome
from tests.schema.http.test_acting import make_key

PAYLOAD = """__typename ... on Error { message } ... on MemberRowsPayload {
    stored repeated refusedCount alreadyStored refused { position reason rule } }"""
UPSERT = f"mutation ($i: UpsertRatingsInput!) {{ upsertRatings(input: $i) {{ {PAYLOAD} }} }}"
RECORD = f"mutation ($i: RecordFeedbackInput!) {{ recordFeedback(input: $i) {{ {PAYLOAD} }} }}"
RATINGS = """
SELECT external_id, movie_id, half_stars FROM ratings JOIN external_members USING (user_id)
WHERE source = %s ORDER BY external_id, movie_id
"""
EVENTS = """
SELECT external_id, kind, idempotency_key FROM feedback JOIN external_members USING (user_id)
WHERE source = %s ORDER BY external_id, kind
"""


class Service:
    """A service with a key, whose batches are lists of rows."""

    def __init__(self, ask: Ask, database_url: str) -> None:
        self.ask, self.database_url, self.source = ask, database_url, f"tv-{uuid4().hex[:8]}"
        self.key, self.key_id = make_key(database_url, Scope.MEMBERS, source=self.source)
        with psycopg.connect(database_url) as connection:
            self.movies = connection.execute(
                "SELECT id, imdb_id, title, year FROM movies ORDER BY id LIMIT 5"
            ).fetchall()

    def send(self, document: str, rows: list[Any], **more: Any) -> dict[str, Any]:
        jsonl = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
        name = "upsertRatings" if document is UPSERT else "recordFeedback"
        return outcome(self.ask(document, self.key, i={"jsonl": jsonl, **more}), name)

    def rating(self, user: str, place: int, value: float = 4.0, **more: Any) -> dict[str, Any]:
        movie = {"id": relay.to_base64("Movie", self.movies[place][0])}
        return {"user": user, "movie": movie, "value": value, **more}

    def rows(self, statement: str) -> list[Any]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement, (self.source,)).fetchall()


@pytest.fixture
def service(ask: Ask, server_database_url: str) -> Service:
    return Service(ask, server_database_url)


def test_ratings_of_many_members_are_stored_once(service: Service) -> None:
    rows = [service.rating(f"u-{n % 3}", n // 3, 0.5 + n / 2, time="2025-01-01T00:00:00Z") for n in range(9)]
    expected = {"__typename": "MemberRowsPayload", "stored": 9, "repeated": 0, "refusedCount": 0}
    assert service.send(UPSERT, rows) == {**expected, "alreadyStored": False, "refused": []}
    stored = [(f"u-{u}", service.movies[m][0], 1 + 3 * m + u) for u in range(3) for m in range(3)]
    assert service.rows(RATINGS) == stored
    again = service.send(UPSERT, rows)
    assert (again["stored"], again["repeated"]) == (0, 9)
    # Of two ratings the later counts.
    newer = [
        service.rating("u-0", place, 5, time=f"{year}-01-02T00:00:00Z")
        for place, year in ((0, 2026), (1, 2024))
    ]
    assert service.send(UPSERT, newer)["stored"] == 1
    assert service.rows(RATINGS) == [("u-0", service.movies[0][0], 10), *stored[1:]]


def test_each_refused_row_is_named_with_its_reason(service: Service, member: Member) -> None:
    with psycopg.connect(service.database_url) as connection:
        connection.execute(
            "INSERT INTO external_members (source, external_id, user_id) "
            "SELECT %s, 'merged', id FROM users WHERE username = %s",
            (service.source, member.username),
        )
    rating = service.rating
    others = [rating("", 0), rating("x" * 129, 0), rating("u", 0, source="other"), rating("merged", 0)]
    wrong: dict[str, list[Any]] = {
        "MALFORMED": ["nonsense", "[]", '{"kind": "click"}', "5", rating("u", 0, id="\n"), "x" * 17_000],
        "MEMBER": others,
        "MOVIE": [{"user": "u", "value": 3}, {"user": "u", "movie": {"tmdbId": -1}, "value": 3}],
        "UNKNOWN_MOVIE": [{"user": "u", "movie": {"tmdbId": 999_999_999}, "value": 3}],
        "VALUE": [service.rating("u", 0, value) for value in (0, 5.5, 4.25)],
        "TIME": [service.rating("u", 0, time="yesterday")],
        "FUTURE": [service.rating("u", 0, time="2099-01-01T00:00:00Z")],
    }  # fmt: skip
    rows = [row for kind in wrong.values() for row in kind]
    sent = service.send(UPSERT, [service.rating("u", 0), *rows, service.rating("u", 1)])
    assert [(row["position"], row["reason"]) for row in sent["refused"]] == list(
        enumerate((reason for reason, rows in wrong.items() for _ in rows), 1)
    )
    assert all(row["rule"].endswith(".") for row in sent["refused"])
    assert (sent["stored"], sent["refusedCount"]) == (2, len(rows))
    assert service.rows(RATINGS) == [("u", movie, 8) for movie, *_ in service.movies[:2]]


def test_a_batch_with_an_idempotency_key_is_stored_once(service: Service) -> None:
    rows = [service.rating("u", 0), "nonsense"]
    first = service.send(UPSERT, rows, idempotencyKey="b-1")
    ask_delete = (
        "DELETE FROM ratings WHERE user_id IN (SELECT user_id FROM external_members WHERE source = %s)"
    )
    with psycopg.connect(service.database_url) as connection:
        connection.execute(ask_delete, (service.source,))
    again = service.send(UPSERT, rows, idempotencyKey="b-1")
    assert again == {**first, "alreadyStored": True}
    assert first["refused"][0]["position"] == 1
    assert service.rows(RATINGS) == []
    reused = service.send(UPSERT, rows[:1], idempotencyKey="b-1")
    assert reused["__typename"] == "InvalidMemberBatch"
    assert service.send(UPSERT, rows, idempotencyKey="b-2")["stored"] == 1


def test_events_of_many_members(service: Service) -> None:
    movie = {"id": None, "title": service.movies[0][2], "year": service.movies[0][3]}
    rows = [
        {"kind": "WATCHLIST", "user": "a", "movie": movie, "id": "e-1"},
        {"kind": "watch", "user": 52141, "movie": {"imdbId": service.movies[1][1]}, "fraction": 1.0},
        {"kind": "rating", "user": "a", "movie": movie, "value": 3},
    ]
    sent = service.send(RECORD, rows)
    assert (sent["stored"], sent["repeated"]) == (2, 0)
    assert [(row["position"], row["reason"]) for row in sent["refused"]] == [(2, "MALFORMED")]
    watched = ("52141", "WATCH", f"watched:{service.movies[1][0]}")
    assert service.rows(EVENTS) == [watched, ("a", "WATCHLIST", "e-1")]
    assert service.send(RECORD, rows[:1])["repeated"] == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"jsonl": ""}, "A batch has 1 to 10,000 rows, one a line, not 0."),
        ({"jsonl": "{}\n" * 10_001}, "not 10,001."),
        ({"jsonl": "{}", "idempotencyKey": ""}, "The idempotency key must have"),
        ({"jsonl": "{}", "idempotencyKey": "\n"}, "The idempotency key must have"),
    ],
)
def test_an_invalid_batch_is_refused_whole(service: Service, given: dict[str, Any], message: str) -> None:
    refused = outcome(service.ask(UPSERT, service.key, i=given), "upsertRatings")
    assert refused["__typename"] == "InvalidMemberBatch"
    assert message in refused["message"]


def test_batches_need_the_key_itself(service: Service, member: Member, ask: Ask, server: str) -> None:
    given = {"jsonl": json.dumps(service.rating("u", 0))}
    assert code(ask(UPSERT, member.token, i=given)) == "FORBIDDEN"
    assert code(ask(UPSERT, i=given)) == "UNAUTHENTICATED"
    assert code(ask(RECORD, member.token, i=given)) == "BAD_USER_INPUT"
    assert code(ask(RECORD, service.key, i={"events": []})) == "FORBIDDEN"
    assert code(ask(RECORD, service.key, i={})) == "BAD_USER_INPUT"
    headers = {"Authorization": f"Bearer {service.key}", "X-Marquee-Member": "u"}
    body = {"query": UPSERT, "variables": {"i": given}}
    assert code(httpx.post(f"{server}/graphql", json=body, headers=headers).json()) == "FORBIDDEN"


def test_ten_thousand_rows_are_one_call_within_the_cost(service: Service, server: str) -> None:
    """The audit log notes the call, without the rows, which name members."""
    rows = [json.dumps(service.rating(f"user-{n % 2_000}", n // 2_000, 3.5)) for n in range(10_000)]
    body = {"query": UPSERT, "variables": {"i": {"jsonl": "\n".join(rows)}}}
    headers = {"Authorization": f"Bearer {service.key}"}
    answer = httpx.post(f"{server}/graphql", json=body, headers=headers, timeout=60).json()
    data = answer["data"]["upsertRatings"]
    assert (data["stored"], data["refused"][:1]) == (10_000, [])
    cost = answer["extensions"]["cost"]
    assert 2_000 < cost["requested"] <= 10_000
    assert cost["actual"] > 0
    with psycopg.connect(service.database_url) as connection:
        statement = "SELECT arguments, outcome FROM audit_log WHERE api_key_id = %s"
        noted = connection.execute(statement, (service.key_id,)).fetchall()
    assert noted == [({"input": {"jsonl": "(not noted)"}}, "MemberRowsPayload")]
