"""What a member likes, in words."""

from typing import Self

import strawberry

from app.recommendations.taste_profile import Liking, Opinions
from app.serving.cards import PersonRow
from schema.core.directives import ListSize
from schema.core.pagination import First, page_size
from schema.types.person import Genre, Person

AFFINITY = (
    "By how many stars the member puts these movies above their average one, or below; drawn to 0 where they "
    "know few."
)
RATED = "How many of these movies they have rated."


@strawberry.type(description="How a member likes a genre.")
class GenreTaste:
    genre: Genre = strawberry.field(description="The genre.")
    affinity: float = strawberry.field(description=AFFINITY)
    rating_count: int = strawberry.field(description=RATED)
    mean_stars: float | None = strawberry.field(description="The mean of these ratings; null without one.")


@strawberry.type(description="How a member likes the movies of a decade.")
class DecadeTaste:
    decade: int = strawberry.field(description="Its first year, as 1990.")
    affinity: float = strawberry.field(description=AFFINITY)
    rating_count: int = strawberry.field(description=RATED)


@strawberry.type(description="How a member likes the movies that someone directs or plays in.")
class PersonTaste:
    person: Person = strawberry.field(description="Who directs or plays.")
    affinity: float = strawberry.field(description=AFFINITY)
    rating_count: int = strawberry.field(description=RATED)


@strawberry.type(
    description="What a member likes, from what they rated and from events that count as an opinion."
)
class Taste:
    genres: list[GenreTaste] = strawberry.field(
        directives=[ListSize(assumed_size=25)],
        description="The genres of their movies, most preferred first.",
    )
    decades: list[DecadeTaste] = strawberry.field(
        directives=[ListSize(assumed_size=12)],
        description="The decades of their movies, most preferred first.",
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

    @strawberry.field(description="Directors and cast of two or more of their movies, most preferred first.")
    def people(self, first: First = 20) -> list[PersonTaste]:
        return [
            PersonTaste(
                person=Person.of(liking.of),
                affinity=round(liking.affinity, 3),
                rating_count=liking.rating_count,
            )
            for liking in self.likings[: page_size("first", first)]
        ]
