"""Search for movies by titles, people and years, by words of overviews, and by content vectors.

Titles and people are matched in memory and rank first. Next come texts with all words of the query, which
Postgres matches by English stems. Texts with some of its words, and content vectors, count only if the query
names neither a title nor a person. Each kind of match has its own range of scores, below that of the one
before it; the last two share one.
"""

import asyncio
import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.catalog.text_query import FOUND, parameters_of
from app.catalog.title_match import matches
from app.catalog.title_scoring import Matches
from app.db.engine import Sessions
from app.db.reads import sql_of
from app.serving.model import Model
from app.serving.snapshot import MovieFilter, Snapshot
from recommender.model.content import query_vector
from recommender.model.nearest import top

# Ranges of scores: from NAMED to BEST, from WORDS to NAMED, and below WORDS.
NAMED, WORDS, BEST = 0.6, 0.3, 1.0
# A query names a movie that has enough of it: COVERED, or PARTLY with MOST of its title, or SURPLUS with the
# WHOLE of a title of two or more words.
COVERED, PARTLY, SURPLUS = 0.8, 0.6, 0.35
MOST, WHOLE = 0.6, 0.95
SOME = 3.0  # weight of texts with some of the words, next to the content vector and the names
HALF = 0.5  # of the words: "a hacker learns that reality is a simulation" does not name "Reality"
NEAR, MOST_NEAR = 0.2, 100  # minimum cosine, and maximum number of movies
POPULAR, MOST_DOUBLINGS = 0.3, 20  # share of a score that depends on the number of ratings

OPERATORS = re.compile(r'"|(?:^|\s)-(?=\w)')  # not in "Episode IV - A New Hope"

# The weight of a word is its inverse document frequency: ln(1 + n / n_i) (Robertson and Sparck Jones, 1976,
# in the form that is never negative). The share of a movie is that of the weights of its words.
SOME_FOUND = sql_of(
    text("""
WITH words AS (
    SELECT DISTINCT unnest(tsvector_to_array(to_tsvector('english', :words))) AS word LIMIT :most_words
), hits AS MATERIALIZED (
    SELECT word, hit.id FROM words, LATERAL (
        SELECT id FROM movies WHERE search @@ CAST(quote_literal(word) AS tsquery) LIMIT :most_each
    ) AS hit
), weights AS (
    SELECT word, ln(1 + CAST(:n_movies AS double precision) / count(*)) AS weight FROM hits GROUP BY word
)
SELECT coalesce(array_agg(id), '{}') AS movie_ids, coalesce(array_agg(share), '{}') AS shares
FROM (
    SELECT id, sum(weight) / (SELECT sum(weight) FROM weights) AS share
    FROM hits JOIN weights USING (word) GROUP BY id ORDER BY share DESC, id LIMIT :most
) AS found
""")
)
MOST_WORDS, MOST_EACH = 16, 5_000  # words of a query that are looked up, and movies with one of them
LEAST_SHARE = 0.3


class SearchMatch(StrEnum):
    """The part of a movie that matches the query."""

    TITLE = "TITLE"
    PERSON = "PERSON"
    WORDS = "WORDS"
    MEANING = "MEANING"


@dataclass(frozen=True, slots=True)
class Hits:
    """A page of the movies found, best first: positions in the snapshot int32 (m,), scores float64 (m,) from
    0 to 1. `found` int32 (n_found,): the positions of all movies found.
    """

    positions: NDArray[np.int32]
    scores: NDArray[np.float64]
    matched_by: list[SearchMatch]
    has_previous: bool
    has_next: bool
    found: NDArray[np.int32]


async def search(
    sessions: Sessions,
    snapshot: Snapshot,
    model: Model | None,
    words: str,
    movie_filter: MovieFilter,
    *,
    count: int,
    key: tuple[float, int] | None = None,
) -> Hits:
    """Find the `count` best movies that pass the filter, after the score and movie id of `key`."""
    ranks = await found_words(sessions, snapshot, words)
    matched, shares = None, None
    if not OPERATORS.search(words):
        matched, names_any = await asyncio.to_thread(names_in, snapshot, words)
        if not names_any:
            shares = await found_some(sessions, snapshot, words)
    given = (snapshot, model, words, ranks, matched, shares)
    return await asyncio.to_thread(lambda: ranked(snapshot, *scored(*given), movie_filter, count, key))


def names_in(snapshot: Snapshot, words: str) -> tuple[Matches, bool]:
    """The movies with words of the query in titles and people, and whether it names any of them."""
    matched = matches(snapshot.titles, snapshot.people, snapshot.facts, words)
    return matched, bool(named(matched).any())


def ranked(
    snapshot: Snapshot,
    scores: NDArray[np.float64],
    kinds: NDArray[np.int8],
    movie_filter: MovieFilter,
    count: int,
    key: tuple[float, int] | None,
) -> Hits:
    """Rank the movies that pass the filter by the scores and kinds of `scored`."""
    scores[~snapshot.mask(movie_filter)] = 0
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
    return Hits(page, scores[start:end], matched_by, start > 0, end < len(hits), hits)


def scored(
    snapshot: Snapshot,
    model: Model | None,
    words: str,
    ranks: NDArray[np.float64],
    matched: Matches | None = None,
    shares: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Scores float64 (n,), 0 for movies not found, and int8 (n,) the index of their kind in SearchMatch.

    `ranks` are of `found_words`, `matched` of `names_in` and `shares` of `found_some`.
    """
    # Whole doublings, so that a single rating rarely moves a movie between pages.
    doublings = np.ceil(np.log2(snapshot.rating_count + 1.0)) / MOST_DOUBLINGS
    popularity = 1 - POPULAR + POPULAR * np.minimum(doublings, 1)
    scores = np.zeros(len(snapshot.cards))
    kinds = np.full(len(snapshot.cards), list(SearchMatch).index(SearchMatch.WORDS), np.int8)
    found = ranks > 0
    if OPERATORS.search(words):
        scores[found] = (WORDS + (NAMED - WORDS) * ranks * popularity)[found]
        return scores.round(6), kinds
    if matched is None:
        matched = matches(snapshot.titles, snapshot.people, snapshot.facts, words)
    sure = named(matched)
    unsure = ~sure & (matched.share >= WHOLE)
    near = np.zeros(len(snapshot.cards))
    if not sure.any():
        if model is not None:
            near = nearness(snapshot, model, words)
        some = np.zeros(len(snapshot.cards)) if shares is None else shares
        partly = np.zeros(len(snapshot.cards))
        partly[matched.positions] = matched.relevance
        likely = (near + partly + SOME * some) / (2 + SOME)
        meant = (near > 0) | (some > 0)
        scores[meant] = (WORDS * likely * popularity)[meant]
        kinds[near > 0] = list(SearchMatch).index(SearchMatch.MEANING)
        where = matched.positions[unsure & ~meant[matched.positions]]
        scores[where] = (WORDS * likely * popularity)[where]
        kinds[where] = list(SearchMatch).index(SearchMatch.TITLE)
    scores[found] = (WORDS + (NAMED - WORDS) * (ranks + near) / 2 * popularity)[found]
    kinds[found] = list(SearchMatch).index(SearchMatch.WORDS)
    where = matched.positions[sure]
    scores[where] = NAMED + (BEST - NAMED) * matched.relevance[sure] * popularity[where]
    kinds[where] = np.where(matched.title_words[sure] > 0, 0, 1)
    return scores.round(6), kinds


def named(matched: Matches) -> NDArray[np.bool_]:
    """bool (m,): movies whose titles and people cover enough of the query to be named by it."""
    coverage, share = matched.coverage, matched.share
    return (matched.counted >= HALF) & (
        (coverage >= COVERED)
        | ((coverage >= PARTLY) & (share >= MOST))
        | ((coverage >= SURPLUS) & (share >= WHOLE) & (matched.title_words > 1))
    )


async def found_words(sessions: Sessions, snapshot: Snapshot, words: str) -> NDArray[np.float64]:
    """Ranks of movies whose texts contain the words, float64 (n,); 0 for others."""
    row = await sessions.reads.row(FOUND, parameters_of(words))
    assert row is not None, "an aggregate has a row"
    movie_ids, ranks = row
    relevance = np.zeros(len(snapshot.cards))
    where = snapshot.positions(movie_ids)
    relevance[where[where >= 0]] = np.array(ranks, np.float64)[where >= 0]
    return relevance


async def found_some(sessions: Sessions, snapshot: Snapshot, words: str) -> NDArray[np.float64]:
    """Share of the words that a movie's texts contain, by weight, float64 (n,); 0 below LEAST_SHARE."""
    parameters = {
        "words": words,
        "most_words": MOST_WORDS,
        "most_each": MOST_EACH,
        "n_movies": len(snapshot.cards),
        "most": MOST_NEAR,
    }
    row = await sessions.reads.row(SOME_FOUND, parameters)
    assert row is not None, "an aggregate has a row"
    movie_ids, shares = row
    found = np.zeros(len(snapshot.cards))
    where = snapshot.positions(movie_ids)
    found[where[where >= 0]] = np.array(shares, np.float64)[where >= 0]
    return np.where(found >= LEAST_SHARE, found, 0)


def nearness(snapshot: Snapshot, model: Model, words: str) -> NDArray[np.float64]:
    """Cosine of the words and each movie's content vector, float64 (n,); 0 unless among the nearest."""
    direction = query_vector(model.hybrid.encoder, words, [genre.name for genre in snapshot.genres])
    near = np.zeros(len(snapshot.cards))
    cosine = model.hybrid.content_vectors @ direction  # (n_items, width) @ (width,)
    nearest = top(np.where(model.snapshot_idx >= 0, cosine, -np.inf), MOST_NEAR)
    nearest = nearest[cosine[nearest] >= NEAR]
    near[model.snapshot_idx[nearest]] = cosine[nearest]
    return near
