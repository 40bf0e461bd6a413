"""Expected outcomes have a code for programs, one for each problem."""

from collections import defaultdict

from graphql import GraphQLObjectType

from schema import schema
from schema.core.errors import code_of
from tests.schema.conftest import Ask, Member, outcome
from tests.schema.documents import global_id


def test_a_problem_has_one_code_in_all_mutations() -> None:
    codes: dict[str, set[str]] = defaultdict(set)
    descriptions: dict[str, str] = {}
    for name, type_ in schema._schema.type_map.items():
        if isinstance(type_, GraphQLObjectType) and any(each.name == "Error" for each in type_.interfaces):
            codes[code_of(name)].add(name)
            other = descriptions.setdefault(type_.description or "", name)
            assert code_of(other) == code_of(name), "two outcomes say one thing"
    assert codes["MOVIE_NOT_FOUND"] == {"MovieNotFound", "MovieUnknown"}
    assert codes["MEMBER_NOT_FOUND"] == {"MemberNotFound", "UserNotFound"}
    assert codes["WEAK_PASSWORD"] == {"WeakPassword"}


def test_a_missing_movie_has_one_code(ask: Ask, operator: Member) -> None:
    found = set()
    for mutation, more in (("rateMovie", ", stars: 3"), ("deleteMovie", "")):
        given = f'{{movieId: "{global_id("Movie", 999_999)}"{more}}}'
        document = f"mutation {{ {mutation}(input: {given}) {{ ... on Error {{ code message }} }} }}"
        found.add(outcome(ask(document, operator.token), mutation)["code"])
    assert found == {"MOVIE_NOT_FOUND"}
