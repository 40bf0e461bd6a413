"""Sessions: list them, end them, and throttling of log-ins."""

import httpx
import pytest

from tests.schema.conftest import Ask, Member, asking, code, outcome, sign_up

SESSIONS = """
query ($first: Int!, $after: String) { viewer { sessions(first: $first, after: $after) {
    edges { cursor node { id createdAt lastUsedAt expiresAt address agent isCurrent } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
} } }
"""
END = """
mutation ($id: ID!) { endSession(input: { sessionId: $id }) {
    __typename ... on EndSessionPayload { endedSessionId } ... on Error { message }
} }
"""


@pytest.fixture
def phone(server: str, http: httpx.Client, operations: dict[str, str]) -> Ask:
    """A client with another address and a user agent."""
    return asking(server, http, operations, X_Forwarded_For="203.0.113.9", User_Agent="Phone 1.0\tbeta")


def log_in(ask: Ask, member: Member) -> str:
    signed_in = outcome(ask("LogIn", username=member.username, password=member.password), "logIn")
    token: str = signed_in["accessToken"]
    return token


def test_sessions_are_listed_and_ended_one_by_one(ask: Ask, phone: Ask, member: Member) -> None:
    token = log_in(phone, member)
    listed = ask(SESSIONS, member.token, first=10)["data"]["viewer"]["sessions"]["edges"]
    there, here = (edge["node"] for edge in listed)
    assert (there["address"], there["agent"], there["isCurrent"]) == ("203.0.113.9", "Phone 1.0beta", False)
    assert (here["address"], here["isCurrent"]) == ("127.0.0.1", True)
    assert there["lastUsedAt"] == there["createdAt"] < there["expiresAt"]

    assert outcome(ask(END, member.token, id=there["id"]), "endSession")["endedSessionId"] == there["id"]
    assert code(phone("Viewer", token)) == "UNAUTHENTICATED"
    assert ask("Viewer", member.token)["data"]["viewer"]["id"] == member.id
    left = ask(SESSIONS, member.token, first=10)["data"]["viewer"]["sessions"]["edges"]
    assert [edge["node"]["id"] for edge in left] == [here["id"]]
    again = outcome(ask(END, member.token, id=there["id"]), "endSession")
    assert again["__typename"] == "SessionNotFound"


def test_a_refresh_is_shown(ask: Ask, member: Member) -> None:
    renewed = outcome(ask("RefreshSession", refreshToken=member.refresh_token), "refreshSession")
    (edge,) = ask(SESSIONS, renewed["accessToken"], first=1)["data"]["viewer"]["sessions"]["edges"]
    assert edge["node"]["lastUsedAt"] > edge["node"]["createdAt"]


def test_pages_of_sessions(ask: Ask, member: Member) -> None:
    for _ in range(4):
        log_in(ask, member)
    seen, after = [], None
    while True:
        page = ask(SESSIONS, member.token, first=2, after=after)["data"]["viewer"]["sessions"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len(set(seen)) == 5
    for wrong in (
        "nonsense",
        "WyJzZXNzaW9ucyIsMV0",
        "WyJzZXNzaW9ucyIsMSwieCJd",
    ):  # ["sessions",1], ["sessions",1,"x"]
        assert code(ask(SESSIONS, member.token, first=2, after=wrong)) == "BAD_USER_INPUT"
    assert code(ask(SESSIONS, member.token, first=0)) == "BAD_USER_INPUT"


def test_sessions_of_another_member_are_not_accessible(ask: Ask, member: Member) -> None:
    (edge,) = ask(SESSIONS, member.token, first=1)["data"]["viewer"]["sessions"]["edges"]
    id_ = edge["node"]["id"]
    other = sign_up(ask)
    assert outcome(ask(END, other.token, id=id_), "endSession")["__typename"] == "SessionNotFound"
    node = "query ($id: ID!) { node(id: $id) { id ... on Session { isCurrent } } }"
    assert ask(node, other.token, id=id_)["data"]["node"] is None
    assert ask(node, member.token, id=id_)["data"]["node"] == {"id": id_, "isCurrent": True}
    assert code(ask(END, id=id_)) == "UNAUTHENTICATED"
    for wrong in (member.id, "nonsense", "U2Vzc2lvbjox"):  # Session:1
        assert code(ask(END, member.token, id=wrong)) == "BAD_USER_INPUT"


def test_wrong_passwords_are_throttled_by_address(
    server: str, http: httpx.Client, operations: dict[str, str], ask: Ask, member: Member
) -> None:
    thief = asking(server, http, operations, X_Forwarded_For="198.51.100.3")
    guesses = [
        outcome(thief("LogIn", username=name, password="a guess"), "logIn")
        for name in [member.username] * 6 + ["nobody-of-this-name"] * 6
    ]
    assert [guess["__typename"] for guess in guesses] == (
        ["InvalidCredentials"] * 5 + ["TooManyAttempts"]
    ) * 2
    wait = """mutation ($name: String!) { logIn(input: { username: $name, password: "x" }) {
        ... on TooManyAttempts { waitSeconds }
    } }"""
    assert 0 < outcome(thief(wait, name=member.username), "logIn")["waitSeconds"] <= 30
    assert log_in(ask, member)


ALL = "mutation { endAllSessions { ... on EndAllSessionsPayload { endedSessions } } }"
OTHERS = "mutation { endOtherSessions { ... on EndOtherSessionsPayload { endedSessions } } }"
CHANGE = """
mutation ($current: String!, $new: String!) {
  changePassword(input: { currentPassword: $current, newPassword: $new }) {
    __typename ... on ChangePasswordPayload { endedSessions viewer { id } } ... on Error { message }
  }
}
"""


def test_sessions_are_ended_together(ask: Ask, phone: Ask, member: Member) -> None:
    there = log_in(phone, member)
    assert outcome(ask(OTHERS, member.token), "endOtherSessions") == {"endedSessions": 1}
    assert code(phone("Viewer", there)) == "UNAUTHENTICATED"
    assert ask("Viewer", member.token)["data"]["viewer"]["id"] == member.id
    there = log_in(phone, member)
    assert outcome(ask(ALL, member.token), "endAllSessions") == {"endedSessions": 2}
    assert code(phone("Viewer", there)) == code(ask("Viewer", member.token)) == "UNAUTHENTICATED"


def test_changing_the_password(ask: Ask, phone: Ask, member: Member) -> None:
    there = log_in(phone, member)
    new = "another long walk"
    refused = outcome(ask(CHANGE, member.token, current="a guess", new=new), "changePassword")
    assert refused == {"__typename": "InvalidCredentials", "message": "The current password is wrong."}
    weak = outcome(ask(CHANGE, member.token, current=member.password, new="password"), "changePassword")
    assert weak["__typename"] == "WeakPassword"
    assert phone("Viewer", there)["data"]["viewer"]["id"] == member.id
    changed = outcome(ask(CHANGE, member.token, current=member.password, new=new), "changePassword")
    assert changed == {
        "__typename": "ChangePasswordPayload",
        "endedSessions": 1,
        "viewer": {"id": member.id},
    }
    assert code(phone("Viewer", there)) == "UNAUTHENTICATED"
    assert ask("Viewer", member.token)["data"]["viewer"]["id"] == member.id
    former = outcome(ask("LogIn", username=member.username, password=member.password), "logIn")
    assert former["__typename"] == "InvalidCredentials"
    assert outcome(ask("LogIn", username=member.username, password=new), "logIn")["accessToken"]
