"""The common facts of two movies, as reasons for their similarity."""

from collections.abc import Iterator

from app.recommendations.reason_kinds import ReasonKind
from app.serving.cards import Card
from app.serving.snapshot import Snapshot
from recommender.keywords.curation import is_telling

MOST_REASONS = 2
BILLED = 5  # first names of a cast that are reasons: readers do not know the others
MOST_NAMES = 2  # in one sentence


def shared_facts(snapshot: Snapshot, one: int, other: int) -> list[tuple[ReasonKind, str]]:
    """At most MOST_REASONS kinds and sentences, most telling first, for the movies at these positions."""
    return list(facts(snapshot.cards[one], snapshot.cards[other]))[:MOST_REASONS]


def facts(one: Card, other: Card) -> Iterator[tuple[ReasonKind, str]]:
    if one.collection and one.collection == other.collection:
        yield ReasonKind.SHARED_COLLECTION, f"Also in {one.collection}"
    directors = {person.id for person in one.directors}
    if directing := [person.name for person in other.directors if person.id in directors]:
        yield ReasonKind.SHARED_PEOPLE, f"Also directed by {both(directing)}"
    billed = {person.id for person, _ in one.cast[:BILLED]}
    if playing := [person.name for person, _ in other.cast[:BILLED] if person.id in billed]:
        yield ReasonKind.SHARED_PEOPLE, f"Also with {both(playing)}"
    themes = set(one.keywords)
    if telling := [word for word in other.keywords if word in themes and is_telling(word)]:
        yield ReasonKind.SHARED_KEYWORDS, f"Both about {both(telling)}"
    genres = [genre for genre in other.genres if genre in one.genres]
    if genres:
        rarest = sorted(genres, key=lambda genre: (genre.movie_count, genre.name))
        yield ReasonKind.SHARED_GENRES, f"Both {both([genre.name for genre in rarest])}"


def both(names: list[str]) -> str:
    return " and ".join(names[:MOST_NAMES])
