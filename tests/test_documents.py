"""The documents, checked against the code: files, links, commands, dependencies, picture of the packages."""

import re
import tomllib
from pathlib import Path

import pytest

from app.cli.commands import COMMANDS
from bench import architecture
from tests.conftest import ROOT

PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
PLACE = re.compile(r"`((?:app|schema|recommender|seeds|migrations|tests)/[\w/]*(?:\.\w+)?)`")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_the_picture_of_the_architecture_matches_the_imports() -> None:
    page = architecture.PAGE.read_text()
    assert architecture.page_with(page) == page, "run `python -m bench.architecture`"


def test_every_package_is_on_the_page_of_the_architecture() -> None:
    named = set(PLACE.findall(architecture.PAGE.read_text()))
    rooms = {path.parent for path in ROOT.glob("*/*/__init__.py") if path.parts[-3] in architecture.PACKAGES}
    missing = {f"{room.relative_to(ROOT)}/" for room in rooms} - named - {"seeds/files/", "seeds/store/"}
    assert not missing


@every_page
def test_files_and_links_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    for place in PLACE.findall(text):
        assert (ROOT / place).exists(), place
    for link, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", text):
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them from headings, and those that it sets itself."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


@every_page
def test_make_targets_of_a_page_are_those_of_the_makefile(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:^ *|`)make ([a-z-]+) *(?:$|[`#A-Z])", page.read_text(), re.MULTILINE)
    assert set(named) <= set(targets)


@every_page
def test_commands_of_a_page_are_those_of_the_program(page: Path) -> None:
    assert set(re.findall(r"(?:^ *|`)marquee ([a-z-]+)", page.read_text(), re.MULTILINE)) <= set(COMMANDS)


def test_every_command_of_the_program_is_in_the_documents() -> None:
    pages = (ROOT / "docs" / "operate.md").read_text() + (ROOT / "docs" / "offline.md").read_text()
    assert [name for name in COMMANDS if f"`marquee {name}" not in pages] == []


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in PAGES:
        assert page.name == "README.md" or f"]({page.relative_to(ROOT)})" in readme, page


def test_every_dependency_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = [*project["project"]["dependencies"], *project["dependency-groups"]["install"]]
    for extra in project["project"]["optional-dependencies"].values():
        requirements += extra
    for requirement in requirements:
        (name,) = re.findall(r"^[\w-]+", requirement)
        assert name.removeprefix("pytest-") in readme, name
