"""Edits of movies take effect at once, in every process."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from tests.schema.conftest import Ask, Member, asking, code, outcome, promoted, sign_up
from tests.services import StartServer

TITLE = "The Nostromo Returns"
ALIEN_LIKE = {
    "title": TITLE,
    "genres": ["Horror", "Sci-Fi"],
    "overview": "A cargo ship's crew brings a lethal creature aboard, and it hunts them one by one.",
    "releaseDate": "2026-05-01",
    "runtimeMinutes": 117,
    "originalLanguage": "en",
    "directors": ["Ridley Scott"],
    "cast": ["Sigourney Weaver", "Someone Entirely New"],
    "imdbId": "tt99999999",
}
DELETE = """mutation ($id: ID!) {
    deleteMovie(input: { movieId: $id }) { ... on DeleteMoviePayload { deletedRatingCount } } }"""
UPDATE = """
mutation ($input: UpdateMovieInput!) { updateMovie(input: $input) {
    __typename ... on UpdateMoviePayload { movie { id title year overview genres { name movieCount } } }
    ... on Error { message }
} }
"""
FOUND = "query ($words: String!) { search(query: $words, first: 5) { edges { node { id title } } } }"
MOVIE = "query ($id: ID!) { movie(id: $id) { title year ratingCount cast(first: 5) { person { name } } } }"
LIST = """
query ($filter: MovieFilter) { recommendations(first: 100, filter: $filter) { edges {
    rank matchPercent predictedRating { stars } reasons { kind text } node { id title }
} } }
"""
PAGE = """
query ($after: String) { recommendations(first: 100, after: $after) {
    edges { node { id } } pageInfo { endCursor }
} }
"""
NEW = {"yearFrom": 2026}


@pytest.fixture
def curator(ask: Ask, server_database_url: str) -> Member:
    return promoted(sign_up(ask), server_database_url, "CURATOR")


def until(reached: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 60
    while not (found := reached()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def titles(ask: Ask, words: str) -> list[str]:
    return [edge["node"]["title"] for edge in ask(FOUND, words=words)["data"]["search"]["edges"]]


def place(ask: Ask, token: str, movie: str) -> int:
    """The rank of the movie in the member's list of all movies."""
    listed: list[str] = []
    after = None
    while movie not in listed:
        page = ask(PAGE, token, after=after)["data"]["recommendations"]
        assert page["edges"], "it is not in the list"
        listed += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    return listed.index(movie)


def of_genres(ask: Ask, genres: list[str]) -> set[str]:
    movies = "movies(filter: { genres: [$genre] }, first: 100) { edges { node { title } } }"
    query = f"query ($genre: String!) {{ {movies} }}"
    pages = [ask(query, genre=genre)["data"]["movies"] for genre in genres]
    return {edge["node"]["title"] for page in pages for edge in page["edges"]}


def movie_id(ask: Ask, title: str) -> str:
    edges = ask(FOUND, words=title)["data"]["search"]["edges"]
    id_: str = next(edge["node"]["id"] for edge in edges if edge["node"]["title"] == title)
    return id_


def refused(ask: Ask, curator: Member, **facts: Any) -> str:
    answer = outcome(ask("AddMovie", curator.token, input={"title": "Never there"} | facts), "addMovie")
    assert answer["__typename"] in ("InvalidMovie", "MovieExists"), answer
    message: str = answer["message"]
    return message


def test_a_movie_is_added_and_deleted_everywhere_at_once(
    seeded_database_url: str, start_server: StartServer, http: httpx.Client, operations: dict[str, str]
) -> None:
    here = start_server(seeded_database_url, POLL_SECONDS="0.1")
    there = start_server(seeded_database_url, POLL_SECONDS="0.1")
    ask, elsewhere = (asking(service.url, http, operations) for service in (here, there))
    member = sign_up(elsewhere)
    for title in ("Alien", "Aliens", "The Thing", "Blade Runner"):
        rated = elsewhere("RateMovie", member.token, movie=movie_id(elsewhere, title), stars=5)
        outcome(rated, "rateMovie")
    curator = promoted(sign_up(ask), seeded_database_url, "CURATOR")

    added = outcome(ask("AddMovie", curator.token, input=ALIEN_LIKE), "addMovie")
    assert added["__typename"] == "AddMoviePayload", added
    movie = added["movie"]
    assert movie["year"] == 2026
    assert [genre["name"] for genre in movie["genres"]] == ["Horror", "Sci-Fi"]
    similar = {edge["node"]["title"] for edge in movie["similar"]["edges"]}
    assert len(similar) == 5
    assert similar <= of_genres(ask, ["Horror", "Sci-Fi"])
    assert titles(ask, "nostromo returns")[0] == TITLE  # in this process before the response
    until(lambda: TITLE in titles(elsewhere, "nostromo"), "the other process has not heard")
    assert TITLE in titles(elsewhere, "someone entirely new")

    def listed() -> list[Any]:
        edges = elsewhere(LIST, member.token, filter=NEW)["data"]["recommendations"]["edges"]
        return [edge for edge in edges if edge["node"]["id"] == movie["id"]]

    (edge,) = until(listed, "it is not recommended")
    assert edge["predictedRating"]["stars"] > 3
    assert edge["reasons"]
    # It ranks higher for a member who likes similar movies.
    stranger = sign_up(elsewhere)
    for title in ("Amélie", "When Harry Met Sally...", "Annie Hall"):
        rated = elsewhere("RateMovie", stranger.token, movie=movie_id(elsewhere, title), stars=5)
        outcome(rated, "rateMovie")
    assert place(elsewhere, member.token, movie["id"]) + 100 < place(elsewhere, stranger.token, movie["id"])
    assert outcome(elsewhere("RateMovie", member.token, movie=movie["id"], stars=4), "rateMovie")

    # A process that starts before the next training has it too.
    third = asking(start_server(seeded_database_url).url, http, operations)
    other = sign_up(third)
    edges = third(LIST, other.token, filter=NEW)["data"]["recommendations"]["edges"]
    assert movie["id"] in [edge["node"]["id"] for edge in edges]

    gone = outcome(ask("DeleteMovie", curator.token, id=movie["id"]), "deleteMovie")
    assert gone == {"__typename": "DeleteMoviePayload", "deletedMovieId": movie["id"]}
    assert ask(MOVIE, id=movie["id"])["data"]["movie"] is None
    until(lambda: TITLE not in titles(elsewhere, "nostromo returns"), "the other process still finds it")
    assert not listed()
    again = outcome(ask("DeleteMovie", curator.token, id=movie["id"]), "deleteMovie")
    assert again["__typename"] == "MovieUnknown"
    with psycopg.connect(seeded_database_url) as connection:
        (left,) = connection.execute("SELECT count(*) FROM ratings WHERE user_id = "
            "(SELECT id FROM users WHERE username = %s)", (member.username,)).fetchall()  # fmt: skip
    assert left == (4,)


def test_an_update_changes_only_the_given_fields(ask: Ask, curator: Member) -> None:
    added = outcome(ask("AddMovie", curator.token, input={**ALIEN_LIKE, "imdbId": None}), "addMovie")["movie"]

    def changed(**facts: Any) -> Any:
        answer = outcome(ask(UPDATE, curator.token, input={"movieId": added["id"], **facts}), "updateMovie")
        assert answer["__typename"] == "UpdateMoviePayload", answer
        return answer["movie"]

    drama = ask("{ genres { name movieCount } }")["data"]["genres"]
    counts = {genre["name"]: genre["movieCount"] for genre in drama}
    movie = changed(genres=["Drama"], title="  The  Quiet Vessel ")
    assert movie["title"] == "The Quiet Vessel"
    assert movie["overview"] == ALIEN_LIKE["overview"]
    assert movie["genres"] == [{"name": "Drama", "movieCount": counts["Drama"] + 1}]
    assert titles(ask, "nostromo returns")[0] == "The Quiet Vessel"
    other = "query ($id: ID!) { movie(id: $id) { alternativeTitles(first: 5) } }"
    assert ask(other, id=added["id"])["data"]["movie"] == {"alternativeTitles": [TITLE]}
    assert titles(ask, "quiet vessel")[0] == "The Quiet Vessel"
    assert [player["person"]["name"] for player in ask(MOVIE, id=added["id"])["data"]["movie"]["cast"]] == (
        ALIEN_LIKE["cast"]
    )
    shown = "query ($id: ID!) { movie(id: $id) { tagline certification trailerUrl backdropUrl } }"
    changed(
        tagline="In space no one  can wait.",
        certification="PG-13",
        trailerUrl="https://example.org/watch?v=1",
        backdropPath="https://example.org/wide.jpg",
    )
    assert ask(shown, id=added["id"])["data"]["movie"] == {
        "tagline": "In space no one can wait.",
        "certification": "PG-13",
        "trailerUrl": "https://example.org/watch?v=1",
        "backdropUrl": "https://example.org/wide.jpg",
    }
    in_german = 'query ($id: ID!) { movie(id: $id) { localizedTitle(languages: ["de"]) } }'
    changed(localizedTitles=[{"language": "de", "title": "Das stille Schiff"}])
    assert ask(in_german, id=added["id"])["data"]["movie"] == {"localizedTitle": "Das stille Schiff"}
    assert titles(ask, "das stille schiff")[0] == "The Quiet Vessel"
    both = [{"language": "de", "title": title} for title in ("Eins", "Zwei")]
    twice = ask(UPDATE, curator.token, input={"movieId": added["id"], "localizedTitles": both})
    assert outcome(twice, "updateMovie")["message"] == "localizedTitles: the language de has two titles."
    changed(localizedTitles=None)
    assert ask(in_german, id=added["id"])["data"]["movie"] == {"localizedTitle": "The Quiet Vessel"}
    changed(tagline=None)
    assert ask(shown, id=added["id"])["data"]["movie"]["tagline"] is None
    movie = changed(overview=None, releaseDate="1999-12-31", cast=[])
    assert (movie["overview"], movie["year"]) == (None, 1999)
    assert ask(MOVIE, id=added["id"])["data"]["movie"]["cast"] == []
    unknown = ask(UPDATE, curator.token, input={"movieId": "TW92aWU6OTk5OTk5", "title": "x"})
    assert outcome(unknown, "updateMovie")["__typename"] == "MovieUnknown"
    cleared = ask(UPDATE, curator.token, input={"movieId": added["id"], "title": None})
    assert outcome(cleared, "updateMovie")["message"] == "title: a movie needs a title."
    assert code(ask(UPDATE, curator.token, input={"movieId": "no id", "title": "x"})) == "BAD_USER_INPUT"
    outcome(ask("RateMovie", curator.token, movie=added["id"], stars=3), "rateMovie")
    assert outcome(ask(DELETE, curator.token, id=added["id"]), "deleteMovie") == {"deletedRatingCount": 1}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"title": " "}, "title: it is empty."),
        ({"title": "x" * 301}, "title: it has 301 characters; the limit is 300."),
        ({"title": "nul\0"}, "title: it has unprintable characters."),
        ({"overview": "x" * 5_001}, "overview: it has 5,001 characters; the limit is 5,000."),
        ({"genres": ["Opera buffa"]}, "genres: there is no genre 'Opera buffa'; there are Action,"),
        ({"releaseDate": "1700-01-01"}, "releaseDate: it must be a year from 1870 to"),
        (
            {"releaseDate": "1999-01-01", "year": 1998},
            "year: 1998 is not the year of the release date, 1999.",
        ),
        ({"runtimeMinutes": 0}, "runtimeMinutes: it must be a number from 1 to 32,767."),
        ({"originalLanguage": "English"}, "originalLanguage: it must be an ISO 639-1 code, such as `en`."),
        ({"directors": ["A"] * 21}, "directors: there are 21; the limit is 20."),
        ({"cast": [""]}, "cast: it is empty."),
        ({"voteAverage": 11}, "voteAverage: it must be a number from 0 to 10."),
        ({"posterPath": "http://example.org/x.jpg"}, "posterPath: it must be a TMDB path"),
        ({"trailerUrl": "javascript:alert(1)"}, "trailerUrl: it must be an https URL."),
        ({"tagline": "x" * 301}, "tagline: it has 301 characters; the limit is 300."),
        ({"imdbId": "0078748"}, "imdbId: it must be an IMDb id, such as `tt0133093`."),
        ({"imdbId": "tt0078748"}, "imdbId: another movie has this id."),
        ({"tmdbId": "9" * 30}, "tmdbId: it must be a whole number from 1 to"),
    ],
)
def test_an_invalid_edit_is_reported_and_not_stored(
    ask: Ask, curator: Member, server_database_url: str, facts: dict[str, Any], message: str
) -> None:
    assert refused(ask, curator, **facts).startswith(message)
    with psycopg.connect(server_database_url) as connection:
        kept = connection.execute("SELECT count(*) FROM movies WHERE title IN ('Never there', 'nul')")
        assert kept.fetchall() == [(0,)]
        assert connection.execute("SELECT count(*) FROM people WHERE name = 'A'").fetchall() == [(0,)]
