"""Movie nights: who may name whom, until when, and how many."""

from uuid import uuid4

import psycopg

from tests.schema.conftest import Ask, Member, code, outcome, sign_up

NIGHT = "{ viewer { night { code endsAt usernames } } }"
OPEN = "mutation { openNight { night { code usernames } } }"
LEAVE = "mutation { leaveNight { left } }"
JOIN = """mutation ($code: ID!) { joinNight(input: { code: $code }) {
    __typename ... on JoinNightPayload { night { usernames } } ... on Error { message } } }"""
LIST = """query ($usernames: [String!]!) { groupRecommendations(usernames: $usernames, first: 3) {
    edges { members { username } } } }"""
MOST = 10


def opened(ask: Ask, host: Member) -> str:
    night = ask(OPEN, host.token)["data"]["openNight"]["night"]
    assert night["usernames"] == [host.username]
    return str(night["code"])


def joined(ask: Ask, guest: Member, night: str) -> list[str]:
    names: list[str] = outcome(ask(JOIN, guest.token, code=night), "joinNight")["night"]["usernames"]
    return names


def may_name(ask: Ask, viewer: Member, other: Member) -> bool:
    answer = ask(LIST, viewer.token, usernames=[viewer.username, other.username])
    if "errors" in answer:
        assert code(answer) == "BAD_USER_INPUT"
        return False
    edges = answer["data"]["groupRecommendations"]["edges"]
    names = [viewer.username, other.username]
    assert all([member["username"] for member in edge["members"]] == names for edge in edges)
    return True


def test_those_of_a_night_may_name_each_other_until_they_leave(ask: Ask) -> None:
    host, guest, other, stranger = (sign_up(ask) for _ in range(4))
    night = opened(ask, host)
    assert not may_name(ask, host, guest)
    assert joined(ask, guest, night) == [host.username, guest.username]
    assert joined(ask, guest, night) == [host.username, guest.username]  # once
    assert len(joined(ask, other, night)) == 3
    for viewer, named in ((host, guest), (guest, host), (guest, other)):
        assert may_name(ask, viewer, named)
    assert not may_name(ask, stranger, host)
    assert not may_name(ask, host, stranger)
    assert ask(LEAVE, host.token)["data"]["leaveNight"] == {"left": True}
    assert ask(LEAVE, host.token)["data"]["leaveNight"] == {"left": False}
    assert not may_name(ask, guest, host)
    assert may_name(ask, guest, other)
    assert ask(NIGHT, host.token)["data"]["viewer"] == {"night": None}
    assert ask(NIGHT, guest.token)["data"]["viewer"]["night"]["usernames"] == [guest.username, other.username]


def test_a_night_ends(ask: Ask, server_database_url: str) -> None:
    host, guest, late = (sign_up(ask) for _ in range(3))
    night = opened(ask, host)
    joined(ask, guest, night)
    with psycopg.connect(server_database_url) as connection:
        connection.execute("UPDATE night_members SET ends_at = now() WHERE night = %s", (night,))
    assert not may_name(ask, host, guest)
    assert ask(NIGHT, host.token)["data"]["viewer"] == {"night": None}
    refused = outcome(ask(JOIN, late.token, code=night), "joinNight")
    assert (refused["__typename"], "has ended" in refused["message"]) == ("InvalidNight", True)


def test_a_member_has_one_night_and_a_night_few_members(ask: Ask) -> None:
    host, guest = sign_up(ask), sign_up(ask)
    first, second = opened(ask, host), opened(ask, guest)
    joined(ask, host, second)
    for gone in (first, str(uuid4()), "not a code"):
        assert outcome(ask(JOIN, guest.token, code=gone), "joinNight")["__typename"] == "InvalidNight"
    assert may_name(ask, host, guest)
    for _ in range(MOST - 2):
        joined(ask, sign_up(ask), second)
    refused = outcome(ask(JOIN, sign_up(ask).token, code=second), "joinNight")
    assert str(MOST) in refused["message"]
