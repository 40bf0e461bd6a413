"""Whoever reads the schema, or the page that is made from it, finds everything explained."""

import re
from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLSchema,
    build_schema,
    is_introspection_type,
    is_specified_directive,
    is_specified_scalar_type,
)

from schema import schema
from schema.errors import ErrorCode
from schema.reference import reference

SDL = schema.as_str()


def descriptions(of: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """Each element of a schema by its coordinate, with its description."""
    for type_ in of.type_map.values():
        if is_introspection_type(type_) or is_specified_scalar_type(type_):
            continue
        yield type_.name, type_.description
        if isinstance(type_, GraphQLEnumType):
            yield from ((f"{type_.name}.{name}", value.description) for name, value in type_.values.items())
        for name, field in getattr(type_, "fields", {}).items():
            yield f"{type_.name}.{name}", field.description
            for argument, element in getattr(field, "args", {}).items():
                yield f"{type_.name}.{name}({argument}:)", element.description
    for directive in (each for each in of.directives if not is_specified_directive(each)):
        yield f"@{directive.name}", directive.description
        for argument, element in directive.args.items():
            yield f"@{directive.name}({argument}:)", element.description


def test_every_element_of_the_schema_is_described() -> None:
    told = dict(descriptions(build_schema(SDL)))
    assert {"Movie.cast(first:)", "ErrorCode.TIMEOUT", "RateMovieInput.stars", "@defer(label:)"} < told.keys()
    assert [name for name, text in told.items() if not (text or "").strip()] == []


def test_every_error_code_tells_when_it_comes_and_then_what_to_do() -> None:
    told = dict(descriptions(build_schema(SDL)))
    for code in ErrorCode:
        assert re.search(r"[.:] \w", told[f"ErrorCode.{code.name}"] or ""), code


@pytest.fixture(scope="module")
def page() -> str:
    return reference(SDL)


def test_the_page_tells_of_each_element(page: str) -> None:
    for name, text in descriptions(build_schema(SDL)):
        if name in {"Query", "Mutation", "Subscription"} or name.endswith("Result"):
            continue  # the sections themselves, and what stands with its mutation
        assert " ".join((text or "").split()).replace("|", r"\|") in page, name
        (last,) = re.findall(r"(@?\w+)(?::\))?$", name)
        assert re.search(rf"`[\w(]*{last}(:\))?`", page), name


def test_every_link_of_the_page_leads_somewhere(page: str) -> None:
    anchors = re.findall(r'<a id="([^"]+)">', page)
    assert len(anchors) == len(set(anchors))
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]+)\)", page)
    assert len(set(links)) > 100
    assert set(links) <= set(anchors) | headings


def test_a_change_of_the_schema_is_a_change_of_the_page() -> None:
    small = """
    "All."
    type Query {
      "A | film."
      film("Which." id: ID! = "1"): Film @deprecated(reason: "Use `node`.")
    }
    "A film, as it was shown."
    type Film { "Its name." name: String! }
    """
    page = reference(small)
    assert r"A \| film. **Deprecated:** Use `node`." in page
    assert '| `id` | `ID!` | Which. Default `"1"`. |' in page
    assert "Returns [`Film`](#type-film)." in page
    assert "## Mutations" not in page
    assert reference(small.replace("Its name.", "Its title.")) != page
