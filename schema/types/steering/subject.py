"""Subjects of promotions and preferences: movies, genres, people and collections."""

from typing import Annotated

import strawberry
from strawberry import UNSET

from app.recommendations.steering.subjects import Subject, SubjectKind, UnknownSubject, known, places
from app.serving.snapshot import Snapshot
from schema.core.constraints import DECOMPOSED, GLOBAL_ID, Constraint
from schema.core.errors import Error
from schema.core.global_ids import local_id
from schema.execution.context import Info
from schema.types.movie import Movie
from schema.types.person import Genre, Person

COLLECTION = Constraint(max_length=DECOMPOSED * 200)
COLLECTION_NAME = "The name of a collection, as in `Movie.collection`. Case is ignored."


@strawberry.type(description="A franchise, such as all movies of a series.")
class Collection:
    name: str = strawberry.field(description="The name of the collection, as in `Movie.collection`.")
    movie_count: int = strawberry.field(description="The number of movies in the collection.")


PreferenceSubject = Annotated[
    Genre | Person | Collection,
    strawberry.union("PreferenceSubject", description="What a preference is about."),
]
PromotionSubject = Annotated[
    Movie | Genre | Collection,
    strawberry.union("PromotionSubject", description="What a promotion is about."),
]


@strawberry.input(one_of=True, description="What a preference is about. Give one of the fields.")
class PreferenceSubjectInput:
    genre_id: strawberry.ID | None = strawberry.field(
        default=UNSET, directives=[GLOBAL_ID], description="A genre."
    )
    person_id: strawberry.ID | None = strawberry.field(
        default=UNSET, directives=[GLOBAL_ID], description="A director or cast member."
    )
    collection: str | None = strawberry.field(
        default=UNSET, directives=[COLLECTION], description=COLLECTION_NAME
    )


@strawberry.input(one_of=True, description="What a promotion is about. Give one of the fields.")
class PromotionSubjectInput:
    movie_id: strawberry.ID | None = strawberry.field(
        default=UNSET, directives=[GLOBAL_ID], description="A movie."
    )
    genre_id: strawberry.ID | None = strawberry.field(
        default=UNSET, directives=[GLOBAL_ID], description="A genre."
    )
    collection: str | None = strawberry.field(
        default=UNSET, directives=[COLLECTION], description=COLLECTION_NAME
    )


@strawberry.type(description="The catalog lacks the movie, genre, person or collection. Nothing was changed.")
class SubjectNotFound(Error):
    pass


def given(snapshot: Snapshot, subject: PreferenceSubjectInput | PromotionSubjectInput) -> Subject:
    """The subject that the client named, as in the catalog. Raises UnknownSubject and BadArgument."""
    ((name, value),) = ((name, value) for name, value in vars(subject).items() if value is not UNSET)
    if name == "collection":
        return known(snapshot, Subject(SubjectKind.COLLECTION, name=value))
    kind = SubjectKind(name.removesuffix("_id").upper())
    argument = f"input.subject.{kind.lower()}Id"
    return known(snapshot, Subject(kind, local_id(value, kind.capitalize(), argument)))


def shown(info: Info, subject: Subject) -> Movie | Genre | Person | Collection | None:
    """The subject as the API shows it; None if the catalog no longer has it."""
    snapshot = info.context.snapshot
    try:
        subject = known(snapshot, subject)
    except UnknownSubject:
        return None
    match subject.kind, subject.id:
        case SubjectKind.MOVIE, int(id_):
            return Movie.at(snapshot, snapshot.position_of[id_])
        case SubjectKind.GENRE, int(id_):
            return next(Genre.of(row) for row in snapshot.genres if row.id == id_)
        case SubjectKind.PERSON, int(id_):
            return Person.of(snapshot.people.rows[id_])
    return Collection(name=subject.name or "", movie_count=int(places(snapshot, subject).size))
