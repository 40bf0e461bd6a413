"""Descriptions of the schema, and the reference page generated from it."""

import re

import pytest
from graphql import build_schema

from schema import schema
from schema.breaking_changes import elements
from schema.core.errors import ErrorCode
from schema.reference import reference

SDL = schema.as_str()


def descriptions() -> dict[str, str]:
    """The description of each element of the schema, by coordinate."""
    return {name: element.description or "" for name, element in elements(build_schema(SDL))}


def test_every_element_of_the_schema_is_described() -> None:
    texts = descriptions()
    assert {
        "Movie.cast(first:)",
        "ErrorCode.TIMEOUT",
        "RateMovieInput.stars",
        "@defer(label:)",
    } < texts.keys()
    assert [name for name, text in texts.items() if not text.strip()] == []


def test_every_error_code_has_a_cause_and_a_remedy() -> None:
    texts = descriptions()
    for code in ErrorCode:
        assert re.search(r"[.:] \w", texts[f"ErrorCode.{code.name}"]), code


@pytest.fixture(scope="module")
def page() -> str:
    return reference(SDL)


def test_the_page_describes_each_element(page: str) -> None:
    for name, text in descriptions().items():
        if name in {"Query", "Mutation", "Subscription"} or name.endswith("Result"):
            continue  # sections, and types that are listed with their mutation
        assert " ".join(text.split()).replace("|", r"\|") in page, name
        (last,) = re.findall(r"(@?\w+)(?::\))?$", name)
        assert re.search(rf"`[\w(]*{last}(:\))?`", page), name


def test_every_link_of_the_page_has_a_target(page: str) -> None:
    anchors = re.findall(r'<a id="([^"]+)">', page)
    assert len(anchors) == len(set(anchors))
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]+)\)", page)
    assert len(set(links)) > 100
    assert set(links) <= set(anchors) | headings


def test_a_change_of_the_schema_changes_the_page() -> None:
    small = """
    "All."
    type Query {
      "A | movie."
      movie("Which." id: ID! = "1"): Movie @deprecated(reason: "Use `node`.")
    }
    "A movie, as it was shown."
    type Movie { "Its name." name: String! }
    """
    page = reference(small)
    assert r"A \| movie. **Deprecated:** Use `node`." in page
    assert '| `id` | `ID!` | Which. Default `"1"`. |' in page
    assert "Returns [`Movie`](#type-movie)." in page
    assert "## Mutations" not in page
    assert reference(small.replace("Its name.", "Its title.")) != page
