"""The directives of cost analysis: @cost and @listSize."""

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
