"""Facets: the number of movies of a selection by genre, decade and language."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.serving.cards import GenreRow
from app.serving.columns import UNKNOWN_YEAR
from app.serving.snapshot import MovieFilter, Snapshot

DECADE = 10  # years


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """Values and their numbers of movies, most movies first; decades in order. Values without movies are
    left out.
    """

    genres: list[tuple[GenreRow, int]]
    decades: list[tuple[int, int]]
    languages: list[tuple[str, int]]


def facets(snapshot: Snapshot, selection: MovieFilter | NDArray[np.int32]) -> FacetCounts:
    """Count the movies that pass a filter, or those at these positions."""
    facts = snapshot.facts
    if isinstance(selection, MovieFilter):
        selection = np.flatnonzero(snapshot.mask(selection)).astype(np.int32)
    of_genres = facts.has_genre[:, selection].sum(axis=1).tolist()
    years = facts.years[selection]
    decades, of_decades = np.unique(years[years != UNKNOWN_YEAR] // DECADE * DECADE, return_counts=True)
    known = facts.language_idx[selection]
    of_languages = np.bincount(known[known >= 0], minlength=len(facts.languages)).tolist()
    genres = zip(snapshot.genres, of_genres, strict=True)
    languages = ((code, of_languages[column]) for code, column in facts.languages.items())
    return FacetCounts(
        genres=sorted((pair for pair in genres if pair[1]), key=lambda pair: (-pair[1], pair[0].name)),
        decades=list(zip(decades.tolist(), of_decades.tolist(), strict=True)),
        languages=sorted((pair for pair in languages if pair[1]), key=lambda pair: (-pair[1], pair[0])),
    )
