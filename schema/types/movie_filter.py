"""Filters and sort orders of movies."""

import enum
from collections.abc import Iterable
from typing import Annotated

import strawberry

from app.activity.ratings import in_full
from app.catalog.browse import MovieSort, OrderField
from app.serving.snapshot import MovieFilter, Snapshot
from schema.core.constraints import Constraint
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import BadArgument
from seeds.titles import fold_case

VALUES = Constraint(max_items=50, max_length=100)
PEOPLE = Constraint(max_items=50, max_length=200)
NAME_COST = Cost(weight=1, per=4)
MAX_STARS = 5


enum_of(
    OrderField,
    "MovieOrderField",
    "The sort field. Movies without a value come last.",
    {
        OrderField.POPULARITY: "The number of members who rated the movie.",
        OrderField.AVERAGE_RATING: "The mean of members' stars.",
        OrderField.RELEASE_DATE: "Date of the first release; January 1 if only the year is known.",
        OrderField.TITLE: "The title, ignoring case and accents.",
    },
)


@strawberry.enum(description="The sort direction.")
class OrderDirection(enum.Enum):
    ASC = strawberry.enum_value("ASC", description="Ascending: low, early, A first.")
    DESC = strawberry.enum_value("DESC", description="Descending: high, late, Z first.")


@strawberry.input(
    name="MovieOrder", description="A sort order of movies. Ties are ordered by age in the catalog."
)
class MovieOrderInput:
    field: OrderField = strawberry.field(description="The sort field.")
    direction: OrderDirection | None = strawberry.field(
        default=None, description="The direction. By default titles ascend and other fields descend."
    )

    def order(self) -> MovieSort:
        if self.direction is None:
            return MovieSort(self.field, descending=self.field is not OrderField.TITLE)
        return MovieSort(self.field, descending=self.direction is OrderDirection.DESC)


@strawberry.input(
    name="MovieFilter",
    description="A filter of movies. A movie must meet every given condition; it fails a condition on a "
    "field without a value.",
)
class MovieFilterInput:
    genres: list[str] | None = strawberry.field(
        default=None,
        directives=[VALUES, NAME_COST],
        description="Names of genres; the movie must have all of them.",
    )
    exclude_genres: list[str] | None = strawberry.field(
        default=None,
        directives=[VALUES, NAME_COST],
        description="Names of genres; the movie must have none of them.",
    )
    year_from: int | None = strawberry.field(default=None, description="First year of release.")
    year_to: int | None = strawberry.field(default=None, description="Last year of release.")
    languages: list[str] | None = strawberry.field(
        default=None,
        directives=[VALUES, NAME_COST],
        description="ISO 639-1 codes, such as `en`; the original language must be one of them.",
    )
    min_rating: float | None = strawberry.field(
        default=None, description="Minimum mean of members' stars, 0 to 5. Unrated movies do not match."
    )
    min_rating_count: int | None = strawberry.field(
        default=None, description="Minimum number of members who rated the movie."
    )
    people: list[str] | None = strawberry.field(
        default=None,
        directives=[PEOPLE, NAME_COST],
        description="Full names; each must be a director or cast member of the movie.",
    )

    def validated(self, snapshot: Snapshot) -> MovieFilter:
        """Check the filter. Raises BadArgument for an unknown genre or contradictory values."""
        if self.year_from is not None and self.year_to is not None and self.year_from > self.year_to:
            raise BadArgument(
                "filter.yearFrom", f"({self.year_from}) must not be later than yearTo ({self.year_to})."
            )
        if self.min_rating is not None and not 0 <= self.min_rating <= MAX_STARS:
            raise BadArgument(
                "filter.minRating",
                f"must be from 0 to {MAX_STARS}, not {in_full(self.min_rating)}.",
            )
        if self.min_rating_count is not None and self.min_rating_count < 0:
            raise BadArgument("filter.minRatingCount", f"must be 0 or more, not {self.min_rating_count}.")
        return MovieFilter(
            genres=known_genres("genres", self.genres, snapshot),
            exclude_genres=known_genres("excludeGenres", self.exclude_genres, snapshot),
            year_from=self.year_from,
            year_to=self.year_to,
            languages=tuple(code.strip().lower() for code in distinct(self.languages)),
            min_rating=self.min_rating,
            min_rating_count=self.min_rating_count,
            people=tuple(distinct(self.people)),
        )


Filter = Annotated[
    MovieFilterInput | None, strawberry.argument(description="Return only movies that match the filter.")
]


def wanted(given: MovieFilterInput | None, snapshot: Snapshot) -> MovieFilter:
    return MovieFilter() if given is None else given.validated(snapshot)


def distinct(given: Iterable[str] | None) -> list[str]:
    return list(dict.fromkeys(given or ()))


def known_genres(name: str, given: Iterable[str] | None, snapshot: Snapshot) -> tuple[str, ...]:
    """The genres in the catalog's spelling. Raises BadArgument for an unknown one."""
    names = {fold_case(genre.name): genre.name for genre in snapshot.genres}
    asked = distinct(given)
    for genre in asked:
        if fold_case(genre) not in names:
            raise BadArgument(
                f"filter.{name}", f"names no genre: {genre[:50]!r}. Genres are {', '.join(names.values())}."
            )
    return tuple(names[fold_case(genre)] for genre in asked)
