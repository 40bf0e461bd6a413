"""Sort orders of the viewer's own lists."""

import enum

import strawberry

from app.catalog.browse import MovieSort, OrderField
from schema.types.movie_filter import OrderDirection


@strawberry.enum(description="The sort field of a watchlist. Movies without a value come last.")
class WatchlistOrderField(enum.Enum):
    ADDED_AT = strawberry.enum_value("ADDED_AT", description="The time at which the movie was added.")
    POPULARITY = strawberry.enum_value("POPULARITY", description="The number of members who rated the movie.")
    AVERAGE_RATING = strawberry.enum_value("AVERAGE_RATING", description="The mean of members' stars.")
    RELEASE_DATE = strawberry.enum_value("RELEASE_DATE", description="Date of the first release.")
    TITLE = strawberry.enum_value("TITLE", description="The title, ignoring case and accents.")


@strawberry.enum(description="The sort field of ratings.")
class RatingOrderField(enum.Enum):
    RATED_AT = strawberry.enum_value("RATED_AT", description="The time at which the movie was last rated.")
    STARS = strawberry.enum_value("STARS", description="The stars, then the time.")
    TITLE = strawberry.enum_value("TITLE", description="The movie's title, ignoring case and accents.")


@strawberry.input(description="A sort order of ratings.")
class RatingOrder:
    field: RatingOrderField = strawberry.field(description="The sort field.")
    direction: OrderDirection | None = strawberry.field(
        default=None, description="The direction. By default titles ascend and other fields descend."
    )

    @property
    def descending(self) -> bool:
        if self.direction is None:
            return self.field is not RatingOrderField.TITLE
        return self.direction is OrderDirection.DESC


@strawberry.input(description="A sort order of a watchlist.")
class WatchlistOrder:
    field: WatchlistOrderField = strawberry.field(description="The sort field.")
    direction: OrderDirection | None = strawberry.field(
        default=None, description="The direction. By default titles ascend and other fields descend."
    )

    @property
    def descending(self) -> bool:
        if self.direction is None:
            return self.field is not WatchlistOrderField.TITLE
        return self.direction is OrderDirection.DESC

    def by_facts(self) -> MovieSort | None:
        """The order by a fact of the movies; None for the order by time."""
        if self.field is WatchlistOrderField.ADDED_AT:
            return None
        return MovieSort(OrderField(self.field.value), descending=self.descending)
