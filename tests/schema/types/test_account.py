"""Accounts over the API."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.accounts import authentication
from app.db.engine import create_engine, sessionmaker
from app.settings import Settings
from tests.app.accounts.conftest import viewer_of
from tests.schema.conftest import Ask, Member, asking, code, outcome, sign_up
from tests.services import StartServer


def test_signing_up_signs_in(ask: Ask, member: Member) -> None:
    viewer = ask("Viewer", member.token)["data"]["viewer"]
    assert (viewer["id"], viewer["username"]) == (member.id, member.username)
    assert datetime.now(UTC) - datetime.fromisoformat(viewer["createdAt"]) < timedelta(minutes=5)
    assert viewer["favoriteGenres"] == []
    assert viewer["ratings"]["totalCount"] == 0
    assert viewer["ratings"]["pageInfo"] == {"hasNextPage": False, "endCursor": None}


OWN = """{ ... on AuthPayload { refreshToken viewer {
  username discoverable ratings(first: 1) { totalCount } taste { __typename } } } }"""
IN = f"""mutation ($name: String!, $password: String!) {{
  logIn(input: {{username: $name, password: $password}}) {OWN} }}"""
AGAIN = f"mutation ($old: String!) {{ refreshSession(input: {{refreshToken: $old}}) {OWN} }}"


def test_the_answer_that_signs_in_has_what_only_the_member_sees(ask: Ask, member: Member) -> None:
    other = sign_up(ask)
    for token in (None, other.token):  # also for a client who was another member before
        answer = ask(IN, token, name=member.username, password=member.password)
        assert "errors" not in answer
        found = answer["data"]["logIn"]
        assert found["viewer"]["username"] == member.username
        assert found["viewer"]["ratings"] == {"totalCount": 0}
        assert found["viewer"]["discoverable"] is False
        again = ask(AGAIN, old=found["refreshToken"])
        assert again["data"]["refreshSession"]["viewer"] == found["viewer"]


def test_a_signed_out_client_has_no_viewer(ask: Ask) -> None:
    assert ask("Viewer") == {"data": {"viewer": None}}


@pytest.mark.parametrize(
    ("username", "password", "expected"),
    [
        ("no spaces please", "a long walk home", "InvalidUsername"),
        ("nul\0", "a long walk home", "InvalidUsername"),
        ("", "a long walk home", "InvalidUsername"),
        ("fine", "short", "WeakPassword"),
        ("fine", "password123", "WeakPassword"),
        pytest.param("fine", "x1y2" * 33, "WeakPassword", id="a long one"),
        pytest.param("é" * 65, "a long walk home", "InvalidUsername", id="a long name"),
    ],
)
def test_invalid_sign_ups_are_refused(ask: Ask, username: str, password: str, expected: str) -> None:
    refused = outcome(ask("SignUp", username=username, password=password), "signUp")
    assert refused["__typename"] == expected
    assert len(refused["message"]) < 200


@pytest.mark.parametrize("field", ["username", "password"])
def test_a_sign_up_with_a_large_value_is_refused(ask: Ask, field: str) -> None:
    given = {"username": "fine", "password": "a long walk home"} | {field: "x1y2" * 100_000}
    (error,) = ask("SignUp", **given)["errors"]
    assert error["extensions"]["argument"] == f"signUp.input.{field}"
    assert error["extensions"]["asked"] == 400_000
    assert len(error["message"]) < 200


def test_usernames_are_unique(ask: Ask, member: Member) -> None:
    again = ask("SignUp", username=member.username.upper(), password="another long walk")
    assert outcome(again, "signUp")["__typename"] == "UsernameTaken"


def test_logging_in(ask: Ask, member: Member) -> None:
    payload = outcome(ask("LogIn", username=member.username, password=member.password), "logIn")
    assert payload["__typename"] == "AuthPayload"
    assert payload["viewer"] == {"id": member.id, "username": member.username}
    assert datetime.fromisoformat(payload["expiresAt"]) > datetime.now(UTC)
    assert ask("Viewer", payload["accessToken"])["data"]["viewer"]["id"] == member.id


def test_a_failed_log_in_has_no_reason(ask: Ask, member: Member) -> None:
    attempts = [(member.username, "wrong password"), ("nobody-of-this-name", member.password), ("nul\0", "x")]
    answers = [outcome(ask("LogIn", username=name, password=word), "logIn") for name, word in attempts]
    assert answers[0]["__typename"] == "InvalidCredentials"
    assert answers[1:] == answers[:1] * 2


def test_refreshing_and_reuse_of_a_token(ask: Ask, member: Member) -> None:
    renewed = outcome(ask("RefreshSession", refreshToken=member.refresh_token), "refreshSession")
    assert renewed["viewer"]["id"] == member.id
    again = outcome(ask("RefreshSession", refreshToken=member.refresh_token), "refreshSession")
    for token in (renewed["accessToken"], again["accessToken"]):
        assert ask("Viewer", token)["data"]["viewer"]["id"] == member.id
    last = outcome(ask("RefreshSession", refreshToken=again["refreshToken"]), "refreshSession")
    assert last["__typename"] == "AuthPayload"
    stolen = outcome(ask("RefreshSession", refreshToken=member.refresh_token), "refreshSession")
    assert stolen["__typename"] == "InvalidRefreshToken"
    for token in (member.token, renewed["accessToken"], last["accessToken"]):
        assert code(ask("Viewer", token)) == "UNAUTHENTICATED"
    after = outcome(ask("RefreshSession", refreshToken=last["refreshToken"]), "refreshSession")
    assert after["__typename"] == "InvalidRefreshToken"


def test_logging_out_ends_the_session(ask: Ask, member: Member) -> None:
    assert outcome(ask("LogOut", member.token), "logOut")["viewer"] == {"id": member.id}
    assert code(ask("Viewer", member.token)) == "UNAUTHENTICATED"
    refused = outcome(ask("RefreshSession", refreshToken=member.refresh_token), "refreshSession")
    assert refused["__typename"] == "InvalidRefreshToken"
    for token in (None, member.token):
        assert outcome(ask("LogOut", token), "logOut")["__typename"] == "NotSignedIn"


def test_a_session_ended_by_another_process_has_ended(
    http: httpx.Client, operations: dict[str, str], database_url: str, start_server: StartServer
) -> None:
    ask = asking(start_server(database_url).url, http, operations)
    member = sign_up(ask)
    assert ask("Viewer", member.token)["data"]["viewer"]["id"] == member.id
    asyncio.run(log_out_here(database_url, member))
    assert code(ask("Viewer", member.token)) == "UNAUTHENTICATED"


async def log_out_here(database_url: str, member: Member) -> None:
    secret_key = "a secret of the tests, long enough"
    settings = Settings.model_validate({"database_url": database_url, "secret_key": secret_key})
    engine = create_engine(database_url, settings)
    viewer = await viewer_of(sessionmaker(engine), settings, member.token)
    assert viewer is not None
    await authentication.log_out(sessionmaker(engine), viewer)
    await engine.dispose()


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", pytest.param("x" * 3000, id="a large one")])
def test_an_invalid_token_is_refused_and_not_treated_as_signed_out(ask: Ask, token: str) -> None:
    assert code(ask("Viewer", token)) == "UNAUTHENTICATED"


def test_choosing_favorite_genres(ask: Ask, member: Member) -> None:
    genres = ask("{ genres { id name } }")["data"]["genres"]
    chosen = [genres[3], genres[0]]
    payload = outcome(
        ask("SetFavoriteGenres", member.token, genres=[genre["id"] for genre in chosen]), "setFavoriteGenres"
    )
    assert payload["viewer"] == {"id": member.id, "favoriteGenres": chosen}
    assert ask("Viewer", member.token)["data"]["viewer"]["favoriteGenres"] == chosen


def test_invalid_favorite_genres_are_refused(ask: Ask, member: Member) -> None:
    unknown = "R2VucmU6OTk5OTk5"  # Genre:999999
    refused = outcome(ask("SetFavoriteGenres", member.token, genres=[unknown]), "setFavoriteGenres")
    assert refused["__typename"] == "GenreNotFound"
    for wrong in ("nonsense", member.id, "R2VucmU6MS41", "R2VucmU6OTk5OTk5OTk5OTk5OTk5OTk5OTk5"):
        assert code(ask("SetFavoriteGenres", member.token, genres=[wrong])) == "BAD_USER_INPUT"
    assert code(ask("SetFavoriteGenres", genres=[])) == "UNAUTHENTICATED"


def test_a_member_is_a_node_only_for_themselves(ask: Ask, member: Member) -> None:
    other = sign_up(ask)
    query = "query ($id: ID!) { node(id: $id) { id ... on User { username favoriteGenres { name } } } }"
    own = ask(query, member.token, id=member.id)["data"]["node"]
    assert own == {"id": member.id, "username": member.username, "favoriteGenres": []}
    assert ask(query, member.token, id=other.id)["data"]["node"] is None
    assert ask(query, id=member.id)["data"]["node"] is None
