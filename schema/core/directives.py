"""The directives of a field: @cost and @listSize of the cost analysis, @cacheControl of HTTP caching."""

from enum import Enum

import strawberry
from strawberry import UNSET
from strawberry.schema_directive import Location

SLICING = ("first", "last")
SIZED = ("edges", "nodes")
ASSUMED = 10


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.ARGUMENT_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    name="cost",
    description="The cost of the field itself, without the objects in its value. On an argument: the cost of "
    "each item of the list, of the text, or of each unit of the number.",
)
class Cost:
    weight: int = strawberry.field(description="In units of cost.")
    per: int | None = strawberry.field(
        default=UNSET,
        description="The number of items, characters, or units of the number that the weight is for.",
    )
    viewer: int | None = strawberry.field(
        default=UNSET, description="Additional cost when the request is signed in."
    )


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="listSize",
    description="The maximum length of a list, for the cost of a query before execution.",
)
class ListSize:
    assumed_size: int | None = strawberry.field(
        default=None, description="Its length where no argument sets it."
    )
    slicing_arguments: list[str] | None = strawberry.field(
        default=None, description="Arguments that set it: a number, or a list of the same length."
    )
    sized_fields: list[str] | None = strawberry.field(
        default=None, description="The lists within the value whose length the arguments set."
    )


@strawberry.enum(description="Which caches may store a value.")
class CacheControlScope(Enum):
    PUBLIC = strawberry.enum_value("PUBLIC", description="Shared caches, for every signed-out client.")
    PRIVATE = strawberry.enum_value("PRIVATE", description="Only a cache of the viewer's own.")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="cacheControl",
    description="Whether shared caches may store the field's value. A GET response may be cached publicly "
    "where each root field of the query has the scope PUBLIC and the request has no `Authorization`.",
)
class CacheControl:
    scope: CacheControlScope = strawberry.field(description="By default PRIVATE.")


PUBLIC = CacheControl(scope=CacheControlScope.PUBLIC)
