"""Roles and API keys, and the audit log of operators."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.schema.conftest import Ask, Member, code, outcome, promoted, sign_up

SET_ROLE = """
mutation ($username: String!, $role: Role!) { setRole(input: { username: $username, role: $role }) {
    __typename ... on SetRolePayload { username role } ... on Error { message }
} }
"""
CREATE = """
mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
    __typename
    ... on CreateApiKeyPayload { key apiKey { id name beginning scopes expiresAt revokedAt lastUsedAt } }
    ... on Error { message }
} }
"""
REVOKE = """
mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) {
    __typename ... on RevokeApiKeyPayload { apiKey { id revokedAt } } ... on Error { message }
} }
"""
KEYS = "query ($first: Int!) { apiKeys(first: $first) { edges { node { id name lastUsedAt } } } }"
AUDIT = """
query ($first: Int!, $after: String) { auditLog(first: $first, after: $after) {
    edges { node { begunAt act arguments outcome address username apiKeyName } }
    pageInfo { hasNextPage endCursor }
} }
"""


def acts(ask: Ask, token: str, first: int = 20) -> list[dict[str, Any]]:
    edges = ask(AUDIT, token, first=first)["data"]["auditLog"]["edges"]
    return [edge["node"] for edge in edges]


def create(ask: Ask, operator: Member, **given: Any) -> dict[str, Any]:
    return outcome(
        ask(CREATE, operator.token, input={"name": "ingest", "scopes": ["READ"]} | given), "createApiKey"
    )


def test_a_role_applies_from_the_next_request(ask: Ask, operator: Member, member: Member) -> None:
    assert code(ask(AUDIT, member.token, first=1)) == "FORBIDDEN"
    given = outcome(ask(SET_ROLE, operator.token, username=member.username.upper(), role="ADMIN"), "setRole")
    assert given == {"__typename": "SetRolePayload", "username": member.username, "role": "ADMIN"}
    assert acts(ask, member.token, 1)[0]["act"] == "setRole"
    outcome(ask(SET_ROLE, operator.token, username=member.username, role="USER"), "setRole")
    assert code(ask(AUDIT, member.token, first=1)) == "FORBIDDEN"


@pytest.mark.parametrize("username", ["nobody-of-this-name", "", "nul\0", "simulated-4"])
def test_roles_that_cannot_be_set(ask: Ask, operator: Member, username: str) -> None:
    refused = outcome(ask(SET_ROLE, operator.token, username=username, role="CURATOR"), "setRole")
    assert refused["__typename"] == "MemberNotFound"


def test_each_action_is_logged_with_its_outcome(ask: Ask, operator: Member, member: Member) -> None:
    outcome(ask(SET_ROLE, operator.token, username=member.username, role="CURATOR"), "setRole")
    outcome(ask(SET_ROLE, operator.token, username="nobody", role="CURATOR"), "setRole")
    code(ask(REVOKE, operator.token, id="nonsense"))
    mine = [act for act in acts(ask, operator.token) if act["username"] == operator.username]
    assert [(act["act"], act["outcome"], act["address"]) for act in mine] == [
        ("revokeApiKey", "BAD_USER_INPUT", "127.0.0.1"),
        ("setRole", "MemberNotFound", "127.0.0.1"),
        ("setRole", "SetRolePayload", "127.0.0.1"),
    ]
    assert mine[-1]["arguments"] == {"input": {"username": member.username, "role": "CURATOR"}}
    assert datetime.now(UTC) - datetime.fromisoformat(mine[0]["begunAt"]) < timedelta(minutes=5)


def test_refused_mutations_and_queries_are_not_logged(ask: Ask, operator: Member, member: Member) -> None:
    before = acts(ask, operator.token, 1)
    assert code(ask(SET_ROLE, member.token, username=member.username, role="ADMIN")) == "FORBIDDEN"
    assert code(ask(SET_ROLE, username=member.username, role="ADMIN")) == "UNAUTHENTICATED"
    assert acts(ask, operator.token, 1) == before


def test_pages_of_the_audit_log(ask: Ask, operator: Member) -> None:
    for number in range(3):
        create(ask, operator, name=f"key {number}")
    page = ask(AUDIT, operator.token, first=2)["data"]["auditLog"]
    rest = ask(AUDIT, operator.token, first=1, after=page["pageInfo"]["endCursor"])["data"]["auditLog"]
    names = [edge["node"]["arguments"]["input"]["name"] for edge in page["edges"] + rest["edges"]]
    assert names == ["key 2", "key 1", "key 0"]
    assert code(ask(AUDIT, operator.token, first=1, after="nonsense")) == "BAD_USER_INPUT"
    assert code(ask(AUDIT, operator.token, first=101)) == "BAD_USER_INPUT"


def test_a_key_has_the_permissions_of_its_scopes(ask: Ask, operator: Member) -> None:
    admin = create(ask, operator, name="trainer", scopes=["ADMIN", "READ"])
    assert admin["key"].startswith("mq_")
    assert admin["key"].startswith(admin["apiKey"]["beginning"])
    assert admin["apiKey"]["scopes"] == ["ADMIN", "READ"]
    assert acts(ask, admin["key"], 1)[0]["act"] == "createApiKey"
    reader = create(ask, operator)
    assert code(ask(AUDIT, reader["key"], first=1)) == "FORBIDDEN"
    assert ask("Viewer", reader["key"]) == {"data": {"viewer": None}}
    assert code(ask("RateMovie", reader["key"], movie="TW92aWU6MQ==", stars=4)) == "FORBIDDEN"
    # A key cannot create keys, so a stolen key cannot outlive its revocation.
    assert code(ask(CREATE, admin["key"], input={"name": "more", "scopes": ["ADMIN"]})) == "FORBIDDEN"
    used = ask(KEYS, operator.token, first=2)["data"]["apiKeys"]["edges"]
    assert all(edge["node"]["lastUsedAt"] is not None for edge in used)


def test_a_key_expires_or_is_revoked(ask: Ask, operator: Member, server_database_url: str) -> None:
    revoked, expired = create(ask, operator), create(ask, operator, expiresAt="2999-01-01T00:00:00")
    gone = outcome(ask(REVOKE, operator.token, id=revoked["apiKey"]["id"]), "revokeApiKey")
    assert gone["apiKey"]["revokedAt"] is not None
    again = outcome(ask(REVOKE, operator.token, id=revoked["apiKey"]["id"]), "revokeApiKey")
    assert again["__typename"] == "ApiKeyNotFound"
    assert ask("Viewer", expired["key"]) == {"data": {"viewer": None}}
    with psycopg.connect(server_database_url) as connection:
        connection.execute("UPDATE api_keys SET expires_at = now() WHERE expires_at IS NOT NULL")
    for key in (revoked["key"], expired["key"], "mq_", "mq_" + "x" * 3000):
        assert code(ask("Viewer", key)) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\nb"},
        {"scopes": []},
        {"expiresAt": "2001-01-01T00:00:00Z"},
    ],
)
def test_invalid_keys_are_refused(ask: Ask, operator: Member, given: dict[str, Any]) -> None:
    assert create(ask, operator, **given)["__typename"] == "InvalidApiKey"


def test_only_a_hash_of_a_key_is_stored(ask: Ask, operator: Member, server_database_url: str) -> None:
    key = create(ask, operator)["key"]
    with psycopg.connect(server_database_url) as connection:
        (stored,) = connection.execute("SELECT string_agg(k::text, ' ') FROM api_keys AS k").fetchone() or (
            "",
        )
        (noted,) = connection.execute("SELECT string_agg(a::text, ' ') FROM audit_log AS a").fetchone() or (
            "",
        )
    assert key[:9] in stored
    assert key[9:] not in stored + noted


def test_a_curator_is_not_an_administrator(ask: Ask, server_database_url: str) -> None:
    curator = promoted(sign_up(ask), server_database_url, "CURATOR")
    assert code(ask(KEYS, curator.token, first=1)) == "FORBIDDEN"
    assert code(ask(AUDIT, curator.token, first=1)) == "FORBIDDEN"


def test_a_deleted_member_and_their_ratings_are_removed(ask: Ask, operator: Member, member: Member) -> None:
    movies = ask("{ movies(first: 1) { edges { node { id ratingCount } } } }")["data"]["movies"]
    movie = movies["edges"][0]["node"]
    outcome(ask("RateMovie", member.token, movie=movie["id"], stars=5), "rateMovie")
    gone = outcome(ask("DeleteUser", operator.token, username=member.username.upper()), "deleteUser")
    assert gone == {"__typename": "DeleteUserPayload", "deletedUserId": member.id}
    after = ask("query ($id: ID!) { movie(id: $id) { id ratingCount } }", id=movie["id"])
    assert after["data"]["movie"] == movie
    assert code(ask("{ viewer { id } }", member.token)) == "UNAUTHENTICATED"
    again = outcome(ask("DeleteUser", operator.token, username=member.username), "deleteUser")
    assert again["__typename"] == "UserNotFound"


def test_administrators_see_the_settings_without_secrets(ask: Ask, operator: Member, member: Member) -> None:
    query = "{ settings { name value default source isSecret description } }"
    assert code(ask(query, member.token)) == "FORBIDDEN"
    answer = ask(query, operator.token)
    found = {setting["name"]: setting for setting in answer["data"]["settings"]}
    assert found["PORT"]["value"] == "0"
    assert (found["PORT"]["default"], found["PORT"]["source"]) == ("8000", "ENVIRONMENT")
    assert found["MAX_COST"]["source"] == "DEFAULT"
    for name in ("DATABASE_URL", "SECRET_KEY"):
        assert (found[name]["isSecret"], found[name]["value"]) == (True, None)
    assert "a secret of the tests" not in str(answer)
