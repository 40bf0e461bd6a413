"""Import of ratings: the next list includes them."""

import io
import zipfile
from base64 import b64encode
from typing import Any

import pytest

from tests.schema.conftest import Ask, Member, code, outcome

IMPORT = """
mutation ($csv: String!, $source: ImportSource, $contents: ImportContents) {
    importRatings(input: { csv: $csv, source: $source, contents: $contents }) {
        __typename
        ... on ImportRatingsPayload {
            source rated watched watchlisted liked changed skippedCount skipped { line named film reason }
            rows(first: 1000) { line named matchedBy stars saidAt movie { id } }
            viewer { ratings(first: 1) { totalCount } }
        }
        ... on Error { message }
    }
}
"""
MOVIES = "{ movies(first: 6) { edges { node { id title year } } } }"


@pytest.fixture(scope="session")
def movies(ask: Ask) -> list[dict[str, Any]]:
    return [edge["node"] for edge in ask(MOVIES)["data"]["movies"]["edges"]]


def letterboxd(movies: list[dict[str, Any]]) -> str:
    rows = [f'2020-01-01,"{movie["title"]}",{movie["year"]},https://boxd.it/x,4.5' for movie in movies]
    return "\n".join(["Date,Name,Year,Letterboxd URI,Rating", *rows, "2020-01-01,Unheard Of,1901,x,3"])


def test_an_imported_history_counts(ask: Ask, member: Member, movies: list[dict[str, Any]]) -> None:
    done = outcome(ask(IMPORT, member.token, csv=letterboxd(movies)), "importRatings")
    rows = done.pop("rows")
    assert [row["movie"]["id"] for row in rows] == [movie["id"] for movie in movies]
    assert rows[0] == {
        "line": 2,
        "named": f"{movies[0]['title']} ({movies[0]['year']})",
        "matchedBy": "TITLE_AND_YEAR",
        "stars": 4.5,
        "saidAt": "2020-01-01T00:00:00+00:00",
        "movie": {"id": movies[0]["id"]},
    }
    assert done == {
        "__typename": "ImportRatingsPayload",
        "source": "LETTERBOXD",
        "rated": 6,
        "watched": 0,
        "watchlisted": 0,
        "liked": 0,
        "changed": 6,
        "skippedCount": 1,
        "skipped": [
            {
                "line": 8,
                "named": "Unheard Of (1901)",
                "film": "Unheard Of (1901)",
                "reason": "No movie in the catalog has its id, or its title and year.",
            }
        ],
        "viewer": {"ratings": {"totalCount": 6}},
    }
    picked = ask("Recommendations", member.token, first=24)["data"]["recommendations"]
    assert picked["strategy"] == "PERSONALIZED"
    assert len(picked["edges"]) == 24
    assert not {edge["node"]["id"] for edge in picked["edges"]} & {movie["id"] for movie in movies}
    mine = ask("Viewer", member.token)["data"]["viewer"]["ratings"]["edges"]
    assert {(edge["node"]["stars"], edge["node"]["ratedAt"][:10]) for edge in mine} == {(4.5, "2020-01-01")}


@pytest.mark.parametrize(
    ("contents", "kind"), [("WATCHED", "WATCH"), ("WATCHLIST", "WATCHLIST"), ("LIKED", "LIKE")]
)
def test_contents_select_the_kind_of_a_list(
    ask: Ask, member: Member, movies: list[dict[str, Any]], contents: str, kind: str
) -> None:
    """Letterboxd's watched.csv, watchlist.csv and likes/films.csv have the same layout."""
    rows = [f'2020-01-01,"{movie["title"]}",{movie["year"]},https://boxd.it/x' for movie in movies]
    csv = "\n".join(["Date,Name,Year,Letterboxd URI", *rows])
    refused = outcome(ask(IMPORT, member.token, csv=csv), "importRatings")
    assert refused["__typename"] == "InvalidImport"
    assert contents in refused["message"]
    done = outcome(ask(IMPORT, member.token, csv=csv, contents=contents), "importRatings")
    counts = {"WATCHED": done["watched"], "WATCHLIST": done["watchlisted"], "LIKED": done["liked"]}
    assert counts == {each: 6 if each == contents else 0 for each in counts}
    viewer = ask("Taste", member.token)["data"]["viewer"]
    history = {(edge["node"]["kind"], edge["node"]["movie"]["id"]) for edge in viewer["history"]["edges"]}
    assert history == {(kind, movie["id"]) for movie in movies}
    assert len(viewer["watchlist"]["edges"]) == (6 if contents == "WATCHLIST" else 0)


def test_invalid_files_are_refused(ask: Ask, member: Member, movies: list[dict[str, Any]]) -> None:
    for given in ({"csv": "a,b\n1,2"}, {"csv": ""}, {"csv": letterboxd(movies), "source": "IMDB"}):
        refused = outcome(ask(IMPORT, member.token, **given), "importRatings")
        assert refused["__typename"] == "InvalidImport"
    assert ask("Viewer", member.token)["data"]["viewer"]["ratings"]["totalCount"] == 0
    assert code(ask(IMPORT, csv=letterboxd(movies))) == "UNAUTHENTICATED"


def test_uncertain_rows_are_listed_first(ask: Ask, member: Member, movies: list[dict[str, Any]]) -> None:
    csv = letterboxd(movies).replace(f'"{movies[5]["title"]}",{movies[5]["year"]}', f'"{movies[5]["title"]}",'
                                    f"{movies[5]['year'] - 1}")  # fmt: skip
    query = """mutation ($csv: String!) { importRatings(input: { csv: $csv }) { ... on ImportRatingsPayload {
        rows(first: 2) { line matchedBy }
        near: rows(matchedBy: [TITLE_AND_NEAR_YEAR]) { line }
        skipped(first: 1) { line } } } }"""
    done = outcome(ask(query, member.token, csv=csv), "importRatings")
    assert done == {
        "rows": [
            {"line": 7, "matchedBy": "TITLE_AND_NEAR_YEAR"},
            {"line": 2, "matchedBy": "TITLE_AND_YEAR"},
        ],
        "near": [{"line": 7}],
        "skipped": [{"line": 8}],
    }
    for strange in (0, 1001):
        answer = ask(query.replace("first: 2", f"first: {strange}"), member.token, csv=csv)
        assert "rows.first must be from 1 to 1000" in str(answer["errors"])


def test_an_archive_and_named_columns(ask: Ask, member: Member, movies: list[dict[str, Any]]) -> None:
    query = """mutation ($input: ImportRatingsInput!) { importRatings(input: $input) { __typename
        ... on ImportRatingsPayload { source rated watched rows { file line } }
        ... on Error { message } } }"""

    def bring(**given: Any) -> dict[str, Any]:
        return outcome(ask(query, member.token, input=given), "importRatings")

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ratings.csv", letterboxd(movies[:1]))
    assert bring(file=b64encode(buffer.getvalue()).decode()) == {
        "__typename": "ImportRatingsPayload",
        "source": "LETTERBOXD",
        "rated": 1,
        "watched": 0,
        "rows": [{"file": "ratings.csv", "line": 2}],
    }
    csv = f'What;When;Score\n"{movies[1]["title"]}";{movies[1]["year"]};80\n'
    columns = {"title": "what", "year": "When", "rating": "Score"}
    done = bring(csv=csv, columns=columns, ratingScale=100)
    assert (done["source"], done["rated"], done["rows"]) == ("OTHER", 1, [{"file": None, "line": 2}])
    assert "Columns found: What, When, Score" in bring(csv=csv)["message"]
    assert "ratingScale" in bring(csv=csv, columns=columns)["message"]
    assert "either the text" in bring()["message"]
    strange = ask(query, member.token, input={"csv": csv, "ratingScale": 0})
    assert "input.ratingScale must be above 0 and at most 1000, not 0." in str(strange["errors"])
