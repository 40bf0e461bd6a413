"""Administrators see an overview of the service."""

from tests.schema.conftest import Ask, Member, code

OVERVIEW = """
{ service {
    since operations meanMilliseconds slowMilliseconds errors { code count } memberCount
    ratingsByDay { day count } streams { stream lag } deadLetters { reason count }
} }
"""


def test_administrators_see_what_the_service_does(ask: Ask, operator: Member, member: Member) -> None:
    assert code(ask(OVERVIEW, member.token)) == "FORBIDDEN"
    first = ask(OVERVIEW, operator.token)["data"]["service"]
    assert first["operations"] > 0
    assert first["meanMilliseconds"] > 0
    assert {"code": "FORBIDDEN", "count": 1} in first["errors"] or first["errors"]
    movie = ask("{ onboarding(first: 1) { nodes { id } } }", member.token)["data"]["onboarding"]["nodes"][0][
        "id"
    ]
    rate = "mutation ($id: ID!) { rateMovie(input: {movieId: $id, stars: 4}) { __typename } }"
    ask(rate, member.token, id=movie)
    then = ask(OVERVIEW, operator.token)["data"]["service"]
    assert len(then["ratingsByDay"]) == 14
    assert then["ratingsByDay"][-1]["count"] == first["ratingsByDay"][-1]["count"] + 1
    assert then["operations"] > first["operations"]
    assert then["memberCount"] >= 2
