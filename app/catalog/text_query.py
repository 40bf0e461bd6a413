"""Search for words in the texts of movies, in Postgres.

The syntax is that of `websearch_to_tsquery`: quotes, `or`, and `-` before what is not wanted.
"""

import re
from typing import Any

from sqlalchemy import text

from app.db.reads import sql_of

UNWANTED = re.compile(r'(?:^|(?<=\s))-("[^"]*"|\S+)')
TERM = re.compile(r'"[^"]*"|\S+')

# The weights are of the vector's classes D, C, B, A: a word of an overview counts a fifth of one of a title.
# 32 maps ranks to 0..1. The index finds nothing for a query without a wanted word ('' or 'T' as `querytree`),
# and nothing ranks: without the condition, such a query compares each movie with each word.
FOUND = sql_of(
    text("""
WITH parsed AS MATERIALIZED (
    SELECT wanted, wanted && !! unwanted AS query
    FROM (
        SELECT websearch_to_tsquery('simple', :words) || websearch_to_tsquery('english', :words) AS wanted,
            websearch_to_tsquery('simple', :without) || websearch_to_tsquery('english', :without) AS unwanted
    ) AS given
), matching AS (
    SELECT id, search, wanted FROM parsed, movies
    WHERE querytree(query) NOT IN ('', 'T') AND search @@ query
    LIMIT (SELECT CAST(:most_compared AS bigint) / greatest(numnode(wanted), 1) FROM parsed)
)
SELECT coalesce(array_agg(id), '{}') AS movie_ids, coalesce(array_agg(rank), '{}') AS ranks
FROM (
    SELECT id, ts_rank_cd('{0, 0.2, 0, 1}', search, wanted, 32) AS rank
    FROM matching
    ORDER BY rank DESC, id
    LIMIT :most
) AS found
""")
)
MOST_FOUND = 5_000  # movies matched by words, since the event loop reads them
MOST_COMPARED = 100_000  # words wanted, times the movies that are ranked by them


def parameters_of(query: str) -> dict[str, Any]:
    """The parameters of FOUND. A word or phrase counts once, for repetitions only take time."""
    return {
        "words": " or ".join(dict.fromkeys(map(once, alternatives(UNWANTED.sub(" ", query))))),
        # Excluded words must match neither literally nor by stem, so both queries are negated.
        "without": " or ".join(dict.fromkeys(term.lower() for term in UNWANTED.findall(query))),
        "most": MOST_FOUND,
        "most_compared": MOST_COMPARED,
    }


def alternatives(words: str) -> list[list[str]]:
    """The terms between each `or`."""
    found: list[list[str]] = [[]]
    for term in TERM.findall(words.lower()):
        if term == "or":
            found.append([])
        else:
            found[-1].append(term)
    return found


def once(terms: list[str]) -> str:
    return " ".join(dict.fromkeys(terms))
