"""The facts of a movie: title, dates, people, ids and rating figures."""

from datetime import date
from typing import Annotated, Self

import orjson
import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from app.catalog.posters import poster_path
from app.serving.cards import Card, PersonRow
from schema.core.constraints import Constraint
from schema.core.directives import Cost, ListSize
from schema.types.person import Genre, Person

POSTERS = "https://image.tmdb.org/t/p/w500"
BACKDROPS = "https://image.tmdb.org/t/p/w1280"
LANGUAGES = Constraint(max_items=20, max_length=10)
SOURCE = Constraint(max_length=64)


@strawberry.type(description="The id of a movie in another system.")
class ExternalId:
    source: str = strawberry.field(description="The system, such as `own`.")
    value: str = strawberry.field(description="The movie's id there.")


@strawberry.type
class MovieFacts(relay.Node):
    """The fields of `Movie` that need no request."""

    id: relay.NodeID[int]
    title: str = strawberry.field(description="The title, in English if there is an English one.")
    original_title: str | None = strawberry.field(description="The title in the original language.")
    year: int | None = strawberry.field(description="Year of the first release.")
    release_date: date | None = strawberry.field(description="Date of the first release.")
    runtime_minutes: int | None = strawberry.field(description="Length in minutes.")
    overview: str | None = strawberry.field(description="A summary of the plot.")
    original_language: str | None = strawberry.field(description="ISO 639-1 code, such as `en`.")
    countries: list[str] = strawberry.field(
        description="ISO 3166-1 codes of the producing countries, such as `FR`."
    )
    keywords: list[str] = strawberry.field(description="Themes, one or two words each.")
    collection: str | None = strawberry.field(description="The franchise that the movie belongs to.")
    poster_url: str | None = strawberry.field(
        description="URL of the poster, 500 pixels wide; never null. A movie without one has a drawn poster, "
        "an SVG: a path on this API's origin, such as `/poster/7.svg?v=1f0c`, or a whole URL with the "
        "setting `PUBLIC_URL`."
    )
    backdrop_url: str | None = strawberry.field(
        description="URL of a wide picture without text, 1280 pixels wide."
    )
    trailer_url: str | None = strawberry.field(description="URL of a page that plays the trailer.")
    tagline: str | None = strawberry.field(description="The slogan of the movie's advertisements.")
    certification: str | None = strawberry.field(
        description="The age certification of the United States, such as `PG-13`."
    )
    imdb_id: strawberry.ID | None = strawberry.field(description="The IMDb id, such as `tt0133093`.")
    tmdb_id: strawberry.ID | None = strawberry.field(description="The TMDB id.")
    movielens_id: strawberry.ID | None = strawberry.field(description="The MovieLens id.")
    external_ids: list[ExternalId] = strawberry.field(
        directives=[ListSize(assumed_size=1)], description="The ids in other systems, by source."
    )
    genres: list[Genre] = strawberry.field(
        directives=[ListSize(assumed_size=3)], description="The genres, ordered by name."
    )
    directors: list[Person] = strawberry.field(
        directives=[ListSize(assumed_size=2)], description="The directors, in credit order."
    )
    rating_count: int = strawberry.field(description="The number of members who rated the movie.")
    average_rating: float | None = strawberry.field(
        default=None, description="Mean of all members' stars, rounded to two digits; null without ratings."
    )
    half_stars_sum: strawberry.Private[int]
    players: strawberry.Private[tuple[tuple[PersonRow, str | None], ...]]
    other_titles: strawberry.Private[tuple[str, ...]]
    titles: strawberry.Private[tuple[tuple[str, str], ...]]
    attributes_text: strawberry.Private[str | None]

    @strawberry.field(
        description="The title in the first of these languages in which it is known; otherwise `title`."
    )
    def localized_title(
        self,
        languages: Annotated[
            list[str],
            strawberry.argument(
                description="ISO 639-1 codes in the order of preference, such as `de`.",
                directives=[LANGUAGES, Cost(weight=1, per=20)],
            ),
        ],
    ) -> str:
        known: dict[str | None, str] = dict(self.titles)
        known[self.original_language] = self.original_title or self.title
        return next((known[code] for code in languages if code in known), self.title)

    @classmethod
    def of(cls, card: Card, rating_count: int, half_stars_sum: int, public_url: str = "") -> Self:
        """`public_url` begins the address of a drawn poster."""
        return cls(
            id=card.id,
            title=card.title,
            original_title=card.original_title,
            year=card.year,
            release_date=card.release_date,
            runtime_minutes=card.runtime_minutes,
            overview=card.overview,
            original_language=card.original_language,
            countries=list(card.countries),
            keywords=list(card.keywords),
            collection=card.collection,
            poster_url=image_url(POSTERS, card.poster_path) or public_url + poster_path(card),
            backdrop_url=image_url(BACKDROPS, card.backdrop_path),
            trailer_url=card.trailer_url,
            tagline=card.tagline,
            certification=card.certification,
            imdb_id=None if card.imdb_id is None else strawberry.ID(card.imdb_id),
            tmdb_id=None if card.tmdb_id is None else strawberry.ID(str(card.tmdb_id)),
            movielens_id=None if card.movielens_id is None else strawberry.ID(str(card.movielens_id)),
            external_ids=[ExternalId(source=source, value=value) for source, value in card.external_ids],
            genres=[Genre.of(genre) for genre in card.genres],
            directors=[Person.of(person) for person in card.directors],
            rating_count=rating_count,
            half_stars_sum=half_stars_sum,
            players=card.cast,
            other_titles=card.alternative_titles,
            titles=card.localized_titles,
            attributes_text=card.attributes,
        )

    @strawberry.field(description="The id in one other system; null if it has none there.")
    def external_id(
        self,
        source: Annotated[str, strawberry.argument(description="The system.", directives=[SOURCE])],
    ) -> str | None:
        return next((each.value for each in self.external_ids if each.source == source), None)

    @strawberry.field(description="Further facts, which have no field of their own; an object.")
    def attributes(self) -> JSON:
        return JSON({} if self.attributes_text is None else orjson.loads(self.attributes_text))


def image_url(folder: str, path: str | None) -> str | None:
    return folder + path if path and path.startswith("/") else path
