"""The JSON of selections on movies is kept where it is the same for all requests."""

import tracemalloc
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import strawberry
from graphql import parse

from app.serving.cards import Card, GenreRow, PersonRow
from schema.execution.compiled import shared
from schema.execution.compiled.compiler import Compiler, explained
from schema.execution.compiled.shared import KeptAnswers
from schema.types.movie import Movie
from tests.schema.execution.compiled.both import by_compiled, by_core, printed

pytestmark = pytest.mark.anyio

CARD = Card(
    id=7,
    title='Wild \u00e9 \u2028 "Strawberries"',
    original_title=None,
    year=1957,
    release_date=date(1957, 12, 26),
    runtime_minutes=91,
    overview=None,
    original_language="sv",
    countries=("SE",),
    keywords=("dream",),
    collection=None,
    poster_path=None,
    imdb_id="tt0050986",
    tmdb_id=614,
    movielens_id=None,
    genres=(GenreRow(1, "Drama", 3),),
    directors=(PersonRow(4, "Ingmar Bergman"),),
    cast=((PersonRow(5, "Victor Sj\u00f6str\u00f6m"), "Isak"), (PersonRow(6, "Bibi Andersson"), None)),
    alternative_titles=(),
    external_ids=(),
    attributes='{"a": [1, null]}',
)
CONSTANT = """{ movie { __typename key: id title releaseDate genres { id name } attributes
    cast(first: 1) { character person { name } } ...Figures localizedTitle(languages: ["de"]) } }
    fragment Figures on Movie { averageRating ratingCount directors { name } }"""


@strawberry.type
class Query:
    @strawberry.field
    def movie(self, info: strawberry.Info[Any, None]) -> Movie:
        found: Movie = info.context.movie
        return found


CORE = strawberry.Schema(Query)._schema


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def movie() -> Movie:
    return Movie.of(CARD, 3, 25).shared()


async def answer(
    compiler: Compiler, text: str, movie: Movie, variables: dict[str, Any] | None = None
) -> bytes:
    context = SimpleNamespace(movie=movie)
    answers = [
        printed(await by_compiled(compiler, text, variables, context, kept=True)),
        printed(await by_compiled(compiler, text, variables, context)),
        printed(await by_core(CORE, text, variables, context)),
    ]
    assert answers[1:] == answers[:-1]
    return answers[0]


async def test_a_kept_answer_is_that_of_graphql_core(movie: Movie) -> None:
    compiler = Compiler(CORE, at_once=True)
    first = await answer(compiler, CONSTANT, movie)
    assert len(movie.in_json) == 1
    again = await by_compiled(compiler, CONSTANT, None, SimpleNamespace(movie=movie), kept=True)
    assert isinstance(again.data and again.data["movie"], orjson.Fragment)
    assert printed(again) == first


async def test_each_selection_has_its_own_answer(movie: Movie) -> None:
    compiler = Compiler(CORE, at_once=True)
    texts = ["{ movie { a: title } }", "{ movie { b: title } }", "{ movie { b: title a: title } }"]
    texts += [f"{{ movie {{ cast(first: {n}) {{ character }} }} }}" for n in (1, 2)]
    assert len({await answer(compiler, text, movie) for text in texts}) == len(texts)
    assert len(movie.in_json) == len(texts)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("query ($n: Int!) { movie { cast(first: $n) { character } } }", {"n": 1}),
        ("{ movie { cast(first: 0) { character } } }", None),  # an error
    ],
)
async def test_what_depends_on_the_request_is_not_kept(
    movie: Movie, text: str, variables: dict[str, Any] | None
) -> None:
    await answer(Compiler(CORE, at_once=True), text, movie, variables)
    assert not movie.in_json


@pytest.mark.parametrize(
    "selection",
    [
        "viewer { rating { stars } }",
        "viewerMatch { matchPercent }",
        "genres { movieCount }",
        "similar(first: 1) { __typename }",
    ],
)
def test_fields_that_read_the_request_are_in_no_kept_answer(selection: str) -> None:
    source = explained(CORE, parse(f"{{ movie {{ title {selection} }} }}"), None, [])
    assert "in_json" not in source
    assert "in_json" in explained(CORE, parse("{ movie { title genres { name } } }"), None, [])


async def test_a_changed_copy_has_its_own_answer(movie: Movie) -> None:
    compiler, text = Compiler(CORE, at_once=True), "{ movie { ratingCount } }"
    assert b'"ratingCount":3' in await answer(compiler, text, movie)
    assert b'"ratingCount":4' in await answer(compiler, text, replace(movie, rating_count=4))


def test_the_oldest_answers_are_forgotten(monkeypatch: pytest.MonkeyPatch, movie: Movie) -> None:
    monkeypatch.setattr(shared, "MOST_BYTES", 2 * (shared.OVERHEAD + 20))
    kept = KeptAnswers()
    for number in range(5):
        kept.keep(movie, str(number), {"title": "T"})
    assert list(movie.in_json) == ["3", "4"]
    assert kept.bytes <= shared.MOST_BYTES
    assert len(kept.order) == 2


def test_kept_answers_take_no_more_memory_than_is_counted() -> None:
    kept, source = KeptAnswers(), shared.Shared().shared()
    tracemalloc.start()
    try:
        for number in range(1_000):
            kept.keep(source, f"selection {number}", {"id": number, "title": "Alien"})
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= kept.bytes


def test_the_answers_of_an_object_go_with_it() -> None:
    kept, source = KeptAnswers(), shared.Shared().shared()
    kept.keep(source, "a selection", {"title": "Alien"})
    (texts, *_), *_ = kept.order
    assert texts() == source.in_json
    del source
    assert texts() is None
