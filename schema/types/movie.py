"""Movies, their ratings, similar movies and match with the viewer."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

import strawberry
from strawberry import relay
from strawberry.types.lazy_type import LazyType

from app.activity import ratings
from app.recommendations.reason_kinds import KINDS, ReasonKind
from app.recommendations.recommend import Match
from app.serving import cards
from app.serving.snapshot import Snapshot
from schema.core.directives import Cost, ListSize
from schema.core.enums import enum_of
from schema.core.errors import CallerError
from schema.core.global_ids import InvalidKey, whole_number
from schema.core.pagination import After, First, page_size
from schema.execution.compiled.shared import Shared
from schema.execution.context import Context, Info
from schema.types.movie_facts import MovieFacts
from schema.types.person import CastMember, Person

# Types whose modules import this one.
SIMILAR: LazyType[str, str] = LazyType("SimilarMovieConnection", "schema.types.movies.similar")
VIEWER: LazyType[str, str] = LazyType("MovieViewer", "schema.types.movies.viewer")
# The sentence of a reason by its kind, with and without a movie that it names; POPULAR for other kinds.
POPULAR = "Popular with all members"
SENTENCES = {
    "SHARED_PEOPLE": "{detail}, as in movies you liked",
    "SHARED_GENRES": "{detail}, one of your genres",
    "SHARED_KEYWORDS": "{detail}, as in movies you liked",
    "YOU_LOVED_IT": "You gave it {detail}",
    "PROMOTED": "Promoted",
    "ASKED_FOR": "You asked for more of {detail}",
}
SENTENCES_WITH_MOVIE = {
    **SENTENCES,
    "BECAUSE_YOU_LIKED": "Because you liked {title}",
    "SHARED_PEOPLE": "{detail}, as in {title}",
    "SHARED_GENRES": "{detail}, as in {title}",
    "SHARED_KEYWORDS": "{detail}, as in {title}",
}

enum_of(
    ReasonKind,
    "ReasonKind",
    "The kind of a reason.",
    {
        ReasonKind.BECAUSE_YOU_LIKED: "The viewer liked a similar movie.",
        ReasonKind.SHARED_PEOPLE: "A director or cast member.",
        ReasonKind.SHARED_GENRES: "A genre.",
        ReasonKind.SHARED_KEYWORDS: "A theme.",
        ReasonKind.SHARED_COLLECTION: "The franchise; only of similar movies.",
        ReasonKind.POPULAR: "The movie is popular with all members.",
        ReasonKind.YOU_LOVED_IT: "The viewer rated it highly long ago.",
        ReasonKind.PROMOTED: "Operators moved the movie up.",
        ReasonKind.ASKED_FOR: "The viewer asked for more of a genre, a person or a collection.",
    },
)


@strawberry.type(description="A movie.")
class Movie(Shared, MovieFacts):
    def __post_init__(self) -> None:
        count = self.rating_count
        self.average_rating = round(self.half_stars_sum / 2 / count, 2) if count else None

    @classmethod
    def at(cls, snapshot: Snapshot, position: int) -> "Movie":
        """The movie at a position of the snapshot; one object for all requests that ask for it there."""
        movie: Movie | None = snapshot.derived.get(position)
        if movie is None:
            count, half_stars_sum = snapshot.rating_count[position], snapshot.half_stars_sum[position]
            card = snapshot.cards[position]
            movie = Movie.of(card, int(count), int(half_stars_sum), snapshot.public_url).shared()
            snapshot.derived[position] = movie
        return movie

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list["Movie | None"]:
        """Resolve movies from memory, and the rest by one database query."""
        ids = [whole_number(key) for key in node_ids]
        snapshot = info.context.snapshot
        places = {id_: place for id_ in ids if (place := snapshot.position(id_)) is not None}
        newer = [id_ for id_ in ids if id_ not in places]
        read = await cards.read_movies(info.context.sessions, newer) if newer else {}
        found = {id_: cls.at(snapshot, place) for id_, place in places.items()}
        found |= {id_: cls.of(*movie, snapshot.public_url) for id_, movie in read.items()}
        return [found.get(id_) for id_ in ids]

    @strawberry.field(description="The cast, leading roles first.")
    def cast(self, first: First = 10) -> list[CastMember]:
        shown = self.players[: page_size("first", first)]
        return [CastMember(person=Person.of(row), character=character) for row, character in shown]

    @strawberry.field(
        description="Other titles that search matches: translations, former titles, other sources' titles."
    )
    def alternative_titles(self, first: First = 10) -> list[str]:
        return list(self.other_titles[: page_size("first", first)])

    @strawberry.field(
        directives=[Cost(weight=0, viewer=3)],
        description="The viewer's rating; null when signed out or not rated.",
        deprecation_reason="Use `Movie.viewer`. Deprecated on 2026-11-30, works until 2027-05-29 at least.",
    )
    async def viewer_rating(self, info: Info) -> "Rating | None":
        viewer = await info.context.viewer()
        rating = viewer and await info.context.loaders.ratings.load((viewer.id, self.id))
        return Rating.of(rating) if rating else None

    @strawberry.field(
        directives=[Cost(weight=1, viewer=70)],
        description="How well the movie matches the viewer; null when signed out or unknown.",
        deprecation_reason="Use `Movie.viewer`. Deprecated on 2026-11-30, works until 2027-05-29 at least.",
    )
    async def viewer_match(self, info: Info) -> "ViewerMatch | None":
        return await viewer_match(self, info)

    @strawberry.field(
        graphql_type=VIEWER | None,
        directives=[Cost(weight=0, viewer=5)],
        description="What the movie is to the viewer; null when signed out.",
    )
    async def viewer(self, info: Info) -> Any:
        viewer = await info.context.viewer()
        if viewer is None:
            return None
        return VIEWER.resolve_type().of(self, await info.context.loaders.states.load((viewer.id, self.id)))

    @strawberry.field(
        directives=[Cost(weight=40), ListSize(assumed_size=10)],
        description="The number of ratings of each of 0.5 to 5 stars, ascending.",
    )
    async def rating_histogram(self, info: Info) -> list["RatingBucket"]:
        counts = await info.context.loaders.histograms.load(self.id)
        return [RatingBucket(stars=half / 2, count=count) for half, count in enumerate(counts, 1)]

    @strawberry.field(
        graphql_type=SIMILAR,
        directives=[Cost(weight=12)],
        description="The most similar movies by genre, people, words and language.",
    )
    async def similar(self, info: Info, first: First, after: After = None) -> Any:
        return await SIMILAR.resolve_type().of(info, self.id, first, after)


@strawberry.type(description="The number of ratings of a movie with the same stars.")
class RatingBucket:
    stars: float = strawberry.field(description="0.5 to 5 in halves.")
    count: int = strawberry.field(description="The number of ratings.")


async def movie_of(context: Context, movie_id: int) -> Movie | None:
    """The movie from memory, or from Postgres if it was just added."""
    position = context.snapshot.position(movie_id)
    if position is not None:
        return Movie.at(context.snapshot, position)
    found = await cards.read_movies(context.sessions, [movie_id])
    return Movie.of(*found[movie_id], context.snapshot.public_url) if found else None


@strawberry.type(description="The viewer's rating of a movie.")
class Rating(relay.Node):
    id: relay.NodeID[str]
    stars: float = strawberry.field(description="0.5 to 5 in halves.")
    rated_at: datetime = strawberry.field(description="When the movie was last rated.")
    movie_id: strawberry.Private[int]
    stats: strawberry.Private[ratings.Stats | None] = None

    @classmethod
    def of(cls, rating: ratings.Rating, stats: ratings.Stats | None = None) -> Self:
        """With `stats`, the movie shows these figures, which may be newer than those in memory."""
        return cls(
            id=f"{rating.user_id}.{rating.movie_id}",
            stars=rating.stars,
            rated_at=rating.rated_at,
            movie_id=rating.movie_id,
            stats=stats,
        )

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        """Return only the viewer's own ratings; None for all others."""
        keys = [key_of(node_id) for node_id in node_ids]
        viewer = await info.context.viewer()
        if viewer is None:
            return [None for _ in keys]
        mine = [movie_id for user_id, movie_id in keys if user_id == viewer.id]
        found = await ratings.ratings_of(info.context.sessions, viewer.id, mine)
        return [
            cls.of(found[movie_id]) if user_id == viewer.id and movie_id in found else None
            for user_id, movie_id in keys
        ]

    @strawberry.field(directives=[Cost(weight=2)], description="The movie.")
    async def movie(self, info: Info) -> Movie:
        return await rated_movie(info.context, self.movie_id, self.stats)


async def rated_movie(context: Context, movie_id: int, stats: ratings.Stats | None) -> Movie:
    movie = await movie_of(context, movie_id)
    if movie is None:
        raise CallerError("The movie was deleted during the request.")
    if stats is not None:
        movie = replace(movie, rating_count=stats.rating_count, half_stars_sum=stats.half_stars_sum)
    return movie


def key_of(node_id: str) -> tuple[int, int]:
    """User and movie of a rating. Raises InvalidKey."""
    user_id, _, movie_id = node_id.partition(".")
    try:
        return whole_number(user_id), whole_number(movie_id)
    except InvalidKey:
        raise InvalidKey(node_id) from None


@strawberry.type(description="The predicted rating of a viewer, with an 80 % prediction interval.")
class PredictedRating:
    stars: float = strawberry.field(description="Expected stars, 0.5 to 5.")
    low: float = strawberry.field(description="Lower end of the interval.")
    high: float = strawberry.field(description="Upper end of the interval.")


@strawberry.type(
    description="Why a movie is recommended or similar to another. A named movie contributed to the score."
)
class RecommendationReason:
    kind: str = strawberry.field(
        description="The name of `reasonKind`.",
        deprecation_reason="Use `RecommendationReason.reasonKind`. "
        "Deprecated on 2026-11-30, works until 2027-05-29 at least.",
    )
    reason_kind: ReasonKind = strawberry.field(description="The kind of reason.")
    text: str = strawberry.field(description="The reason as a sentence to show.")
    movie: Movie | None = strawberry.field(
        description="The movie in the viewer's history that the reason names, if any."
    )


@strawberry.type(description="How well a movie matches a viewer.")
class ViewerMatch:
    match_percent: int | None = strawberry.field(
        description="Probability, in percent, of a rating of 4 or more."
    )
    predicted_rating: PredictedRating | None = strawberry.field(
        description="The predicted rating; null if unknown."
    )
    reasons: list[RecommendationReason] = strawberry.field(
        directives=[ListSize(assumed_size=2)], description="The strongest reasons, best first."
    )


def movies_of(snapshot: Snapshot, movie_ids: Iterable[int]) -> dict[int, Movie]:
    """Movies from memory by their ids, without those deleted since the training."""
    movies: dict[int, Movie] = {}
    for movie_id in movie_ids:
        position = snapshot.position_of.get(movie_id)
        if position is not None:
            movies[movie_id] = snapshot.derived.get(position) or Movie.at(snapshot, position)
    return movies


def explained(
    match: Match, movies: Mapping[int, Movie]
) -> tuple[PredictedRating | None, list[RecommendationReason]]:
    """The predicted rating and the reasons of a match; `movies` has those that the reasons name."""
    predicted = None
    if match.stars is not None and match.low is not None and match.high is not None:
        predicted = PredictedRating(stars=match.stars, low=match.low, high=match.high)
    reasons = []
    for why in match.reasons:
        movie = None if why.movie_id is None else movies.get(why.movie_id)
        sentence = (SENTENCES if movie is None else SENTENCES_WITH_MOVIE).get(why.kind, POPULAR)
        text = sentence.format(detail=why.detail, title="" if movie is None else movie.title)
        kind = KINDS.get(why.kind, ReasonKind.POPULAR)
        reasons.append(RecommendationReason(kind=why.kind, reason_kind=kind, text=text, movie=movie))
    return predicted, reasons


async def viewer_match(movie: Movie, info: Info) -> ViewerMatch | None:
    """The match of movie and viewer; None when signed out or if the model lacks the movie."""
    context = info.context
    if await context.viewer() is None or context.model is None:
        return None
    match = await context.match(movie.id)
    if match is None:
        return None
    named = [why.movie_id for why in match.reasons if why.movie_id is not None]
    predicted, reasons = explained(match, movies_of(context.snapshot, named))
    return ViewerMatch(match_percent=match.match_percent, predicted_rating=predicted, reasons=reasons)
