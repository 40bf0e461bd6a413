"""Group recommendations: aggregation, privacy of undiscoverable members, refusals."""

from typing import Any

import pytest

from tests.schema.conftest import Ask, Member, code, sign_up

SET_DISCOVERABLE = """
mutation ($discoverable: Boolean!) {
  setDiscoverable(input: { discoverable: $discoverable }) { __typename }
}
"""
PAGES = """
query ($usernames: [String!]!, $first: Int!, $after: String, $filter: MovieFilter) {
  groupRecommendations(usernames: $usernames, first: $first, after: $after, filter: $filter) {
    requestId modelVersion
    edges { cursor rank score node { id genres { name } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


def best_of(ask: Ask, genre: str, count: int) -> list[str]:
    """The ids of the most rated movies of a genre."""
    body = ask(
        "Movies",
        first=count,
        filter={"genres": [genre]},
        orderBy={"field": "POPULARITY", "direction": "DESC"},
    )
    return [edge["node"]["id"] for edge in body["data"]["movies"]["edges"]]


def with_taste(ask: Ask, *, loves: str, loathes: str) -> Member:
    member = findable(ask, sign_up(ask))
    loved = best_of(ask, loves, 12)
    for movie in loved:
        ask("RateMovie", member.token, movie=movie, stars=5.0)
    for movie in best_of(ask, loathes, 12):
        if movie not in loved:
            ask("RateMovie", member.token, movie=movie, stars=1.0)
    return member


def findable(ask: Ask, member: Member) -> Member:
    ask(SET_DISCOVERABLE, member.token, discoverable=True)
    return member


def edges(body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body["data"]["groupRecommendations"]["edges"]
    return found


def test_a_list_for_two_members_with_different_taste(ask: Ask) -> None:
    ada = with_taste(ask, loves="Horror", loathes="Romance")
    ben = with_taste(ask, loves="Romance", loathes="Horror")
    shown = edges(ask("MovieNight", ada.token, usernames=[ada.username, ben.username], first=20))
    assert [edge["rank"] for edge in shown] == list(range(1, 21))
    for edge in shown:
        assert [member["username"] for member in edge["members"]] == [ada.username, ben.username]
        assert all(0 <= member["matchPercent"] <= 100 for member in edge["members"])
    # The lower match of the two is better than on either member's own list.
    group = sum(min(member["matchPercent"] for member in edge["members"]) for edge in shown) / 20
    for one, other in ((ada, ben), (ben, ada)):
        own = ask("Recommendations", one.token, first=20)["data"]["recommendations"]["edges"]
        theirs = [viewer_match(ask, other, edge["node"]["id"]) for edge in own]
        assert group > sum(theirs) / 20


def viewer_match(ask: Ask, member: Member, movie: str) -> int:
    match = ask("Movie", member.token, id=movie)["data"]["movie"]["viewerMatch"]
    percent: int = match["matchPercent"]
    return percent


def test_movies_rated_or_rejected_by_a_member_are_left_out(ask: Ask, member: Member) -> None:
    other = findable(ask, sign_up(ask))
    findable(ask, member)
    before = [
        edge["node"]["id"]
        for edge in edges(ask("MovieNight", member.token, usernames=[other.username], first=3))
    ]
    ask("RateMovie", other.token, movie=before[0], stars=5.0)
    event = {"movieId": before[1], "kind": "NOT_INTERESTED"}
    ask("RecordFeedback", member.token, events=[event])
    usernames = [member.username, other.username]
    after = [
        edge["node"]["id"] for edge in edges(ask("MovieNight", other.token, usernames=usernames, first=100))
    ]
    assert len(set(after)) == 100
    assert not {before[0], before[1]} & set(after)


def test_pages_continue_the_same_list(ask: Ask, member: Member) -> None:
    other = with_taste(ask, loves="Comedy", loathes="War")
    asked = {"usernames": [member.username, other.username], "filter": {"yearFrom": 1970}}
    whole = [edge["node"]["id"] for edge in edges(ask(PAGES, member.token, first=30, **asked))]
    begun = ask(PAGES, member.token, first=10, **asked)
    ask("RateMovie", other.token, movie=whole[15], stars=1.0)
    after = begun["data"]["groupRecommendations"]["pageInfo"]["endCursor"]
    later = ask(PAGES, member.token, first=19, after=after, **asked)
    shown = [edge["node"]["id"] for edge in [*edges(begun), *edges(later)]]
    assert shown == [movie for movie in whole if movie != whole[15]]
    ids = {body["data"]["groupRecommendations"]["requestId"] for body in (begun, later)}
    assert len(ids) == 1


def test_names_count_once_in_any_case(ask: Ask, member: Member) -> None:
    usernames = [member.username, member.username.upper()]
    shown = edges(ask("MovieNight", member.token, usernames=usernames, first=3))
    assert [each["username"] for each in shown[0]["members"]] == [member.username]


def test_an_undiscoverable_member_looks_like_an_unknown_one(ask: Ask, member: Member) -> None:
    """Also a new member, and a member who opted out again."""
    hidden = findable(ask, sign_up(ask))
    assert edges(ask("MovieNight", member.token, usernames=[hidden.username], first=3))
    ask(SET_DISCOVERABLE, hidden.token, discoverable=False)
    refused = ask("MovieNight", member.token, usernames=[sign_up(ask).username], first=3)
    assert code(refused) == "BAD_USER_INPUT"
    findable(ask, member)
    usernames = [member.username, hidden.username]
    refused = ask("MovieNight", member.token, usernames=usernames, first=3)
    unknown = ask("MovieNight", member.token, usernames=[member.username, "nobody-here"], first=3)
    assert code(refused) == code(unknown) == "BAD_USER_INPUT"
    texts = [body["errors"][0]["message"] for body in (refused, unknown)]
    assert texts[0].replace(hidden.username, "nobody-here") == texts[1]
    # They may still ask for a group list themselves.
    assert edges(ask("MovieNight", hidden.token, usernames=usernames, first=3))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"usernames": [], "first": 5}, "usernames"),
        ({"usernames": ["a"] * 11, "first": 5}, "at most 10 items, not 11"),
        ({"usernames": ["nobody-here"], "first": 5}, "nobody-here"),
        ({"usernames": ["\x00"], "first": 5}, "usernames"),
        ({"usernames": [""], "first": 5}, "usernames"),
        ({"usernames": ["x" * 100_000], "first": 5}, "usernames"),
        ({"usernames": ["simulated-0001"], "first": 0}, "first"),
        ({"usernames": ["simulated-0001"], "first": 101}, "first"),
    ],
)
def test_bad_input_names_field_and_rule(
    ask: Ask, member: Member, variables: dict[str, Any], message: str
) -> None:
    body = ask("MovieNight", member.token, **variables)
    assert code(body) == "BAD_USER_INPUT"
    assert message in body["errors"][0]["message"]
    assert len(body["errors"][0]["message"]) < 300


def test_a_cursor_of_another_list_is_refused(ask: Ask, member: Member) -> None:
    cursor = ask("Recommendations", first=1)["data"]["recommendations"]["pageInfo"]["endCursor"]
    body = ask(PAGES, member.token, usernames=[member.username], first=5, after=cursor)
    assert code(body) == "BAD_USER_INPUT"


def test_signed_out_clients_are_refused(ask: Ask, member: Member) -> None:
    assert code(ask("MovieNight", usernames=[member.username], first=5)) == "UNAUTHENTICATED"
