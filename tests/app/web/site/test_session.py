"""`POST /session`: the cookie, the origin, the limits, and renewals of two tabs."""

from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.accounts.browser_sessions import COOKIE, MAX_BODY_BYTES

PASSWORD = "a long password"


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, headers={"Origin": server}) as client:
        yield client


def post(client: httpx.Client, action: str, **more: str) -> httpx.Response:
    return client.post("/session", json={"action": action, **more})


def sign_up(client: httpx.Client) -> dict[str, Any]:
    answer = post(client, "signUp", username=f"member-{uuid4().hex[:10]}", password=PASSWORD)
    session: dict[str, Any] = answer.json()["session"]
    return session


def viewer(client: httpx.Client, token: str) -> Any:
    asked = {"query": "{ viewer { username } }"}
    return client.post("/graphql", json=asked, headers={"Authorization": f"Bearer {token}"}).json()


def test_the_refresh_token_is_in_a_cookie_that_scripts_cannot_read(client: httpx.Client) -> None:
    answer = post(client, "signUp", username=f"cookie-{uuid4().hex[:10]}", password=PASSWORD)
    cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/session")
    assert cookie["secure"] == ""  # on loopback
    assert cookie.value not in answer.text
    assert answer.headers["cache-control"] == "no-store, no-transform"
    session = answer.json()["session"]
    assert viewer(client, session["accessToken"])["data"]["viewer"]["username"] == session["username"]


@pytest.mark.parametrize(
    ("headers", "secure"),
    [
        ({}, False),
        ({"X-Forwarded-Proto": "https"}, True),
        ({"Host": "marquee.example", "Origin": "http://marquee.example"}, True),
    ],
)
def test_the_cookie_is_secure_unless_on_loopback(
    client: httpx.Client, headers: dict[str, str], secure: bool
) -> None:
    asked = {"action": "signUp", "username": f"secure-{uuid4().hex[:10]}", "password": PASSWORD}
    answer = client.post("/session", json=asked, headers=headers)
    assert bool(SimpleCookie(answer.headers["set-cookie"])[COOKIE]["secure"]) is secure


def test_two_tabs_that_refresh_with_the_same_cookie_stay_signed_in(client: httpx.Client) -> None:
    first = sign_up(client)
    token = client.cookies[COOKIE]
    for _ in range(2):  # the second sends the replaced token
        client.cookies.clear()
        client.cookies.set(COOKIE, token, path="/session")
        session = post(client, "refresh").json()["session"]
        assert session["username"] == first["username"]
        assert viewer(client, session["accessToken"])["data"]["viewer"]


def test_log_out_ends_the_session_and_clears_the_cookie(client: httpx.Client) -> None:
    session = sign_up(client)
    token = client.cookies[COOKIE]
    answer = post(client, "logOut")
    assert answer.json() == {"session": None}
    assert COOKIE not in client.cookies
    refused = viewer(client, session["accessToken"])
    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    client.cookies.set(COOKIE, token, path="/session")
    assert post(client, "refresh").json() == {"session": None}


def test_a_visitor_has_no_session(client: httpx.Client) -> None:
    answer = post(client, "refresh")
    assert (answer.json(), "set-cookie" in answer.headers) == ({"session": None}, False)


def test_expected_failures_name_the_field(client: httpx.Client) -> None:
    member = sign_up(client)["username"]
    for action, username, password, field in (
        ("signUp", member, PASSWORD, "username"),
        ("signUp", "!", PASSWORD, "username"),
        ("signUp", f"weak-{uuid4().hex[:10]}", "password", "password"),
        ("logIn", member, "a wrong password", "password"),
    ):
        answer = post(client, action, username=username, password=password)
        assert (answer.status_code, answer.json()["problem"]["field"]) == (200, field)
        assert "set-cookie" not in answer.headers
    assert post(client, "logIn", username=member, password=PASSWORD).json()["session"]["username"] == member


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Origin": "https://strangers.example"}, '{"action": "refresh"}', 403),
        ({"Origin": ""}, '{"action": "refresh"}', 403),
        ({"Sec-Fetch-Site": "cross-site"}, '{"action": "refresh"}', 403),
        ({"Sec-Fetch-Site": "same-site"}, '{"action": "refresh"}', 403),
        ({"Content-Type": "text/plain"}, '{"action": "refresh"}', 415),
        ({}, "{", 400),
        ({}, "[]", 400),
        ({}, '{"action": "sudo"}', 400),
        ({}, '{"action": "logIn", "username": 1}', 400),
        ({}, '{"action": "logIn", "username": "' + MAX_BODY_BYTES * "x" + '"}', 413),
    ],
)
def test_other_requests_are_refused(
    client: httpx.Client, headers: dict[str, str], body: str, status: int
) -> None:
    sent = {"Content-Type": "application/json", **headers}
    answer = client.post("/session", content=body, headers=sent)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_only_post_is_answered(client: httpx.Client) -> None:
    assert client.get("/session").status_code == 405
