"""A member's taste profile by genre, decade and person."""

from typing import Self

import strawberry

from app.recommendations.taste_profile import Liking, Opinions
from app.serving.cards import PersonRow
from schema.core.directives import ListSize
from schema.core.pagination import First, page_size
from schema.types.person import Genre, Person

AFFINITY = (
    "How many stars the member rates these movies above or below their mean; shrunk toward 0 for few movies."
)
RATED = "The number of these movies that the member rated."


@strawberry.type(description="How a member likes a genre.")
class GenreTaste:
    genre: Genre = strawberry.field(description="The genre.")
    affinity: float = strawberry.field(description=AFFINITY)
    rating_count: int = strawberry.field(description=RATED)
    mean_stars: float | None = strawberry.field(
        description="The mean of these ratings; null without ratings."
    )


@strawberry.type(description="How a member likes the movies of a decade.")
class DecadeTaste:
    decade: int = strawberry.field(description="The first year of the decade, such as 1990.")
    affinity: float = strawberry.field(description=AFFINITY)
    rating_count: int = strawberry.field(description=RATED)


@strawberry.type(description="How a member likes the movies of a director or cast member.")
class PersonTaste:
    person: Person = strawberry.field(description="The director or cast member.")
    affinity: float = strawberry.field(description=AFFINITY)
    rating_count: int = strawberry.field(description=RATED)


@strawberry.type(
    description="A member's taste profile, from ratings and from events that express an opinion."
)
class Taste:
    genres: list[GenreTaste] = strawberry.field(
        directives=[ListSize(assumed_size=25)],
        description="The genres of the member's movies, most preferred first.",
    )
    decades: list[DecadeTaste] = strawberry.field(
        directives=[ListSize(assumed_size=12)],
        description="The decades of the member's movies, most preferred first.",
    )
    likings: strawberry.Private[list[Liking[PersonRow]]]

    @classmethod
    def of(cls, opinions: Opinions) -> Self:
        return cls(
            genres=[
                GenreTaste(
                    genre=Genre.of(liking.of),
                    affinity=round(liking.affinity, 3),
                    rating_count=liking.rating_count,
                    mean_stars=None if liking.mean_stars is None else round(liking.mean_stars, 2),
                )
                for liking in opinions.genres()
            ],
            decades=[
                DecadeTaste(
                    decade=liking.of, affinity=round(liking.affinity, 3), rating_count=liking.rating_count
                )
                for liking in opinions.decades()
            ],
            likings=opinions.people(),
        )

    @strawberry.field(
        description="Directors and cast of two or more of the member's movies, most preferred first."
    )
    def people(self, first: First = 20) -> list[PersonTaste]:
        return [
            PersonTaste(
                person=Person.of(liking.of),
                affinity=round(liking.affinity, 3),
                rating_count=liking.rating_count,
            )
            for liking in self.likings[: page_size("first", first)]
        ]
