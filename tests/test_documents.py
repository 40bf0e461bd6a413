"""The documents for contributors, held to the code."""

import re

import pytest

from bench import architecture
from tests.conftest import ROOT

PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
PLACE = re.compile(r"`((?:app|schema|recommender|seeds|migrations|tests)/[\w/]*(?:\.\w+)?)`")


def test_the_picture_of_the_architecture_matches_the_imports() -> None:
    page = architecture.PAGE.read_text()
    assert architecture.page_with(page) == page, "run `python -m bench.architecture`"


def test_each_room_stands_on_the_page() -> None:
    named = set(PLACE.findall(architecture.PAGE.read_text()))
    rooms = {path.parent for path in ROOT.glob("*/*/__init__.py") if path.parts[-3] in architecture.PACKAGES}
    missing = {f"{room.relative_to(ROOT)}/" for room in rooms} - named - {"seeds/files/", "seeds/store/"}
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_places_that_a_page_names_are_there(page: object) -> None:
    text = (ROOT / str(page)).read_text()
    for place in PLACE.findall(text):
        assert (ROOT / place).exists(), place
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert ((ROOT / str(page)).parent / link).exists(), link


def test_commands_of_the_guide_are_those_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in ("CONTRIBUTING.md", "docs/migrations.md", "docs/architecture.md"):
        assert set(re.findall(r"\bmake ([a-z-]+)", (ROOT / name).read_text())) <= set(targets)
