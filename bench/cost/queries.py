"""Operations of queries: the catalog, lists, the viewer and administration."""

import time

from graphql import get_introspection_query

from bench.cost.accounts import Rig, global_id
from bench.cost.operation import PAGE, Operation, Request, as_admin, as_member, signed_out

LONG_QUERY = (
    "the man who lovd a wman frm the darkk sity of lghts and the lst hous on the hil wth a strnge vew to kll"
)
CARD = (
    "id title originalTitle year releaseDate runtimeMinutes overview originalLanguage countries keywords "
    "collection posterUrl backdropUrl trailerUrl tagline certification imdbId tmdbId ratingCount "
    "averageRating"
)
RECOMMENDED = "edges{score matchPercent predictedRating{low} reasons{text} node{title}}"
RECORDED_SECONDS = 1.5  # after which a served list is written
VIEWER = "query{viewer{%s}}"
FACETS = "facets{genres{count genre{name}} decades{decade count} languages{language count}}"
GROUP = (
    "query($u:[String!]!){groupRecommendations(usernames:$u,first:24){edges{score members{matchPercent}}}}"
)


def shelf_ids(rig: Rig) -> Request:
    """PAGE times the id of the last shelf of the member's home page."""
    query = "{home(shelves:8,perShelf:24){shelves{id}}}"
    shelves = rig.client.post(query, {}, rig.member)["data"]["home"]["shelves"]
    return Request({"ids": [shelves[-1]["id"]] * PAGE}, rig.member)


SERVED = "query($id:ID!){servedList(requestId:$id){%s}}"


def served_list(rig: Rig) -> Request:
    """The id of a list that is recorded."""
    served = rig.client.post("{recommendations(first:24){requestId}}", {}, rig.member)
    time.sleep(RECORDED_SECONDS)
    return Request({"id": served["data"]["recommendations"]["requestId"]}, rig.admin)


QUERIES: dict[str, Operation] = {
    "a request": Operation("{__typename}"),
    "plain fields": Operation(f"{{movies(first:{PAGE}){{edges{{cursor node{{{CARD}}}}}}}}}"),
    "introspection": Operation(get_introspection_query()),
    "Query.movie": Operation("query($id:ID!){movie(id:$id){title}}", signed_out(id=global_id("Movie", 5))),
    "Query.movieBy": Operation(
        "query($k:MovieKeyInput!){movieBy(key:$k){title}}", signed_out(k={"imdbId": "tt0133093"})
    ),
    "Query.movies": Operation(f"{{movies(first:{PAGE}){{edges{{node{{title}}}}}}}}"),
    "Query.movies, filter": Operation(
        "query($f:MovieFilter){movies(first:10,filter:$f){totalCount edges{node{title}}}}",
        signed_out(
            f={"people": [f"Unknown {n}" for n in range(50)], "languages": [f"l{n}" for n in range(50)]}
        ),
    ),
    "Query.search": Operation(
        "query($q:String!){search(query:$q,first:10){edges{score}}}", signed_out(q="dark knight")
    ),
    "Query.search, 100 characters": Operation(
        "query($q:String!){search(query:$q,first:10){edges{score}}}", signed_out(q=LONG_QUERY[:100])
    ),
    "Query.genres": Operation("{genres{name}}"),
    "Query.node": Operation("query($id:ID!){node(id:$id){id}}", signed_out(id=global_id("Movie", 5))),
    "Query.nodes": Operation(
        "query($ids:[ID!]!){nodes(ids:$ids){id}}",
        signed_out(ids=[global_id("Movie", number) for number in range(1, PAGE + 1)]),
    ),
    "Query.nodes, unknown": Operation(
        "query($ids:[ID!]!){nodes(ids:$ids){id}}",
        signed_out(ids=[global_id("Movie", 10**6 + number) for number in range(1, PAGE + 1)]),
    ),
    "Query.nodes, shelves": Operation(
        "query($ids:[ID!]!){nodes(ids:$ids){... on Shelf{movies(first:1){edges{score}}}}}", shelf_ids, times=5
    ),
    "Query.node, a shelf": Operation(
        "query($ids:ID!){node(id:$ids){... on Shelf{title}}}",
        lambda rig: Request({"ids": shelf_ids(rig).variables["ids"][0]}, rig.member),
        times=5,
    ),
    "Query.recommendations": Operation(f"{{recommendations(first:24){{{RECOMMENDED}}}}}", as_member()),
    "Query.recommendations, 1": Operation("{recommendations(first:1){edges{score}}}", as_member()),
    "Query.recommendations, 100": Operation(f"{{recommendations(first:100){{{RECOMMENDED}}}}}", as_member()),
    "Query.recommendations, likes": Operation(
        "query($l:[ID!]){recommendations(first:10,likes:$l){edges{score}}}",
        signed_out(l=[global_id("Movie", number) for number in range(1, 301)]),
    ),
    "Query.recommendations, exclude": Operation(
        "query($l:[ID!]){recommendations(first:10,exclude:$l){edges{score}}}",
        signed_out(l=[global_id("Movie", number) for number in range(1, 301)]),
    ),
    "Query.home": Operation("{home(shelves:8,perShelf:24){shelves{title}}}", as_member()),
    "Query.home, 20": Operation("{home(shelves:20,perShelf:1){shelves{title}}}", as_member()),
    "Query.home, signed out": Operation("{home(shelves:8,perShelf:24){shelves{title}}}"),
    "Query.onboarding, signed out": Operation("{onboarding(first:24){edges{node{title}}}}"),
    "Query.recommendations, signed out": Operation("{recommendations(first:24){edges{score}}}"),
    "Query.onboarding": Operation("{onboarding(first:24){edges{node{title}}}}", as_member()),
    "Query.groupRecommendations": Operation(
        GROUP,
        lambda rig: Request({"u": [rig.member.username]}, rig.member),
    ),
    "Query.groupRecommendations, 5": Operation(
        GROUP,
        lambda rig: Request({"u": [rig.member.username, *rig.friends]}, rig.member),
    ),
    "Query.viewer": Operation("{viewer{username}}", as_member()),
    "Query.exportMyData": Operation("{exportMyData}", as_member(), times=5),
    "Query.auditLog": Operation("{auditLog(first:24){edges{node{act}}}}", as_admin()),
    "Query.deadLetters": Operation("{deadLetters(first:24){edges{node{rule}}}}", as_admin()),
    "Query.settings": Operation("{settings{name value default source}}", as_admin()),
    "Query.service": Operation(
        "{service{operations errors{count} memberCount ratingsByDay{count} streams{lag} deadLetters{count}}}",
        as_admin(),
    ),
    "Query.promotions": Operation(
        "{promotions(first:24){edges{node{kind subject{__typename}}}}}", as_admin()
    ),
    "Query.hiddenMovies": Operation("{hiddenMovies(first:24){edges{node{title}}}}", as_admin()),
    "Query.apiKeys": Operation("{apiKeys(first:24){edges{node{name}}}}", as_admin()),
    "Query.activeModel": Operation(
        "{activeModel{version kind gate{passed difference{value}} metrics{name}}}", as_admin()
    ),
    "Query.activeModel, training data": Operation(
        "{activeModel{trainingData{checksum streams{stream partition offset}}}}", as_admin()
    ),
    "Query.models": Operation("{models(first:24){edges{node{version}}}}", as_admin()),
    "Query.servedList": Operation(SERVED % "username", served_list, times=5),
    "ServedList.models": Operation(SERVED % "models{version}", served_list, times=5),
    "ServedList.replays": Operation(SERVED % "replays{outcome}", served_list, times=5),
    "Movie.cast": Operation(
        f"{{movies(first:{PAGE}){{edges{{node{{cast(first:4){{character person{{name}}}}}}}}}}}}"
    ),
    "Movie.externalId": Operation(f'{{movies(first:{PAGE}){{edges{{node{{externalId(source:"own")}}}}}}}}'),
    "Movie.attributes": Operation(f"{{movies(first:{PAGE}){{edges{{node{{attributes}}}}}}}}"),
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
    "Movie.localizedTitle": Operation(
        f'{{movies(first:{PAGE}){{nodes{{localizedTitle(languages:["de","fr"])}}}}}}'
    ),
    "Movie.viewer": Operation(
        f"{{movies(first:{PAGE}){{nodes{{viewer{{rating{{stars}} onWatchlist watchedFraction hidden}}}}}}}}",
        as_member(),
    ),
    "MovieViewer.match": Operation(
        f"{{movies(first:{PAGE}){{nodes{{viewer{{match{{matchPercent reasons{{text}}}}}}}}}}}}",
        as_member(),
        times=10,
    ),
    "Movie.ratingHistogram": Operation("{movies(first:20){nodes{ratingHistogram{stars count}}}}"),
    "MovieConnection.facets": Operation(f"{{movies(first:1){{{FACETS}}}}}"),
    "SearchConnection.facets": Operation(
        f"query($q:String!){{search(query:$q,first:1){{{FACETS}}}}}", signed_out(q="a love story")
    ),
    "Query.searchPeople": Operation(
        "query($q:String!){searchPeople(query:$q,first:24){nodes{name}}}", signed_out(q="john smi")
    ),
    "Person.movies": Operation(
        "query($q:String!){searchPeople(query:$q,first:24){nodes{movies(first:10){nodes{title}}}}}",
        signed_out(q="a"),
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
    "User.watchlist, by title": Operation(
        VIEWER % "watchlist(first:24,orderBy:{field:TITLE}){nodes{title}}", as_member()
    ),
    "User.history, filter": Operation(
        VIEWER % "history(first:24,filter:{yearFrom:1990}){totalCount nodes{kind}}", as_member()
    ),
    "WatchlistConnection.totalCount": Operation(VIEWER % "watchlist(first:1){totalCount}", as_member()),
    "User.similarUsers": Operation(VIEWER % "similarUsers(first:10){similarity user{username}}", as_member()),
    "User.createdAt": Operation(VIEWER % "createdAt", as_member()),
    "User.favoriteGenres": Operation(VIEWER % "favoriteGenres{name}", as_member()),
    "User.preferences": Operation(VIEWER % "preferences{direction subject{__typename}}", as_member()),
    "User.ratings": Operation(VIEWER % "ratings(first:24){edges{node{stars}}}", as_member()),
    "User.ratings, by stars": Operation(
        VIEWER % "ratings(first:24,orderBy:{field:STARS}){nodes{stars}}", as_member()
    ),
    "User.ratings, by title": Operation(
        VIEWER % "ratings(first:24,orderBy:{field:TITLE}){nodes{stars}}", as_member()
    ),
    "RatingConnection.totalCount": Operation(VIEWER % "ratings(first:1){totalCount}", as_member()),
    "User.night": Operation(VIEWER % "night{usernames}", as_member()),
    "User.sessions": Operation(VIEWER % "sessions(first:10){edges{node{isCurrent}}}", as_member()),
    "User.discoverable": Operation(VIEWER % "discoverable", as_member()),
    "ModelConnection.totalCount": Operation("{models(first:1){totalCount}}", as_admin()),
}
