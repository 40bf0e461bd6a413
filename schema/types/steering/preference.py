"""Members' preferences: more or less of a genre, a person or a collection."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from app.accounts.viewer import Role
from app.recommendations.steering import preferences
from app.recommendations.steering.preferences import Direction, SetPreference, TooManyPreferences
from app.recommendations.steering.subjects import UnknownSubject
from schema.core.directives import Cost
from schema.core.enums import enum_of
from schema.core.errors import Error
from schema.core.outcomes import outcomes
from schema.execution.context import Info
from schema.execution.permissions import requires
from schema.types.movie import Movie
from schema.types.steering.subject import (
    PreferenceSubject,
    PreferenceSubjectInput,
    SubjectNotFound,
    given,
    shown,
)

enum_of(
    Direction,
    "PreferenceDirection",
    "What a member asks for.",
    {
        Direction.MORE: "Movies of the subject rank higher.",
        Direction.LESS: "Movies of the subject rank lower. They are not left out.",
    },
)


@strawberry.type(description="A member's wish for more or less of a genre, a person or a collection.")
class Preference:
    subject: PreferenceSubject = strawberry.field(description="What the wish is about.")
    direction: Direction = strawberry.field(description="Whether the member wants more or less of it.")
    set_at: datetime = strawberry.field(description="When the member set it.")

    @classmethod
    def of(cls, info: Info, found: SetPreference) -> Self | None:
        """None if the catalog no longer has the subject."""
        subject = shown(info, found.preference.subject)
        if subject is None or isinstance(subject, Movie):
            return None
        return cls(subject=subject, direction=found.preference.direction, set_at=found.set_at)


async def preferences_of(info: Info, user_id: int) -> list[Preference]:
    """A member's preferences, last set first, without those for what the catalog no longer has."""
    found = await preferences.of_member(info.context.sessions, user_id)
    made = (Preference.of(info, each) for each in found)
    return [preference for preference in made if preference is not None]


@strawberry.input(description="The preference to set.")
class SetPreferenceInput:
    subject: PreferenceSubjectInput = strawberry.field(description="What the preference is about.")
    direction: Direction = strawberry.field(description="Whether lists shall show more or less of it.")


@strawberry.type(description="The preference is set. The next list follows it.")
class SetPreferencePayload:
    preference: Preference = strawberry.field(description="The preference.")


@strawberry.type(
    description=f"The member has {preferences.MAX_PREFERENCES} preferences. Nothing was changed."
)
class PreferenceLimitReached(Error):
    pass


@strawberry.input(description="The preference to take back.")
class RemovePreferenceInput:
    subject: PreferenceSubjectInput = strawberry.field(description="What the preference is about.")


@strawberry.type(description="There is no preference for the subject now. The next list follows.")
class RemovePreferencePayload:
    was_set: bool = strawberry.field(description="Whether there was a preference.")


SetPreferenceResult = Annotated[
    SetPreferencePayload | SubjectNotFound | PreferenceLimitReached,
    strawberry.union("SetPreferenceResult", description="Outcomes of `setPreference`."),
]
RemovePreferenceResult = Annotated[
    RemovePreferencePayload | SubjectNotFound,
    strawberry.union("RemovePreferenceResult", description="Outcomes of `removePreference`."),
]


@strawberry.type
class PreferenceMutation:
    @strawberry.mutation(
        directives=[Cost(weight=300)],
        description="Ask for more or less of a genre, a person or a collection. The next list follows: "
        "recommendations, the home page and lists of groups. A preference replaces the one for the same "
        "subject, and does not fade.",
        extensions=requires(Role.USER),
    )
    @outcomes({UnknownSubject: SubjectNotFound, TooManyPreferences: PreferenceLimitReached})
    async def set_preference(
        self,
        info: Info,
        input: Annotated[SetPreferenceInput, strawberry.argument(description="The preference.")],  # noqa: A002
    ) -> SetPreferenceResult:
        context = info.context
        viewer = await context.require_viewer()
        wanted = preferences.Preference(given(context.snapshot, input.subject), input.direction)
        preference = Preference.of(
            info, await preferences.set_preference(context.sessions, viewer.id, wanted)
        )
        assert preference is not None, "the snapshot has its subject"
        return SetPreferencePayload(preference=preference)

    @strawberry.mutation(
        directives=[Cost(weight=250)],
        description="Take a preference back.",
        extensions=requires(Role.USER),
    )
    @outcomes({UnknownSubject: SubjectNotFound})
    async def remove_preference(
        self,
        info: Info,
        input: Annotated[RemovePreferenceInput, strawberry.argument(description="The subject.")],  # noqa: A002
    ) -> RemovePreferenceResult:
        context = info.context
        viewer = await context.require_viewer()
        subject = given(context.snapshot, input.subject)
        was_set = await preferences.remove_preference(context.sessions, viewer.id, subject)
        return RemovePreferencePayload(was_set=was_set)
