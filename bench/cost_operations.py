"""An operation for each field of the schema that works: what `bench.cost` asks.

A field works if it has a resolver. Those without one read an attribute of an object that is there; a page of
objects with all their plain fields stands for them (`plain fields`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from graphql import GraphQLObjectType, GraphQLSchema, get_introspection_query, is_introspection_type
from strawberry.schema.schema_converter import GraphQLCoreConverter

from bench.cost_member import PASSWORD, RATE, Member, Rig, event, global_id, history_file

Variables = dict[str, Any]
PAGE = 100
WORDS = (
    "the man who lovd a wman frm the darkk sity of lghts and the lst hous on the hil wth a strnge vew to kll"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: by whom, and with what."""

    variables: Variables = field(default_factory=dict)
    member: Member | None = None


Making = Callable[[Rig], Asked]


@dataclass(frozen=True, slots=True)
class Operation:
    """`make` prepares one request before it is measured. `times`: at most so often, where each takes long to
    prepare or changes what the next one finds."""

    document: str
    make: Making = lambda _: Asked()
    times: int = 40
    streams: bool = False
    besides: str = ""  # a document that is asked as well, so that the stream has something to say


def working_fields(schema: GraphQLSchema) -> Iterator[str]:
    """Coordinates of the fields that have a resolver, without ids and what all errors have."""
    error = schema.type_map["Error"]
    shared = {"id", *getattr(error, "fields", ())}
    for name, kind in schema.type_map.items():
        if not isinstance(kind, GraphQLObjectType) or is_introspection_type(kind):
            continue
        for field_name, found in kind.fields.items():
            definition = found.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            if getattr(definition, "base_resolver", None) is not None and field_name not in shared:
                yield f"{name}.{field_name}"


def as_member(**variables: Any) -> Making:
    return lambda rig: Asked(variables, rig.member)


def as_admin(**variables: Any) -> Making:
    return lambda rig: Asked(variables, rig.admin)


def anyone(**variables: Any) -> Making:
    return lambda _: Asked(variables)


def fresh(**variables: Any) -> Making:
    """By a member of its own."""
    return lambda rig: Asked(variables, rig.sign_up())


def mutation(name: str, kind: str, selection: str = "__typename") -> str:
    return f"mutation($i:{kind}!){{{name}(input:$i){{{selection}}}}}"


def inputs(make: Callable[[Rig], Variables], member: Callable[[Rig], Member | None]) -> Making:
    return lambda rig: Asked({"i": make(rig)}, member(rig))


def mine(rig: Rig) -> Member:
    return rig.member


def admins(rig: Rig) -> Member:
    return rig.admin


def movie_to_add(number: int) -> Variables:
    names = [f"Person {number} {place}" for place in range(20)]
    return {
        "title": f"A Movie {number}",
        "year": 2020,
        "genres": ["Drama"],
        "directors": names[:1],
        "cast": names,
    }


NUMBERS = count(1)
CARD = (
    "id title originalTitle year releaseDate runtimeMinutes overview originalLanguage countries keywords "
    "collection posterUrl imdbId tmdbId ratingCount averageRating"
)
RECOMMENDED = "edges{score matchPercent predictedRating{low} reasons{text} node{title}}"
VIEWER = "query{viewer{%s}}"
GROUP = (
    "query($u:[String!]!){groupRecommendations(usernames:$u,first:24){edges{score members{matchPercent}}}}"
)


def added_movie(rig: Rig) -> str:
    document = mutation("addMovie", "AddMovieInput", "... on AddMoviePayload{movie{id}}")
    data = rig.client.ask(document, {"i": movie_to_add(next(NUMBERS))}, rig.admin)["data"]
    found: str = data["addMovie"]["movie"]["id"]
    return found


def other_session(rig: Rig) -> Asked:
    """Of a member who is signed in twice: one of the sign-ins."""
    member = rig.sign_up()
    rig.log_in(member)
    query = "{viewer{sessions(first:5){edges{node{id isCurrent}}}}}"
    edges = rig.client.ask(query, {}, member)["data"]["viewer"]["sessions"]["edges"]
    session = next(edge["node"]["id"] for edge in edges if not edge["node"]["isCurrent"])
    return Asked({"i": {"sessionId": session}}, member)


def made_key(rig: Rig) -> Variables:
    document = mutation("createApiKey", "CreateApiKeyInput", "... on CreateApiKeyPayload{apiKey{id}}")
    data = rig.client.ask(document, {"i": {"name": "bench", "scopes": ["READ"]}}, rig.admin)["data"]
    return {"apiKeyId": data["createApiKey"]["apiKey"]["id"]}


def rated(rig: Rig) -> Variables:
    movie = global_id("Movie", 400 + next(NUMBERS) % 300)
    document = mutation("rateMovie", "RateMovieInput")
    rig.client.ask(document, {"i": {"movieId": movie, "stars": 4.0}}, rig.member)
    return {"movieId": movie}


def active_version(rig: Rig) -> Variables:
    data = rig.client.ask("{activeModel{version}}", {}, rig.admin)["data"]
    return {"version": data["activeModel"]["version"]}


def shelf_ids(rig: Rig) -> Asked:
    query = "{home(shelves:8,perShelf:24){shelves{id}}}"
    shelves = rig.client.ask(query, {}, rig.member)["data"]["home"]["shelves"]
    return Asked({"ids": [shelves[-1]["id"]] * PAGE}, rig.member)


def trained(rig: Rig) -> Asked:
    return Asked({"id": rig.trained_job()}, rig.admin)


OPERATIONS: dict[str, Operation] = {
    "a request": Operation("{__typename}"),
    "plain fields": Operation(f"{{movies(first:{PAGE}){{edges{{cursor node{{{CARD}}}}}}}}}"),
    "introspection": Operation(get_introspection_query()),
    "Query.movie": Operation("query($id:ID!){movie(id:$id){title}}", anyone(id=global_id("Movie", 5))),
    "Query.movies": Operation(f"{{movies(first:{PAGE}){{edges{{node{{title}}}}}}}}"),
    "Query.movies, filter": Operation(
        "query($f:MovieFilter){movies(first:10,filter:$f){totalCount edges{node{title}}}}",
        anyone(f={"people": [f"Nobody {n}" for n in range(50)], "languages": [f"l{n}" for n in range(50)]}),
    ),
    "Query.search": Operation(
        "query($q:String!){search(query:$q,first:10){edges{score}}}", anyone(q="dark knight")
    ),
    "Query.search, 100 characters": Operation(
        "query($q:String!){search(query:$q,first:10){edges{score}}}", anyone(q=WORDS[:100])
    ),
    "Query.genres": Operation("{genres{name}}"),
    "Query.node": Operation("query($id:ID!){node(id:$id){id}}", anyone(id=global_id("Movie", 5))),
    "Query.nodes": Operation(
        "query($ids:[ID!]!){nodes(ids:$ids){id}}",
        anyone(ids=[global_id("Movie", number) for number in range(1, PAGE + 1)]),
    ),
    "Query.nodes, unknown": Operation(
        "query($ids:[ID!]!){nodes(ids:$ids){id}}",
        anyone(ids=[global_id("Movie", 10**6 + number) for number in range(1, PAGE + 1)]),
    ),
    "Query.nodes, shelves": Operation(
        "query($ids:[ID!]!){nodes(ids:$ids){... on Shelf{movies(first:1){edges{score}}}}}", shelf_ids, times=5
    ),
    "Query.node, a shelf": Operation(
        "query($ids:ID!){node(id:$ids){... on Shelf{title}}}",
        lambda rig: Asked({"ids": shelf_ids(rig).variables["ids"][0]}, rig.member),
        times=5,
    ),
    "Query.recommendations": Operation(f"{{recommendations(first:24){{{RECOMMENDED}}}}}", as_member()),
    "Query.recommendations, 1": Operation("{recommendations(first:1){edges{score}}}", as_member()),
    "Query.recommendations, 100": Operation(f"{{recommendations(first:100){{{RECOMMENDED}}}}}", as_member()),
    "Query.recommendations, likes": Operation(
        "query($l:[ID!]){recommendations(first:10,likes:$l){edges{score}}}",
        anyone(l=[global_id("Movie", number) for number in range(1, 301)]),
    ),
    "Query.recommendations, exclude": Operation(
        "query($l:[ID!]){recommendations(first:10,exclude:$l){edges{score}}}",
        anyone(l=[global_id("Movie", number) for number in range(1, 301)]),
    ),
    "Query.home": Operation("{home(shelves:8,perShelf:24){shelves{title}}}", as_member()),
    "Query.home, 20": Operation("{home(shelves:20,perShelf:1){shelves{title}}}", as_member()),
    "Query.home, signed out": Operation("{home(shelves:8,perShelf:24){shelves{title}}}"),
    "Query.onboarding, signed out": Operation("{onboarding(first:24){edges{node{title}}}}"),
    "Query.recommendations, signed out": Operation("{recommendations(first:24){edges{score}}}"),
    "Query.onboarding": Operation("{onboarding(first:24){edges{node{title}}}}", as_member()),
    "Query.groupRecommendations": Operation(
        GROUP,
        lambda rig: Asked({"u": [rig.member.username]}, rig.member),
    ),
    "Query.groupRecommendations, 5": Operation(
        GROUP,
        lambda rig: Asked({"u": [rig.member.username, *rig.friends]}, rig.member),
    ),
    "Query.viewer": Operation("{viewer{username}}", as_member()),
    "Query.exportMyData": Operation("{exportMyData}", as_member(), times=5),
    "Query.auditLog": Operation("{auditLog(first:24){edges{node{act}}}}", as_admin()),
    "Query.apiKeys": Operation("{apiKeys(first:24){edges{node{name}}}}", as_admin()),
    "Query.activeModel": Operation("{activeModel{version metrics{name}}}", as_admin()),
    "Query.models": Operation("{models(first:24){edges{node{version}}}}", as_admin()),
    "Movie.cast": Operation(
        f"{{movies(first:{PAGE}){{edges{{node{{cast(first:4){{character person{{name}}}}}}}}}}}}"
    ),
    "Movie.alternativeTitles": Operation(f"{{movies(first:{PAGE}){{edges{{node{{alternativeTitles}}}}}}}}"),
    "Movie.viewerRating": Operation(
        f"{{movies(first:{PAGE}){{edges{{node{{viewerRating{{stars}}}}}}}}}}", as_member()
    ),
    "Movie.viewerMatch": Operation(
        f"{{movies(first:{PAGE}){{edges{{node{{viewerMatch{{matchPercent reasons{{text}}}}}}}}}}}}",
        as_member(),
        times=10,
    ),
    "Movie.similar": Operation(
        "{movies(first:50){edges{node{similar(first:5){edges{similarity}}}}}}", times=10
    ),
    "Genre.movieCount": Operation("{genres{movieCount}}"),
    "Rating.movie": Operation(VIEWER % "ratings(first:100){edges{node{movie{title}}}}", as_member()),
    "Shelf.movies": Operation(
        f"{{home(shelves:8,perShelf:24){{shelves{{movies(first:24){{{RECOMMENDED}}}}}}}}}",
        as_member(),
        times=10,
    ),
    "User.taste": Operation(VIEWER % "taste{genres{affinity} decades{affinity}}", as_member()),
    "Taste.people": Operation(VIEWER % "taste{people(first:100){affinity person{name}}}", as_member()),
    "User.history": Operation(VIEWER % "history(first:24){edges{node{kind movie{title}}}}", as_member()),
    "HistoryConnection.totalCount": Operation(VIEWER % "history(first:1){totalCount}", as_member()),
    "User.watchlist": Operation(VIEWER % "watchlist(first:24){edges{node{title}}}", as_member()),
    "WatchlistConnection.totalCount": Operation(VIEWER % "watchlist(first:1){totalCount}", as_member()),
    "User.similarUsers": Operation(VIEWER % "similarUsers(first:10){similarity user{username}}", as_member()),
    "User.createdAt": Operation(VIEWER % "createdAt", as_member()),
    "User.favoriteGenres": Operation(VIEWER % "favoriteGenres{name}", as_member()),
    "User.ratings": Operation(VIEWER % "ratings(first:24){edges{node{stars}}}", as_member()),
    "RatingConnection.totalCount": Operation(VIEWER % "ratings(first:1){totalCount}", as_member()),
    "User.sessions": Operation(VIEWER % "sessions(first:10){edges{node{isCurrent}}}", as_member()),
    "User.discoverable": Operation(VIEWER % "discoverable", as_member()),
    "ModelConnection.totalCount": Operation("{models(first:1){totalCount}}", as_admin()),
    "Mutation.signUp": Operation(
        mutation("signUp", "SignUpInput"),
        lambda rig: Asked({"i": {"username": f"new-{next(NUMBERS)}-{rig.name}", "password": PASSWORD}}),
        times=6,
    ),
    "Mutation.logIn": Operation(
        mutation("logIn", "LogInInput"),
        lambda rig: Asked({"i": {"username": rig.member.username, "password": PASSWORD}}),
        times=6,
    ),
    "Mutation.refreshSession": Operation(
        mutation("refreshSession", "RefreshSessionInput"),
        lambda rig: Asked({"i": {"refreshToken": rig.log_in(rig.member).refresh_token}}),
        times=6,
    ),
    "Mutation.logOut": Operation("mutation{logOut{__typename}}", fresh(), times=6),
    "Mutation.setFavoriteGenres": Operation(
        mutation("setFavoriteGenres", "SetFavoriteGenresInput"),
        inputs(lambda rig: {"genreIds": rig.genre_ids[:5]}, mine),
        times=10,
    ),
    "Mutation.endSession": Operation(mutation("endSession", "EndSessionInput"), other_session, times=6),
    "Mutation.endOtherSessions": Operation("mutation{endOtherSessions{__typename}}", fresh(), times=6),
    "Mutation.endAllSessions": Operation("mutation{endAllSessions{__typename}}", fresh(), times=6),
    "Mutation.changePassword": Operation(
        mutation("changePassword", "ChangePasswordInput"),
        fresh(i={"currentPassword": PASSWORD, "newPassword": PASSWORD + " again"}),
        times=5,
    ),
    "Mutation.deleteAccount": Operation(
        mutation("deleteAccount", "DeleteAccountInput"), fresh(i={"password": PASSWORD}), times=6
    ),
    "Mutation.setDiscoverable": Operation(
        mutation("setDiscoverable", "SetDiscoverableInput"), as_member(i={"discoverable": True}), times=10
    ),
    "Mutation.rateMovie": Operation(
        mutation("rateMovie", "RateMovieInput"),
        inputs(lambda _: {"movieId": global_id("Movie", 1 + next(NUMBERS) % 300), "stars": 3.5}, mine),
    ),
    "Mutation.removeRating": Operation(
        mutation("removeRating", "RemoveRatingInput"), inputs(rated, mine), times=10
    ),
    "Mutation.recordFeedback": Operation(
        mutation("recordFeedback", "RecordFeedbackInput"),
        inputs(lambda _: {"events": [event(n) for n in range(500)]}, mine),
        times=6,
    ),
    "Mutation.recordFeedback, 1": Operation(
        mutation("recordFeedback", "RecordFeedbackInput"), inputs(lambda _: {"events": [event(2)]}, mine)
    ),
    "Mutation.removeFeedback": Operation(
        mutation("removeFeedback", "RemoveFeedbackInput"),
        inputs(lambda _: {"movieId": global_id("Movie", 1 + next(NUMBERS)), "kinds": ["LIKE"]}, mine),
        times=10,
    ),
    "Mutation.removeFromWatchlist": Operation(
        mutation("removeFromWatchlist", "RemoveFromWatchlistInput"),
        inputs(lambda _: {"movieId": global_id("Movie", 1 + next(NUMBERS))}, mine),
        times=10,
    ),
    "Mutation.importRatings": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{rated}"),
        inputs(lambda rig: {"csv": history_file(rig.titles, 300), "source": "LETTERBOXD"}, Rig.sign_up),
        times=3,
    ),
    "Mutation.importRatings, unknown": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{rated}"),
        inputs(lambda _: {"csv": history_file([("Nowhere to be found", 1999)], 5_000)}, Rig.sign_up),
        times=3,
    ),
    "ImportRatingsPayload.skipped": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{skipped{line reason}}"),
        inputs(lambda _: {"csv": history_file([("Nowhere to be found", 1999)], 1_000)}, Rig.sign_up),
        times=3,
    ),
    "ImportRatingsPayload.skippedCount": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{skippedCount}"),
        inputs(lambda _: {"csv": history_file([("Nowhere to be found", 1999)], 10)}, Rig.sign_up),
        times=5,
    ),
    "ImportRatingsPayload.rows": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{rows{line}}"),
        inputs(lambda rig: {"csv": history_file(rig.titles, 100), "source": "LETTERBOXD"}, Rig.sign_up),
        times=3,
    ),
    "ImportedRow.movie": Operation(
        mutation("importRatings", "ImportRatingsInput", "... on ImportRatingsPayload{rows{movie{title}}}"),
        inputs(lambda rig: {"csv": history_file(rig.titles, 100), "source": "LETTERBOXD"}, Rig.sign_up),
        times=3,
    ),
    "Mutation.setRole": Operation(
        mutation("setRole", "SetRoleInput"),
        inputs(lambda rig: {"username": rig.member.username, "role": "USER"}, admins),
        times=10,
    ),
    "Mutation.deleteUser": Operation(
        mutation("deleteUser", "DeleteUserInput"),
        inputs(lambda rig: {"username": rig.sign_up().username}, admins),
        times=5,
    ),
    "Mutation.createApiKey": Operation(
        mutation("createApiKey", "CreateApiKeyInput"),
        inputs(lambda _: {"name": "bench", "scopes": ["READ"]}, admins),
        times=10,
    ),
    "Mutation.revokeApiKey": Operation(
        mutation("revokeApiKey", "RevokeApiKeyInput"), inputs(made_key, admins), times=6
    ),
    "Mutation.addMovie": Operation(
        mutation("addMovie", "AddMovieInput"), inputs(lambda _: movie_to_add(next(NUMBERS)), admins), times=5
    ),
    "Mutation.updateMovie": Operation(
        mutation("updateMovie", "UpdateMovieInput"),
        inputs(lambda rig: {"movieId": added_movie(rig), "year": 2019}, admins),
        times=5,
    ),
    "Mutation.deleteMovie": Operation(
        mutation("deleteMovie", "DeleteMovieInput"),
        inputs(lambda rig: {"movieId": added_movie(rig)}, admins),
        times=5,
    ),
    "Mutation.activateModel": Operation(
        mutation("activateModel", "ActivateModelInput"), inputs(active_version, admins), times=3
    ),
    "Mutation.trainModel": Operation(mutation("trainModel", "TrainModelInput"), as_admin(i={}), times=5),
    "TrainingJob.model": Operation(
        "query($id:ID!){node(id:$id){... on TrainingJob{model{version}}}}", trained
    ),
    "Subscription.trainingProgress": Operation(
        "subscription($id:ID!){trainingProgress(jobId:$id){stage}}", trained, times=10, streams=True
    ),
    "TrainingProgress.model": Operation(
        "subscription($id:ID!){trainingProgress(jobId:$id){model{version}}}", trained, times=10, streams=True
    ),
    "Subscription.recommendationsChanged": Operation(
        "subscription{recommendationsChanged{__typename}}", as_member(), times=10, streams=True, besides=RATE
    ),
    "RecommendationsChanged.recommendations": Operation(
        "subscription{recommendationsChanged{recommendations(first:10){edges{score}}}}",
        as_member(),
        times=10,
        streams=True,
        besides=RATE,
    ),
}
