"""The operations of README.md and docs/clients.md, sent to a real service in their order."""

import re
from typing import Any

import httpx
import orjson

from seeds.bundled import read_catalogue
from tests.conftest import ROOT
from tests.schema.conftest import asking


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def shape(value: Any) -> Any:
    """The keys and types of a JSON value; a list has the shape of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else type(value)


def test_example_of_the_readme_has_an_answer_like_the_one_below_it(server: str) -> None:
    (operation,), (written,) = blocks("README.md", "graphql"), blocks("README.md", "json")
    with httpx.Client(timeout=30) as http:
        answer = {"data": asking(server, http, {})(operation)["data"]}
    expected = orjson.loads(written)
    assert shape(answer) == shape(expected)
    lists = [each["data"]["recommendations"] for each in (answer, expected)]
    assert {each["strategy"] for each in lists} == {"SESSION"}
    catalog = {(entry.movie.title, entry.movie.year) for entry in read_catalogue()}
    for each in lists:  # the tests train on fewer members, so the movies may differ
        assert [edge["rank"] for edge in each["edges"]] == [1, 2]
        assert {(edge["node"]["title"], edge["node"]["year"]) for edge in each["edges"]} <= catalog
        reasons = [reason["text"] for edge in each["edges"] for reason in edge["reasons"]]
        assert any(reason.startswith("Because you liked ") for reason in reasons)


def test_requests_of_the_clients_page_work_in_their_order(server: str) -> None:
    with httpx.Client(timeout=30) as http:
        ask = asking(server, http, {})
        popular, find, sign_up, rate, recommended = blocks("docs/clients.md", "graphql")
        assert len(ask(popular)["data"]["recommendations"]["edges"]) == 5
        (movie, *_) = ask(find)["data"]["search"]["edges"]
        assert movie["node"]["title"] == "Alien"
        token = ask(sign_up)["data"]["signUp"]["accessToken"]
        rated = ask(rate, token, movie=movie["node"]["id"])["data"]["rateMovie"]
        assert rated["rating"]["stars"] == 4.5
        page = ask(recommended, token)["data"]["recommendations"]
        assert page["strategy"] == "PERSONALIZED"
        assert len(page["edges"]) == 24
