"""Search for films by title, original title, overview and people, and by what the words mean.

Postgres finds words, those of overviews by their English stems; titles are also found in memory: while they
are being typed, without accents, misspelt; and the films whose content vectors lie where the words point.
"""

import asyncio
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.db import Sessions
from app.recommendations import Model
from app.snapshot import MovieFilter, Snapshot
from app.titles import fold_case
from recommender.index import top
from recommender.meaning import meaning

TITLE, PERSON = 0.8, 0.8  # what it is worth that all words stand in a title, or are a person's name
MISSPELT = 0.4
WHOLE_TITLE, BEGINNING = 1.0, 0.3
MEANING = 0.6  # times the square of the cosine, so that renown does not outweigh it
NEAR, MOST_NEAR = 0.2, 100  # cosines of at least this, and of so many films, the nearest
RENOWN = 0.05  # for each doubling of the number of ratings

UNWANTED = re.compile(r'(?:^|(?<=\s))-("[^"]*"|\S+)')
OPERATORS = re.compile(r'"|(?:^|\s)-|\bor\b', re.IGNORECASE)

# The weights are those of the vector's classes D, C, B, A: a word of an overview counts a fifth of one of a
# title. 32 maps ranks to 0..1.
FOUND = """
SELECT coalesce(array_agg(id), '{}') AS movie_ids,
    coalesce(array_agg(ts_rank_cd('{0, 0.2, 0, 1}', search, query, 32)), '{}') AS ranks
FROM movies, (
    SELECT (websearch_to_tsquery('simple', :words) || websearch_to_tsquery('english', :words))
        && !! (websearch_to_tsquery('simple', :without) || websearch_to_tsquery('english', :without)) AS query
) AS wanted
WHERE search @@ query
"""


@dataclass(frozen=True, slots=True)
class Hits:
    """Best first: positions in the snapshot int32 (m,) and scores float64 (m,), to compare in one search."""

    positions: NDArray[np.int32]
    scores: NDArray[np.float64]
    has_previous: bool
    has_next: bool


async def search(
    sessions: Sessions,
    snapshot: Snapshot,
    model: Model | None,
    words: str,
    wanted: MovieFilter,
    *,
    count: int,
    key: tuple[float, int] | None = None,
) -> Hits:
    """The `count` best films that pass the filter, behind the one with this score and id."""
    relevance = np.maximum(await found_words(sessions, snapshot, words), await likeness(snapshot, words))
    where = snapshot.people.films_of(words)
    relevance[where] = np.maximum(relevance[where], PERSON)
    if model is not None and not OPERATORS.search(words):
        relevance += MEANING * nearness(snapshot, model, words) ** 2
    relevance[~snapshot.mask(wanted)] = 0
    hits = np.flatnonzero(relevance).astype(np.int32)
    # Whole doublings: a rating more does not move a film from one page to another.
    renown = RENOWN * np.ceil(np.log2(snapshot.rating_count[hits] + 1))
    scores = ((relevance[hits] + title_match(snapshot, words, hits)) * (1 + renown)).round(6)
    in_order = np.lexsort((hits, -scores))
    hits, scores = hits[in_order], scores[in_order]
    start = 0
    if key is not None:
        score, movie_id = key
        ids = snapshot.movie_ids[hits]
        start = int(np.count_nonzero((scores > score) | ((scores == score) & (ids <= movie_id))))
    end = start + count
    return Hits(hits[start:end], scores[start:end], start > 0, end < len(hits))


async def found_words(sessions: Sessions, snapshot: Snapshot, words: str) -> NDArray[np.float64]:
    """float64 (n,), 0 where Postgres does not find the words."""
    # What is unwanted must be missing as it is and by its stem, so it cannot stand in either query.
    parameters = {"words": UNWANTED.sub(" ", words), "without": " or ".join(UNWANTED.findall(words))}
    async with sessions() as session:
        movie_ids, ranks = (await session.execute(text(FOUND), parameters)).one()
    relevance = np.zeros(len(snapshot.cards))
    where = snapshot.positions(movie_ids)
    relevance[where[where >= 0]] = np.array(ranks, np.float64)[where >= 0]
    return relevance


async def likeness(snapshot: Snapshot, words: str) -> NDArray[np.float64]:
    """float64 (n,), 0 where the title lacks a word. Misspelt ones count only when no title has them as they
    are; operators are read only by Postgres."""
    if OPERATORS.search(words):
        return np.zeros(len(snapshot.cards))
    found = TITLE * snapshot.words.likeness(words)
    if not found.any():
        found = MISSPELT * await asyncio.to_thread(snapshot.words.likeness, words, misspelt=True)
    return found


def nearness(snapshot: Snapshot, model: Model, words: str) -> NDArray[np.float64]:
    """float64 (n,): the cosine of a film's content and the words, 0 where it is not among the nearest."""
    direction = meaning(model.hybrid.encoder, words, [genre.name for genre in snapshot.genres])
    near = np.zeros(len(snapshot.cards))
    cosine = model.hybrid.content_vectors @ direction  # (n_items, width) @ (width,)
    nearest = top(np.where(model.snapshot_idx >= 0, cosine, -np.inf), MOST_NEAR)
    nearest = nearest[cosine[nearest] >= NEAR]
    near[model.snapshot_idx[nearest]] = cosine[nearest]
    return near


def title_match(snapshot: Snapshot, words: str, hits: NDArray[np.int32]) -> NDArray[np.float64]:
    """float64 (m,): more for a title that is, or begins with, just these words."""
    asked = re.sub(r"^(?:the|an?) ", "", fold_case(words).strip())
    forms = (asked, f"the {asked}", f"a {asked}", f"an {asked}")
    titles = (snapshot.facts.titles[position] for position in hits.tolist())
    return np.array(
        [WHOLE_TITLE if title in forms else BEGINNING if title.startswith(forms) else 0.0 for title in titles]
    )
