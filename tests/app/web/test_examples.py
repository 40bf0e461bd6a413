"""GraphiQL's examples: one for each part of the API, each working for its kind of user."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from graphql import FieldNode, OperationDefinitionNode, parse, validate

from app.web import graphiql
from schema import schema
from tests.services import StartServer

EXAMPLES = graphiql.examples()
ROLES = {"member": "USER", "curator": "CURATOR", "administrator": "ADMIN"}


def definition(example: dict[str, str]) -> OperationDefinitionNode:
    (operation,) = parse(example["query"]).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation


def meant_for(example: dict[str, str]) -> str:
    """The kind of user that the first lines of an example name."""
    comment = " ".join(re.findall("^# ?(.*)$", example["query"], re.MULTILINE))
    if found := re.match(r"For (curator|administrator)s", comment):
        return found[1]
    return "member" if re.match("Sign(ed)? in", comment) else "visitor"


def test_there_is_one_for_each_part_of_the_api() -> None:
    fields: dict[str, set[str]] = {"query": set(), "mutation": set(), "subscription": set()}
    for example in EXAMPLES:
        operation = definition(example)
        assert validate(schema._schema, parse(example["query"])) == [], example["query"]
        chosen = operation.selection_set.selections
        fields[operation.operation.value] |= {
            node.name.value for node in chosen if isinstance(node, FieldNode)
        }
    assert schema._schema.subscription_type is not None
    assert schema._schema.query_type is not None
    assert set(schema._schema.subscription_type.fields) == fields["subscription"]
    assert set(schema._schema.query_type.fields) - fields["query"] == {
        "node",
        "nodes",
        "servedList",
        "experiment",
    }  # they need an id or a name
    assert {meant_for(example) for example in EXAMPLES} == {"visitor", *ROLES}


class Page:
    """GraphiQL for a user: replaces placeholders, sends the token, and returns the response."""

    def __init__(self, url: str, database_url: str) -> None:
        self.url = f"{url}/graphql"
        popular = self.ask("{ recommendations(first: 3) { edges { node { id } } } }")
        self.names = {
            f"MOVIE_{place}": edge["node"]["id"]
            for place, edge in enumerate(popular["recommendations"]["edges"], 1)
        }
        self.names["NEW_USER"] = "movie-fan"
        self.tokens = {name: self.signed_up(name, "a-long-password") for name in ROLES}
        self.signed_up("demo", "marquee-demo")  # as `marquee serve --prepare` makes it
        with psycopg.connect(database_url) as connection:
            for name, role in ROLES.items():
                connection.execute("UPDATE users SET role = %s WHERE username = %s", (role, name))

    def signed_up(self, username: str, password: str) -> str:
        sign_up = """mutation ($username: String!, $password: String!) { signUp(
            input: { username: $username, password: $password }
        ) { ... on AuthPayload { accessToken } } }"""
        token: str = self.ask(sign_up, {"username": username, "password": password})["signUp"]["accessToken"]
        return token

    def sent(self, query: str, variables: Any, who: str, accept: str) -> dict[str, Any]:
        token = self.tokens[who] if who != "visitor" else None
        headers = {"Accept": accept} | ({"Authorization": f"Bearer {token}"} if token else {})
        return {"json": {"query": query, "variables": variables}, "headers": headers, "timeout": 60}

    def ask(self, query: str, variables: Any = None, who: str = "visitor") -> Any:
        answer = httpx.post(self.url, **self.sent(query, variables, who, "application/json")).json()
        assert "errors" not in answer, (query, answer)
        return answer["data"]

    def events(self, query: str, variables: Any, who: str) -> Iterator[Any]:
        with httpx.stream(
            "POST", self.url, **self.sent(query, variables, who, "text/event-stream")
        ) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))

    def filled_in(self, example: dict[str, str]) -> Any:
        variables = re.sub(r"MOVIE_\d|NEW_USER", lambda found: self.names[found[0]], example["variables"])
        return json.loads(variables or "{}")


@pytest.fixture
def page(seeded_database_url: str, start_server: StartServer) -> Page:
    return Page(start_server(seeded_database_url).url, seeded_database_url)


def test_each_works_for_its_kind_of_user(page: Page) -> None:
    """In the order of the tabs."""
    for example in EXAMPLES:
        name, who, variables = definition(example).name, meant_for(example), page.filled_in(example)
        assert name is not None
        match name.value:
            case "Changes":
                event = told_of_a_rating(page, example["query"], who)
                shown = event["recommendationsChanged"]["recommendations"]["edges"]
                assert [edge["rank"] for edge in shown] == [1, 2, 3, 4, 5]
            case "Progress":
                first = next(page.events(example["query"], {"job": page.names["JOB"]}, who))
                assert first["data"]["trainingProgress"]["status"] in ("QUEUED", "RUNNING")
            case "Train":
                answer = page.ask(example["query"], variables, who)
                page.names["JOB"] = answer["trainModel"]["job"]["id"]
            case _:
                answer = page.ask(example["query"], variables, who)
                for empty in ("apiKeys", "deadLetters", "experiments", "hiddenMovies"):
                    answer.pop(empty, None)
                assert '"edges": []' not in json.dumps(answer), answer
                for result in answer.values():
                    assert result
                    if definition(example).operation.value == "mutation":
                        assert result["__typename"].endswith("Payload"), result


def told_of_a_rating(page: Page, subscription: str, who: str) -> Any:
    """The first event. Ratings are sent until it arrives, since the first may precede the subscription."""
    rate = """mutation ($movie: ID!, $stars: Float!) {
        rateMovie(input: { movieId: $movie, stars: $stars }) { __typename } }"""
    with ThreadPoolExecutor(1) as pool:
        event = pool.submit(next, page.events(subscription, {}, who))
        for stars in range(100):
            if event.done():
                break
            page.ask(rate, {"movie": page.names["MOVIE_1"], "stars": 1 + stars % 5}, who)
            time.sleep(0.2)
    return event.result()["data"]
