"""Facets, histograms, people and the reasons of similar movies."""

from itertools import pairwise
from typing import Any

import psycopg

from tests.schema.conftest import Ask, Member, code

FACETS = """facets { genres { genre { name } count } decades { decade count }
    languages { language count } }"""
PEOPLE = """query ($query: String!, $first: Int = 10, $after: String) {
    searchPeople(query: $query, first: $first, after: $after) {
        totalCount nodes { id name } pageInfo { hasNextPage endCursor } } }"""


def found(ask: Ask, query: str, **variables: Any) -> dict[str, Any]:
    connection: dict[str, Any] = ask(PEOPLE, query=query, **variables)["data"]["searchPeople"]
    return connection


def test_facets_count_the_movies_of_a_filter(ask: Ask) -> None:
    query = f"query ($f: MovieFilter) {{ movies(first: 1, filter: $f) {{ totalCount {FACETS} }} }}"
    chosen = {"genres": ["Horror"], "yearFrom": 1970}
    page = ask(query, f=chosen)["data"]["movies"]
    genres = {facet["genre"]["name"]: facet["count"] for facet in page["facets"]["genres"]}
    assert genres.pop("Horror") == page["totalCount"] == max([0, *genres.values(), page["totalCount"]])
    counts = [facet["count"] for facet in page["facets"]["genres"]]
    assert counts == sorted(counts, reverse=True)
    assert min(counts) > 0
    decades = [facet["decade"] for facet in page["facets"]["decades"]]
    assert decades == sorted(decades)
    assert decades[0] == 1970
    assert sum(facet["count"] for facet in page["facets"]["decades"]) == page["totalCount"]
    for facet in page["facets"]["languages"]:
        narrowed = ask(query, f=chosen | {"languages": [facet["language"]]})["data"]["movies"]
        assert narrowed["totalCount"] == facet["count"]


def test_a_search_counts_all_that_it_finds(ask: Ask) -> None:
    query = f"""query ($q: String!, $after: String) {{ search(query: $q, first: 20, after: $after) {{
        totalCount nodes {{ id }} pageInfo {{ hasNextPage endCursor }} {FACETS} }} }}"""
    seen, after = [], None
    while True:
        page = ask(query, q="love", after=after)["data"]["search"]
        seen += [movie["id"] for movie in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(set(seen)) == len(seen) == page["totalCount"] > 20
    assert sum(facet["count"] for facet in page["facets"]["decades"]) == page["totalCount"]


def test_a_histogram_counts_the_ratings_by_stars(ask: Ask, server_database_url: str) -> None:
    query = "{ movies(first: 5) { nodes { id ratingCount ratingHistogram { stars count } } } }"
    for movie in ask(query)["data"]["movies"]["nodes"]:
        buckets = movie["ratingHistogram"]
        assert [bucket["stars"] for bucket in buckets] == [half / 2 for half in range(1, 11)]
        assert sum(bucket["count"] for bucket in buckets) == movie["ratingCount"] > 0
    with psycopg.connect(server_database_url) as connection:
        unrated = connection.execute(
            "SELECT title FROM movies WHERE id NOT IN (SELECT movie_id FROM ratings) LIMIT 1"
        ).fetchone()
    if unrated is not None:
        search = """query ($q: String!) { search(query: $q, first: 1) {
            nodes { title ratingHistogram { count } } } }"""
        (movie,) = ask(search, q=unrated[0])["data"]["search"]["nodes"]
        if movie["title"] == unrated[0]:
            assert {bucket["count"] for bucket in movie["ratingHistogram"]} == {0}


def test_people_are_found_by_words_of_their_name(ask: Ask) -> None:
    for query in ("Sigourney Weaver", "weaver sig", "SIGOURNEY", "sigourny weaver"):
        assert "Sigourney Weaver" in [person["name"] for person in found(ask, query)["nodes"]], query
    assert found(ask, "Sigourney Weaver")["nodes"][0]["name"] == "Sigourney Weaver"
    assert found(ask, "zzqqxx")["totalCount"] == 0
    assert found(ask, " - ")["nodes"] == []


def test_people_found_are_paginated(ask: Ask) -> None:
    whole = found(ask, "john", first=20)
    assert whole["totalCount"] >= len(whole["nodes"]) > 5
    first = found(ask, "john", first=5)
    then = found(ask, "john", first=15, after=first["pageInfo"]["endCursor"])
    assert first["nodes"] + then["nodes"] == whole["nodes"]
    other = ask(PEOPLE, query="jane", first=5, after=first["pageInfo"]["endCursor"])
    assert code(other) == "BAD_USER_INPUT"


def test_a_person_has_their_movies_with_characters(ask: Ask) -> None:
    query = """query ($id: ID!, $first: Int = 50, $after: String, $order: MovieOrder) {
        node(id: $id) { ... on Person { name
            movies(first: $first, after: $after, orderBy: $order) {
                totalCount pageInfo { endCursor }
                edges { directed character node { title releaseDate year
                    directors { name } cast(first: 50) { person { name } character } } } } } } }"""
    (person, *_) = found(ask, "Mel Gibson")["nodes"]
    movies = ask(query, id=person["id"])["data"]["node"]["movies"]
    assert movies["totalCount"] == len(movies["edges"]) > 2
    years = [edge["node"]["year"] for edge in movies["edges"]]
    assert all(one >= other for one, other in pairwise(years))
    for edge in movies["edges"]:
        directors = [director["name"] for director in edge["node"]["directors"]]
        parts = {member["person"]["name"]: member["character"] for member in edge["node"]["cast"]}
        assert edge["directed"] == (person["name"] in directors)
        assert edge["character"] == parts.get(person["name"])
    assert {edge["directed"] for edge in movies["edges"]} == {True, False}
    first = ask(query, id=person["id"], first=2)["data"]["node"]["movies"]
    then = ask(query, id=person["id"], first=48, after=first["pageInfo"]["endCursor"])
    assert first["edges"] + then["data"]["node"]["movies"]["edges"] == movies["edges"]
    by_title = ask(query, id=person["id"], order={"field": "TITLE"})["data"]["node"]["movies"]
    titles = [edge["node"]["title"] for edge in by_title["edges"]]
    assert titles == sorted(titles)


def test_similar_movies_tell_what_they_share(ask: Ask) -> None:
    query = """query ($q: String!) { search(query: $q, first: 1) { nodes { title genres { name }
        similar(first: 20) { edges { reasons { kind reasonKind text movie { id } }
            node { title genres { name } directors { name } } } } } } }"""
    (alien,) = ask(query, q="alien 1979")["data"]["search"]["nodes"]
    shared = {edge["node"]["title"]: edge["reasons"] for edge in alien["similar"]["edges"]}
    assert all(len(reasons) <= 2 for reasons in shared.values())
    assert sum(bool(reasons) for reasons in shared.values()) >= 15
    for edge in alien["similar"]["edges"]:
        for reason in edge["reasons"]:
            assert reason["kind"] == reason["reasonKind"]
            assert reason["movie"] is None
            if reason["text"].startswith("Also directed by"):
                assert "Ridley Scott" in [director["name"] for director in edge["node"]["directors"]]
            if reason["reasonKind"] == "SHARED_GENRES":
                common = {genre["name"] for genre in alien["genres"] + edge["node"]["genres"]}
                assert set(reason["text"].removeprefix("Both ").split(" and ")) <= common


def test_every_connection_has_nodes(ask: Ask, member: Member) -> None:
    query = (
        """{ __schema { types { name fields { name type { ofType { ofType { ofType { name } } } } } } } }"""
    )
    types = ask(query)["data"]["__schema"]["types"]
    connections = [each for each in types if each["name"].endswith("Connection")]
    assert len(connections) > 15
    fields = {each["name"]: {field["name"]: field for field in each["fields"] or ()} for each in types}
    for each in connections:
        assert "nodes" in fields[each["name"]], each["name"]
    pages = ask(
        "{ movies(first: 3) { nodes { title } edges { node { title } } } viewer { ratings(first: 1) "
        "{ nodes { stars } } } recommendations(first: 2) { nodes { id } edges { node { id } } } }",
        member.token,
    )["data"]
    for name in ("movies", "recommendations"):
        assert pages[name]["nodes"] == [edge["node"] for edge in pages[name]["edges"]] != []
    assert pages["viewer"]["ratings"]["nodes"] == []
