"""Permissions: every field of the schema with every role.

A new root field needs a line in ROOTS, a new node one in NODES, a new field of a member one in MEMBER.
"""

from itertools import product
from typing import Any

import pytest
import strawberry
from graphql import GraphQLInterfaceType, GraphQLObjectType
from strawberry.extensions import ParserCache, ValidationCache

from app.accounts.api_keys import Scope
from schema import schema
from schema.core.errors import PresentErrors
from schema.types.user import User
from tests.schema.documents import arguments_of, global_id, roots, selection_of
from tests.schema.execution.conftest import ACTING, SIGNED_IN, World
from tests.schema.execution.first_result import errors_of

pytestmark = pytest.mark.anyio

ACTORS = ("signed out", "USER", "CURATOR", "ADMIN", *(f"key {scope}" for scope in Scope), ACTING)
ANYONE = frozenset(ACTORS)
MEMBERS = SIGNED_IN | {ACTING}
CURATORS = frozenset({"CURATOR", "ADMIN", "key WRITE"})
ADMINS = frozenset({"ADMIN", "key ADMIN"})
ADMIN_LOOKS = frozenset({"ADMIN", "key READ"})
ADMIN_MEMBERS = frozenset({"ADMIN"})

EDITS = ("addMovie", "deleteMovie", "promote", "setMovieHidden", "updateMovie", "withdrawPromotion")
ROOTS = {
    "Query.activeModel": ADMIN_LOOKS,
    "Query.apiKeys": ADMIN_MEMBERS,
    "Query.auditLog": ADMINS,
    "Query.deadLetters": ADMINS,
    "Query.experiment": ADMINS,
    "Query.experiments": ADMINS,
    "Query.exportMyData": MEMBERS,
    "Query.genres": ANYONE,
    "Query.groupRecommendations": MEMBERS,
    "Query.home": ANYONE,
    "Query.models": ADMIN_LOOKS,
    "Query.movie": ANYONE,
    "Query.movieBy": ANYONE,
    "Query.movies": ANYONE,
    "Query.node": ANYONE,
    "Query.nodes": ANYONE,
    "Query.onboarding": ANYONE,
    "Query.recommendations": ANYONE,
    "Query.search": ANYONE,
    "Query.searchPeople": ANYONE,
    "Query.servedList": ADMINS,
    "Query.service": ADMINS,
    "Query.settings": ADMINS,
    "Query.viewer": ANYONE,
    **dict.fromkeys(("Query.hiddenMovies", "Query.promotions"), CURATORS),
    **dict.fromkeys(("Mutation.removePreference", "Mutation.setPreference"), MEMBERS),
    **{f"Mutation.{name}": CURATORS for name in EDITS},
    "Mutation.activateModel": ADMINS,
    "Mutation.changePassword": MEMBERS,
    "Mutation.createApiKey": ADMIN_MEMBERS,
    "Mutation.createMergeCode": MEMBERS,
    "Mutation.deleteAccount": MEMBERS,
    "Mutation.deleteMovies": CURATORS,
    "Mutation.deleteUser": ADMINS,
    "Mutation.endAllSessions": MEMBERS,
    "Mutation.endOtherSessions": MEMBERS,
    "Mutation.endSession": MEMBERS,
    "Mutation.importRatings": MEMBERS,
    **dict.fromkeys(("Mutation.joinNight", "Mutation.leaveNight", "Mutation.openNight"), MEMBERS),
    "Mutation.logIn": ANYONE,
    "Mutation.logOut": ANYONE,
    "Mutation.mergeMember": MEMBERS,
    "Mutation.rateMovie": MEMBERS,
    "Mutation.recordFeedback": MEMBERS | {"key MEMBERS"},
    "Mutation.refreshSession": ANYONE,
    "Mutation.removeFeedback": MEMBERS,
    "Mutation.removeFromWatchlist": MEMBERS,
    "Mutation.removeRating": MEMBERS,
    "Mutation.replayDeadLetters": ADMINS,
    "Mutation.revokeApiKey": ADMIN_MEMBERS,
    "Mutation.setDiscoverable": MEMBERS,
    "Mutation.setFavoriteGenres": MEMBERS,
    "Mutation.setRole": ADMIN_MEMBERS,
    "Mutation.rollbackModel": ADMINS,
    "Mutation.signUp": ANYONE,
    "Mutation.startExperiment": ADMINS,
    "Mutation.stopExperiment": ADMINS,
    "Mutation.trainModel": ADMINS,
    "Mutation.upsertMovies": CURATORS,
    "Mutation.upsertRatings": frozenset({"key MEMBERS"}),
    "Subscription.recommendationsChanged": MEMBERS,
    "Subscription.trainingProgress": ADMIN_MEMBERS,
}
# Roles that find another member's object (or an object without a member) by id; others get null.
NODES = {
    "ApiKey": ADMIN_MEMBERS,
    "Genre": ANYONE,
    "Model": ADMIN_LOOKS,
    "Movie": ANYONE,
    "Person": ANYONE,
    "Rating": frozenset[str](),
    "Session": frozenset[str](),
    "TrainingJob": ADMIN_LOOKS,
    "Shelf": None,  # a page of lists, made anew for each request
    "User": frozenset[str](),
}
# Fields of a member that others may see; all other fields are refused to them.
SEEN_BY_OTHERS = {"id", "username", "simulated"}
MEMBER = SEEN_BY_OTHERS | {
    "createdAt",
    "discoverable",
    "favoriteGenres",
    "history",
    "night",
    "preferences",
    "ratings",
    "sessions",
    "similarUsers",
    "taste",
    "watchlist",
}
REFUSALS = {"UNAUTHENTICATED", "FORBIDDEN"}


def test_no_field_is_unlisted() -> None:
    assert {name for _, name, _ in roots()} == set(ROOTS)


def test_no_node_is_unlisted() -> None:
    node = schema._schema.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert {type_.name for type_ in schema._schema.get_implementations(node).objects} == set(NODES)


def test_no_field_of_a_member_is_unlisted() -> None:
    user = schema._schema.type_map["User"]
    assert isinstance(user, GraphQLObjectType)
    assert set(user.fields) == MEMBER


@pytest.fixture
def parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document of a field is the same for all roles; to parse and to validate it is most of the work."""
    monkeypatch.setattr(schema, "extensions", [*schema.extensions, ParserCache, ValidationCache])


@pytest.mark.usefixtures("parsed_once")
async def test_every_root_field_with_every_role(world: World) -> None:
    wrong = []
    for (operation, name, field), actor in product(roots(), ACTORS):
        _, _, field_name = name.partition(".")
        document = f"{operation} {{ {field_name}{arguments_of(field)}{selection_of(field)} }}"
        refusals = await refused(world, operation, document, actor)
        # `test_another_members_fields_with_every_role` covers the fields below.
        codes = {code for path, code in refusals if path == (field_name,)}
        expected = set() if actor in ROOTS[name] else {refusal_of(actor)}
        if codes != expected or (not expected and refusals):
            wrong.append(f"{name} as {actor}: {refusals or 'allowed'}, expected {expected or 'allowed'}")
    assert wrong == []


def refusal_of(actor: str) -> str:
    """The code of a refusal: UNAUTHENTICATED for a visitor, FORBIDDEN for a signed-in client."""
    return "UNAUTHENTICATED" if actor == "signed out" else "FORBIDDEN"


async def test_another_members_fields_with_every_role(world: World) -> None:
    """The private fields of a member are refused to every other role."""

    @strawberry.type
    class Probe:
        @strawberry.field
        def someone(self) -> User:
            return User.of(world.other)

    probe = strawberry.Schema(query=Probe, extensions=[PresentErrors])
    type_ = probe._schema.type_map["User"]
    assert isinstance(type_, GraphQLObjectType)
    for (name, field), actor in product(type_.fields.items(), ACTORS):
        document = f"{{ someone {{ {name}{arguments_of(field)}{selection_of(field, 1)} }} }}"
        result = await probe.execute(document, context_value=await world.context(actor))
        codes = {(error.extensions or {})["code"] for error in result.errors or []}
        if name in SEEN_BY_OTHERS:
            assert codes == set(), (name, actor)
        else:
            assert codes == {refusal_of(actor)}, (name, actor)


async def test_every_node_with_every_role(world: World) -> None:
    keys = {
        "ApiKey": world.key_id,
        "Genre": 1,
        "Model": "v1",
        "Movie": 1,
        "Person": 1,
        "Rating": f"{world.other.id}.1",
        "Session": world.other.session_id,
        "TrainingJob": 1,
        "User": world.other.id,
    }
    for (name, key), actor in product(keys.items(), ACTORS):
        id_ = global_id(name, key)
        document = "query ($id: ID!) { node(id: $id) { id } }"
        context = await world.context(actor)
        result = await schema.execute(document, variable_values={"id": id_}, context_value=context)
        assert result.errors is None, (name, actor)
        assert result.data is not None
        allowed = NODES[name]
        assert allowed is not None
        assert (result.data["node"] is not None) == (actor in allowed), (name, actor)


async def refused(
    world: World, operation: str, document: str, actor: str
) -> set[tuple[tuple[Any, ...], str]]:
    """The paths and codes of the errors in a response; the document itself is valid."""
    context = await world.context(actor)
    if operation == "subscription":
        errors = await errors_of(document, context)
    else:
        executed = await schema.execute(document, context_value=context)
        errors = executed.errors or []
        assert all(error.path for error in errors), (document, errors)
    found = ((tuple(error.path or ()), (error.extensions or {}).get("code")) for error in errors)
    return {(path, code) for path, code in found if code in REFUSALS}
