"""Operators read the refused events of streams."""

from typing import Any

import psycopg
import pytest

from tests.schema.conftest import Ask, Member, code

LETTERS = """
query ($first: Int!, $after: String, $reason: DeadLetterReason) {
    deadLetters(first: $first, after: $after, reason: $reason) {
        edges { cursor node { reason rule stream partition position line isWhole receivedAt } }
        pageInfo { hasNextPage endCursor }
    }
}
"""


INSERT = """
INSERT INTO dead_letters (stream, partition, position, reason, rule, raw_line, is_whole, default_source)
SELECT 'kafka:logs', 2, 5000000000 + n, CASE n % 2 WHEN 0 THEN 'TIME' ELSE 'VALUE' END, 'A rule.',
    'line ' || n, true, 'tv'
FROM generate_series(1, 5) AS n
"""


@pytest.fixture
def letters(server_database_url: str) -> None:
    with psycopg.connect(server_database_url) as connection:
        connection.execute("DELETE FROM dead_letters")
        connection.execute(INSERT)


def page(ask: Ask, operator: Member, **variables: Any) -> dict[str, Any]:
    body = ask(LETTERS, operator.token, **variables)
    assert "errors" not in body, body
    found: dict[str, Any] = body["data"]["deadLetters"]
    return found


@pytest.mark.usefixtures("letters")
def test_dead_letters_are_paged_newest_first(ask: Ask, operator: Member, member: Member) -> None:
    assert code(ask(LETTERS, member.token, first=1)) == "FORBIDDEN"
    first = page(ask, operator, first=3)
    assert [edge["node"]["line"] for edge in first["edges"]] == ["line 5", "line 4", "line 3"]
    node = first["edges"][0]["node"]
    assert (node["stream"], node["partition"], node["position"]) == ("kafka:logs", 2, "5000000005")
    assert (node["reason"], node["rule"], node["isWhole"]) == ("VALUE", "A rule.", True)
    rest = page(ask, operator, first=3, after=first["pageInfo"]["endCursor"])
    assert [edge["node"]["line"] for edge in rest["edges"]] == ["line 2", "line 1"]
    assert not rest["pageInfo"]["hasNextPage"]


@pytest.mark.usefixtures("letters")
def test_a_reason_selects_dead_letters(ask: Ask, operator: Member) -> None:
    found = page(ask, operator, first=1, reason="TIME")
    assert [edge["node"]["line"] for edge in found["edges"]] == ["line 4"]
    cursor = found["pageInfo"]["endCursor"]
    rest = page(ask, operator, first=5, reason="TIME", after=cursor)
    assert [edge["node"]["line"] for edge in rest["edges"]] == ["line 2"]
    assert code(ask(LETTERS, operator.token, first=1, reason="VALUE", after=cursor)) == "BAD_USER_INPUT"


REPLAY = """mutation ($reason: DeadLetterReason, $before: String) {
    replayDeadLetters(input: { reason: $reason, before: $before }) { stored repeated refused next } }"""
NOTED = "SELECT count(*) FROM audit_log WHERE act = 'replayDeadLetters'"
VALID = """
INSERT INTO dead_letters (stream, partition, position, reason, rule, raw_line, is_whole, default_source)
SELECT 'kafka:logs', 2, 1, 'UNKNOWN_MOVIE', 'No such movie.', '{"version":1,"kind":"rating","user":"u-9",'
    || '"time":"2026-01-01T00:00:00Z","value":4,"movie":{"imdbId":"' || imdb_id || '"}}', true, 'tv'
FROM movies WHERE imdb_id IS NOT NULL ORDER BY id LIMIT 1
"""


@pytest.mark.usefixtures("letters")
def test_letters_that_are_valid_now_are_stored(ask: Ask, operator: Member, server_database_url: str) -> None:
    with psycopg.connect(server_database_url) as connection:
        connection.execute(VALID)

    def replay(**variables: Any) -> dict[str, Any]:
        body = ask(REPLAY, operator.token, **variables)
        assert "errors" not in body, body
        found: dict[str, Any] = body["data"]["replayDeadLetters"]
        return found

    first = replay(reason="VALUE")
    assert (first["stored"], first["refused"]) == (0, 3)
    whole = replay()
    assert (whole["stored"], whole["repeated"], whole["refused"]) == (1, 0, 5)
    assert replay(before=whole["next"]) == {"stored": 0, "repeated": 0, "refused": 0, "next": None}
    assert len(page(ask, operator, first=10)["edges"]) == 5
    assert code(ask(REPLAY, operator.token, before="newest")) == "BAD_USER_INPUT"
    with psycopg.connect(server_database_url) as connection:
        noted = connection.execute(
            "SELECT count(*) FROM audit_log WHERE act = 'replayDeadLetters'"
        ).fetchone()
    assert noted is not None
    assert noted[0] >= 3
