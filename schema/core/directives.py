"""The directives of a field: @cost and @listSize of the cost analysis, @cacheControl of HTTP caching."""

from enum import Enum

import strawberry
from strawberry import UNSET
from strawberry.schema_directive import Location

SLICING = ("first", "last")
SIZED = ("edges",)
ASSUMED = 10


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.ARGUMENT_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    name="cost",
    description="What the field costs by itself, besides the objects in its value. On an argument: what each "
    "item of the list costs, the text, or each of the number.",
)
class Cost:
    weight: int = strawberry.field(description="In units of one object.")
    per: int | None = strawberry.field(
        default=UNSET, description="The weight is of each so many items, characters, or parts of the number."
    )
    viewer: int | None = strawberry.field(
        default=UNSET, description="What it costs besides when it is asked by someone signed in."
    )


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="listSize",
    description="How long a list is at most, as far as that is known without making it.",
)
class ListSize:
    assumed_size: int | None = strawberry.field(
        default=None, description="Its length where no argument tells it."
    )
    slicing_arguments: list[str] | None = strawberry.field(
        default=None, description="Arguments that tell it, by a number or by a list of as many."
    )
    sized_fields: list[str] | None = strawberry.field(
        default=None, description="The lists in the value that the arguments are about, if not the value."
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
