"""Subjects of promotions and preferences: a movie, a genre, a person or a collection."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.serving.snapshot import Snapshot
from recommender.interactions import positions
from seeds.titles import fold_case

COLLECTIONS = "collections"  # a key of the values derived from a snapshot


class SubjectKind(StrEnum):
    MOVIE = "MOVIE"
    GENRE = "GENRE"
    PERSON = "PERSON"
    COLLECTION = "COLLECTION"


class UnknownSubject(Exception):
    """The catalog has no such movie, genre, person or collection. The message is for the client."""


@dataclass(frozen=True, slots=True)
class Subject:
    """`id`: of the movie, genre or person. `name`: of the collection, as in the catalog."""

    kind: SubjectKind
    id: int | None = None
    name: str | None = None

    def columns(self) -> dict[str, int | str | None]:
        """The columns of a row: one is not null."""
        by_kind = {
            SubjectKind.MOVIE: "movie_id",
            SubjectKind.GENRE: "genre_id",
            SubjectKind.PERSON: "person_id",
        }
        return {"collection": self.name} if self.id is None else {by_kind[self.kind]: self.id}


def subject_in(
    *,
    movie_id: int | None = None,
    genre_id: int | None = None,
    person_id: int | None = None,
    collection: str | None = None,
) -> Subject:
    """The subject of a row, of whose columns one is not null."""
    if movie_id is not None:
        return Subject(SubjectKind.MOVIE, movie_id)
    if genre_id is not None:
        return Subject(SubjectKind.GENRE, genre_id)
    if person_id is not None:
        return Subject(SubjectKind.PERSON, person_id)
    return Subject(SubjectKind.COLLECTION, name=collection)


def known(snapshot: Snapshot, subject: Subject) -> Subject:
    """The subject as the catalog has it: a collection is found in any case. Raises UnknownSubject."""
    match subject.kind, subject.id:
        case SubjectKind.MOVIE, int(id_):
            found = snapshot.position(id_) is not None
        case SubjectKind.GENRE, int(id_):
            found = snapshot.genre(id_) is not None
        case SubjectKind.PERSON, int(id_):
            found = id_ in snapshot.people.rows
        case _:
            name, _ = collections(snapshot).get(fold_case(subject.name or ""), (None, None))
            subject, found = Subject(SubjectKind.COLLECTION, name=name), name is not None
    if not found:
        raise UnknownSubject(f"The catalog has no such {subject.kind.lower()}.")
    return subject


def places(snapshot: Snapshot, subject: Subject) -> NDArray[np.intp] | NDArray[np.int32]:
    """Positions in the snapshot of the subject's movies; empty for a subject that is not in the catalog."""
    match subject.kind, subject.id:
        case SubjectKind.MOVIE, int(id_):
            found = snapshot.positions([id_])
            return found[found >= 0]
        case SubjectKind.GENRE, int(id_):
            rows = [row for row, genre in enumerate(snapshot.genres) if genre.id == id_]
            return np.flatnonzero(snapshot.facts.has_genre[rows].any(axis=0))
        case SubjectKind.PERSON, int(id_):
            people = snapshot.people
            (row,) = positions(people.ids, [id_])
            return (
                people.movie_positions[people.starts[row] : people.starts[row + 1]] if row >= 0 else NOWHERE
            )
    return collections(snapshot).get(fold_case(subject.name or ""), ("", NOWHERE))[1]


NOWHERE = np.empty(0, np.int32)


def collections(snapshot: Snapshot) -> dict[str, tuple[str, NDArray[np.int32]]]:
    """The name of each collection and the positions of its movies, by folded name."""
    found: dict[str, tuple[str, NDArray[np.int32]]] | None = snapshot.derived.get(COLLECTIONS)
    if found is None:
        by_name: dict[str, tuple[str, list[int]]] = {}
        for position, card in enumerate(snapshot.cards):
            if card.collection:
                _, of_name = by_name.setdefault(fold_case(card.collection), (card.collection, []))
                of_name.append(position)
        found = {key: (name, np.array(where, np.int32)) for key, (name, where) in by_name.items()}
        snapshot.derived[COLLECTIONS] = found
    return found


def name_of(snapshot: Snapshot, subject: Subject) -> str | None:
    """The title or name to show; None for a subject that is not in the catalog."""
    match subject.kind, subject.id:
        case SubjectKind.MOVIE, int(id_):
            position = snapshot.position(id_)
            return None if position is None else snapshot.cards[position].title
        case SubjectKind.GENRE, int(id_):
            genre = snapshot.genre(id_)
            return None if genre is None else genre.name
        case SubjectKind.PERSON, int(id_):
            person = snapshot.people.rows.get(id_)
            return None if person is None else person.name
    return subject.name
