"""Search for movies as people write them: by titles, people and years, by words of overviews, and by meaning.

Titles and people decide first, in memory; then overviews, which Postgres finds by their English stems.
Content vectors count only where no title and nobody is named. Each has its own range of scores, so that none
stands above the one before it.
"""

import asyncio
import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.catalog.title_match import matches
from app.catalog.title_scoring import Matches
from app.db.engine import Sessions
from app.serving.model import Model
from app.serving.snapshot import MovieFilter, Snapshot
from recommender.model.content import query_vector
from recommender.model.nearest import top

# A score is of one of three parts: from NAMED on, from WORDS to NAMED, and below WORDS.
NAMED, WORDS, BEST = 0.6, 0.3, 1.0
# How much of a query a movie must have to be named by it: alone, with so much of the title, or with all of a
# title of two words and more.
COVERED, PARTLY, SURPLUS = 0.8, 0.6, 0.35
MOST, WHOLE = 0.6, 0.95
HALF = 0.5  # of the words: "Reality" is not named by "a hacker learns that reality is a simulation"
NEAR, MOST_NEAR = 0.2, 100  # cosines of at least this, and of so many movies, the nearest
KNOWN, MOST_DOUBLINGS = 0.3, 20  # the share of a score that doublings of the number of ratings make

UNWANTED = re.compile(r'(?:^|(?<=\s))-("[^"]*"|\S+)')
OPERATORS = re.compile(r'"|(?:^|\s)-(?=\w)')  # "Episode IV - A New Hope" has none

# The weights are those of the vector's classes D, C, B, A: a word of an overview counts a fifth of one of a
# title. 32 maps ranks to 0..1.
FOUND = """
SELECT coalesce(array_agg(id), '{}') AS movie_ids, coalesce(array_agg(rank), '{}') AS ranks
FROM (
    SELECT id, ts_rank_cd('{0, 0.2, 0, 1}', search, query, 32) AS rank
    FROM movies, (
        SELECT (websearch_to_tsquery('simple', :words) || websearch_to_tsquery('english', :words))
            && !! (websearch_to_tsquery('simple', :without) || websearch_to_tsquery('english', :without))
            AS query
    ) AS wanted
    WHERE search @@ query
    ORDER BY rank DESC, id
    LIMIT :most
) AS found
"""
MOST_FOUND = 5_000  # movies whose words count; the event loop reads them


class SearchMatch(StrEnum):
    """By what a movie was found."""

    TITLE = "TITLE"
    PERSON = "PERSON"
    WORDS = "WORDS"
    MEANING = "MEANING"


@dataclass(frozen=True, slots=True)
class Hits:
    """Best first: positions in the snapshot int32 (m,), scores float64 (m,) from 0 to 1, and by what each was
    found."""

    positions: NDArray[np.int32]
    scores: NDArray[np.float64]
    matched_by: list[SearchMatch]
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
    """The `count` best movies that pass the filter, behind the one with this score and id."""
    ranks = await found_words(sessions, snapshot, words)
    return await asyncio.to_thread(ranked, snapshot, model, words, ranks, wanted, count, key)


def ranked(
    snapshot: Snapshot,
    model: Model | None,
    words: str,
    ranks: NDArray[np.float64],
    wanted: MovieFilter,
    count: int,
    key: tuple[float, int] | None,
) -> Hits:
    """`ranks`: see `found_words`."""
    scores, kinds = scored(snapshot, model, words, ranks)
    scores[~snapshot.mask(wanted)] = 0
    hits = np.flatnonzero(scores).astype(np.int32)
    hits = hits[np.lexsort((hits, -scores[hits]))]
    scores = scores[hits]
    start = 0
    if key is not None:
        score, movie_id = key
        ids = snapshot.movie_ids[hits]
        start = int(np.count_nonzero((scores > score) | ((scores == score) & (ids <= movie_id))))
    end = start + count
    page = hits[start:end]
    matched_by = [list(SearchMatch)[kind] for kind in kinds[page]]
    return Hits(page, scores[start:end], matched_by, start > 0, end < len(hits))


def scored(
    snapshot: Snapshot, model: Model | None, words: str, ranks: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """float64 (n,), 0 for what is not found, and int8 (n,), the place of its kind in SearchMatch."""
    # Whole doublings: a rating more does not move a movie from one page to another.
    doublings = np.ceil(np.log2(snapshot.rating_count + 1.0)) / MOST_DOUBLINGS
    known = 1 - KNOWN + KNOWN * np.minimum(doublings, 1)
    scores = np.zeros(len(snapshot.cards))
    kinds = np.full(len(snapshot.cards), list(SearchMatch).index(SearchMatch.WORDS), np.int8)
    found = ranks > 0
    if OPERATORS.search(words):
        scores[found] = (WORDS + (NAMED - WORDS) * ranks * known)[found]
        return scores.round(6), kinds
    matched = matches(snapshot.titles, snapshot.people, snapshot.facts, words)
    sure = named(matched)
    unsure = ~sure & (matched.share >= WHOLE)
    near = np.zeros(len(snapshot.cards))
    if not sure.any():
        if model is not None:
            near = nearness(snapshot, model, words)
        partly = np.zeros(len(snapshot.cards))
        partly[matched.positions] = matched.relevance
        likely = (near + partly) / 2
        scores[near > 0] = (WORDS * likely * known)[near > 0]
        kinds[near > 0] = list(SearchMatch).index(SearchMatch.MEANING)
        where = matched.positions[unsure & (near[matched.positions] == 0)]
        scores[where] = (WORDS * likely * known)[where]
        kinds[where] = list(SearchMatch).index(SearchMatch.TITLE)
    scores[found] = (WORDS + (NAMED - WORDS) * (ranks + near) / 2 * known)[found]
    kinds[found] = list(SearchMatch).index(SearchMatch.WORDS)
    where = matched.positions[sure]
    scores[where] = NAMED + (BEST - NAMED) * matched.relevance[sure] * known[where]
    kinds[where] = np.where(matched.title_words[sure] > 0, 0, 1)
    return scores.round(6), kinds


def named(matched: Matches) -> NDArray[np.bool_]:
    """Whose titles and people have enough of the query not to be there by chance."""
    coverage, share = matched.coverage, matched.share
    return (matched.counted >= HALF) & (
        (coverage >= COVERED)
        | ((coverage >= PARTLY) & (share >= MOST))
        | ((coverage >= SURPLUS) & (share >= WHOLE) & (matched.title_words > 1))
    )


async def found_words(sessions: Sessions, snapshot: Snapshot, words: str) -> NDArray[np.float64]:
    """float64 (n,), 0 where Postgres does not find the words."""
    # What is unwanted must be missing as it is and by its stem, so it cannot stand in either query.
    parameters = {
        "words": UNWANTED.sub(" ", words),
        "without": " or ".join(UNWANTED.findall(words)),
        "most": MOST_FOUND,
    }
    async with sessions() as session:
        movie_ids, ranks = (await session.execute(text(FOUND), parameters)).one()
    relevance = np.zeros(len(snapshot.cards))
    where = snapshot.positions(movie_ids)
    relevance[where[where >= 0]] = np.array(ranks, np.float64)[where >= 0]
    return relevance


def nearness(snapshot: Snapshot, model: Model, words: str) -> NDArray[np.float64]:
    """float64 (n,): the cosine of a movie's content and the words, 0 where it is not among the nearest."""
    direction = query_vector(model.hybrid.encoder, words, [genre.name for genre in snapshot.genres])
    near = np.zeros(len(snapshot.cards))
    cosine = model.hybrid.content_vectors @ direction  # (n_items, width) @ (width,)
    nearest = top(np.where(model.snapshot_idx >= 0, cosine, -np.inf), MOST_NEAR)
    nearest = nearest[cosine[nearest] >= NEAR]
    near[model.snapshot_idx[nearest]] = cosine[nearest]
    return near
