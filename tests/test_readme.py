"""The README's operations, pasted in their order as a newcomer would."""

import re
import tomllib
from pathlib import Path

import httpx

from tests.schema.conftest import asking

README = (Path(__file__).parents[1] / "README.md").read_text()
OPERATIONS = re.findall(r"```graphql\n(.*?)```", README, re.DOTALL)


def test_operations_work_when_pasted(server: str) -> None:
    with httpx.Client(timeout=30) as http:
        ask = asking(server, http, {})
        popular, find, sign_up, rate, recommended = OPERATIONS
        assert len(ask(popular)["data"]["recommendations"]["edges"]) == 5
        (movie, *_) = ask(find)["data"]["search"]["edges"]
        assert movie["node"]["title"] == "Alien"
        token = ask(sign_up)["data"]["signUp"]["accessToken"]
        rated = ask(rate, token, movie=movie["node"]["id"])["data"]["rateMovie"]
        assert rated["rating"]["stars"] == 4.5
        page = ask(recommended, token)["data"]["recommendations"]
        assert page["strategy"] == "PERSONALIZED"
        assert len(page["edges"]) == 24


def test_commands_are_those_of_the_makefile() -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    targets = re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE)
    for target in re.findall(r"^make ([a-z]+)$", README, re.MULTILINE):
        assert target in targets


def test_every_dependency_stands_there_with_its_reason() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    given = [*project["project"]["dependencies"], *project["dependency-groups"]["install"]]
    for extra in project["project"]["optional-dependencies"].values():
        given += extra
    for requirement in given:
        (name,) = re.findall(r"^[\w-]+", requirement)
        assert name.removeprefix("pytest-") in README, name
