"""Logs contain no secrets, even at the most verbose level and with errors."""

import httpx
import psycopg

from tests.schema.conftest import asking, code, outcome, promoted, sign_up
from tests.services import StartServer

KEY = """
mutation { createApiKey(input: { name: "trainer", scopes: [ADMIN] }) { ... on CreateApiKeyPayload { key } } }
"""
GUESS = "a guess of the password"
NEW = "another long walk"
CHANGE = """
mutation ($current: String!, $new: String!) {
    changePassword(input: { currentPassword: $current, newPassword: $new }) { __typename }
}
"""


def test_secrets_are_never_logged(
    http: httpx.Client, operations: dict[str, str], database_url: str, start_server: StartServer
) -> None:
    service = start_server(database_url, LOG_LEVEL="debug")
    ask = asking(service.url, http, operations)
    member = promoted(sign_up(ask), database_url, "ADMIN")
    outcome(ask("LogIn", username=member.username, password=GUESS), "logIn")
    renewed = outcome(ask("RefreshSession", refreshToken=member.refresh_token), "refreshSession")
    key = outcome(ask(KEY, renewed["accessToken"]), "createApiKey")["key"]
    for current, to, came in (
        (GUESS, NEW, "InvalidCredentials"),
        (member.password, GUESS[:7], "WeakPassword"),
    ):
        changed = outcome(ask(CHANGE, renewed["accessToken"], current=current, new=to), "changePassword")
        assert changed["__typename"] == came
    ask("Viewer", key)
    ask("Viewer", f"{renewed['accessToken']}x")
    inline = f'mutation {{ logIn(input: {{ username: "ada", password: "{GUESS}" }}) {{ nonsense }} }}'
    assert code(ask(inline)) == "BAD_USER_INPUT"

    # From here on requests fail with internal errors.
    with psycopg.connect(database_url) as connection:
        (password_hash,) = connection.execute("SELECT password_hash FROM users").fetchone() or ("",)
        connection.execute("ALTER TABLE refresh_tokens RENAME TO gone")
        connection.execute("ALTER TABLE users ADD CONSTRAINT no_more CHECK (username <> 'another')")
        connection.execute("ALTER TABLE api_keys RENAME COLUMN key_hash TO gone")
    for failing in (
        ask("LogIn", username=member.username, password=member.password),
        ask("RefreshSession", refreshToken=renewed["refreshToken"]),
        ask("SignUp", username="another", password=member.password),
        ask("Viewer", key),
        ask(KEY, renewed["accessToken"]),
    ):
        assert code(failing) == "INTERNAL"

    log = service.log.read_text()
    assert log.count("INTERNAL") == 5
    assert "refresh_tokens" in log
    assert "no_more" in log
    secrets = [
        member.password,
        GUESS,
        NEW,
        member.token,
        member.refresh_token,
        renewed["accessToken"],
        renewed["refreshToken"],
        key,
        password_hash,
        "a secret of the tests, long enough",
        "$argon2",
    ]
    assert [secret for secret in secrets if secret in log] == []
