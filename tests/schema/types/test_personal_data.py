"""Export and deletion of personal data."""

import httpx
import psycopg
import pytest

from tests.schema.conftest import Ask, Member, code, outcome, sign_up

SET_ROLE = (
    "mutation ($username: String!) { setRole(input: { username: $username, role: CURATOR }) { __typename } }"
)
MOVIE = "{ movies(first: 1) { edges { node { id title } } } }"
DISCOVERABLE = """
mutation ($yes: Boolean!) { setDiscoverable(input: { discoverable: $yes }) {
    ... on SetDiscoverablePayload { viewer { id discoverable } }
} }
"""


def test_the_export_has_all_data_of_a_member(ask: Ask, member: Member) -> None:
    movie = ask(MOVIE)["data"]["movies"]["edges"][0]["node"]
    genre = ask("{ genres { id name } }")["data"]["genres"][0]
    outcome(ask("RateMovie", member.token, movie=movie["id"], stars=4.5), "rateMovie")
    outcome(ask("SetFavoriteGenres", member.token, genres=[genre["id"]]), "setFavoriteGenres")
    event = {"movieId": movie["id"], "kind": "WATCH", "watchedFraction": 0.5, "idempotencyKey": "one"}
    outcome(ask("RecordFeedback", member.token, events=[event]), "recordFeedback")

    body = ask("ExportMyData", member.token)
    assert "errors" not in body, body
    held = body["data"]["exportMyData"]
    (account,) = held["users"]
    assert (account["username"], account["role"]) == (member.username, "USER")
    (rating,) = held["ratings"]
    assert (rating["stars"], rating["title"]) == (4.5, movie["title"])
    (watched,) = held["feedback"]
    assert (watched["kind"], watched["watchedFraction"], watched["title"]) == ("WATCH", 0.5, movie["title"])
    assert [held["favoriteGenres"][0]["position"], len(held["refreshTokens"])] == [0, 1]
    assert [session["address"] for session in held["sessions"]] == ["127.0.0.1"]
    assert [known["network"] for known in held["knownNetworks"]] == ["127.0.0.1"]
    for secret in ("$argon2", "passwordHash", "tokenHash", member.token, member.refresh_token):
        assert secret not in str(held)


def test_the_export_has_only_data_of_the_viewer(ask: Ask, member: Member) -> None:
    other = sign_up(ask)
    assert other.username not in str(ask("ExportMyData", member.token))
    assert code(ask("ExportMyData")) == "UNAUTHENTICATED"


def test_deleting_the_account(ask: Ask, member: Member, server_database_url: str) -> None:
    movie = ask(MOVIE)["data"]["movies"]["edges"][0]["node"]["id"]
    outcome(ask("RateMovie", member.token, movie=movie, stars=0.5), "rateMovie")
    refused = outcome(ask("DeleteAccount", member.token, password="not the password"), "deleteAccount")
    assert refused["__typename"] == "InvalidCredentials"
    assert ask("Viewer", member.token)["data"]["viewer"]["id"] == member.id

    gone = outcome(ask("DeleteAccount", member.token, password=member.password), "deleteAccount")
    assert gone == {"__typename": "DeleteAccountPayload", "deletedUserId": member.id}
    assert code(ask("Viewer", member.token)) == "UNAUTHENTICATED"
    after = outcome(ask("LogIn", username=member.username, password=member.password), "logIn")
    assert after["__typename"] == "InvalidCredentials"
    assert code(ask("DeleteAccount", password="x")) == "UNAUTHENTICATED"
    with psycopg.connect(server_database_url) as connection:
        wrong = connection.execute(
            "SELECT movie_id FROM movie_stats FULL JOIN "
            "(SELECT movie_id, count(*), sum(half_stars) FROM ratings GROUP BY movie_id) AS counted "
            "USING (movie_id) "
            "WHERE (rating_count, half_stars_sum) IS DISTINCT FROM (count, sum) AND rating_count > 0"
        ).fetchall()
    assert wrong == []


def test_password_guesses_with_a_stolen_token_are_throttled(ask: Ask, member: Member) -> None:
    guesses = [
        outcome(ask("DeleteAccount", member.token, password=f"guess {n}"), "deleteAccount")["__typename"]
        for n in range(6)
    ]
    assert guesses == ["InvalidCredentials"] * 5 + ["TooManyAttempts"]


def test_the_audit_log_does_not_name_a_deleted_member(
    ask: Ask, member: Member, operator: Member, server_database_url: str
) -> None:
    outcome(ask(SET_ROLE, operator.token, username=member.username.upper()), "setRole")
    outcome(ask("DeleteAccount", member.token, password=member.password), "deleteAccount")
    with psycopg.connect(server_database_url) as connection:
        rows = connection.execute("SELECT act, arguments::text FROM audit_log ORDER BY id DESC").fetchall()
    assert rows[0] == ("setRole", '{"input": {"role": "CURATOR"}}')
    assert not any(member.username in arguments.lower() for _, arguments in rows)


def test_a_member_decides_whether_they_are_discoverable(ask: Ask, member: Member) -> None:
    query = "{ viewer { discoverable } }"
    assert ask(query, member.token)["data"]["viewer"]["discoverable"] is False
    for yes in (True, False):
        chosen = outcome(ask(DISCOVERABLE, member.token, yes=yes), "setDiscoverable")
        assert chosen["viewer"] == {"id": member.id, "discoverable": yes}
        assert ask(query, member.token)["data"]["viewer"]["discoverable"] is yes
    assert code(ask(DISCOVERABLE, yes=False)) == "UNAUTHENTICATED"


@pytest.mark.parametrize("password", ["", "\0", pytest.param("x" * 500, id="a long one")])
def test_invalid_passwords_are_refused(ask: Ask, member: Member, password: str) -> None:
    refused = outcome(ask("DeleteAccount", member.token, password=password), "deleteAccount")
    assert refused["__typename"] == "InvalidCredentials"


def test_a_large_export_needs_a_single_response(
    ask: Ask, member: Member, server: str, http: httpx.Client, server_database_url: str
) -> None:
    with psycopg.connect(server_database_url) as connection:
        connection.execute(
            "INSERT INTO feedback (user_id, movie_id, kind, occurred_at, position) "
            "SELECT users.id, (SELECT min(id) FROM movies), 'IMPRESSION', now(), n "
            "FROM users, generate_series(1, 9000) AS n WHERE username = %s",
            (member.username,),
        )
    body = {"query": "{ viewer { username } a: exportMyData b: exportMyData }"}
    headers = {"Authorization": f"Bearer {member.token}"}
    plain = {**headers, "Accept-Encoding": "identity"}
    answer = http.post(f"{server}/graphql", json=body, headers=plain)
    held = answer.json()["data"]
    assert held["viewer"] == {"username": member.username}
    assert [event["position"] for event in held["a"]["feedback"]] == list(range(1, 9001))
    assert held["a"] == held["b"]
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    deferred = {"query": "{ __typename ... @defer { exportMyData } }"}
    for accept, asked in (("text/event-stream", body), ("multipart/mixed", deferred)):
        answer = http.post(f"{server}/graphql", json=asked, headers={**headers, "Accept": accept})
        assert "Request it with POST" in answer.text
    whole = http.post(f"{server}/graphql", json=body, headers={**headers, "Accept": "multipart/mixed"})
    assert whole.json()["data"]["a"] == held["a"]
    assert len(ask("ExportMyData", member.token)["data"]["exportMyData"]["feedback"]) == 9000


def test_a_small_export_is_also_sent_as_an_event(member: Member, server: str, http: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {member.token}", "Accept": "text/event-stream"}
    answer = http.post(f"{server}/graphql", json={"query": "{ exportMyData }"}, headers=headers)
    assert f'"username":"{member.username}"' in answer.text
