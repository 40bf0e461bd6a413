"""A member brings their history, and the next list knows it."""

from typing import Any

import pytest

from tests.schema.conftest import Ask, Member, code, outcome

IMPORT = """
mutation ($csv: String!, $source: ImportSource) { importRatings(input: { csv: $csv, source: $source }) {
    __typename
    ... on ImportRatingsPayload {
        source rated watched changed skipped { line film reason } viewer { ratings(first: 1) { totalCount } }
    }
    ... on Error { message }
} }
"""
FILMS = "{ movies(first: 6) { edges { node { id title year } } } }"


@pytest.fixture(scope="session")
def films(ask: Ask) -> list[dict[str, Any]]:
    return [edge["node"] for edge in ask(FILMS)["data"]["movies"]["edges"]]


def letterboxd(films: list[dict[str, Any]]) -> str:
    rows = [f'2020-01-01,"{film["title"]}",{film["year"]},https://boxd.it/x,4.5' for film in films]
    return "\n".join(["Date,Name,Year,Letterboxd URI,Rating", *rows, "2020-01-01,Unheard Of,1901,x,3"])


def test_a_history_is_brought_and_counts(ask: Ask, member: Member, films: list[dict[str, Any]]) -> None:
    done = outcome(ask(IMPORT, member.token, csv=letterboxd(films)), "importRatings")
    assert done == {
        "__typename": "ImportRatingsPayload",
        "source": "LETTERBOXD",
        "rated": 6,
        "watched": 0,
        "changed": 6,
        "skipped": [
            {
                "line": 8,
                "film": "Unheard Of (1901)",
                "reason": "No film here has its id, or its title and year.",
            }
        ],
        "viewer": {"ratings": {"totalCount": 6}},
    }
    picked = ask("Recommendations", member.token, first=24)["data"]["recommendations"]
    assert picked["strategy"] == "PERSONALIZED"
    assert not {edge["node"]["id"] for edge in picked["edges"]} & {film["id"] for film in films}
    mine = ask("Viewer", member.token)["data"]["viewer"]["ratings"]["edges"]
    assert {(edge["node"]["stars"], edge["node"]["ratedAt"][:10]) for edge in mine} == {(4.5, "2020-01-01")}


def test_files_that_are_refused(ask: Ask, member: Member, films: list[dict[str, Any]]) -> None:
    for given in ({"csv": "a,b\n1,2"}, {"csv": ""}, {"csv": letterboxd(films), "source": "IMDB"}):
        refused = outcome(ask(IMPORT, member.token, **given), "importRatings")
        assert refused["__typename"] == "InvalidImport"
    assert ask("Viewer", member.token)["data"]["viewer"]["ratings"]["totalCount"] == 0
    assert code(ask(IMPORT, csv=letterboxd(films))) == "UNAUTHENTICATED"
