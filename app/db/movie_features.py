"""Read the features of movies for the recommender."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recommender.item_features import ItemFeatures

MOVIES = """
SELECT id, title, coalesce(overview, ''), keywords, coalesce(original_language, ''), coalesce(year, 0),
    coalesce(runtime_minutes, 'nan'::real), coalesce(popularity, 'nan'::real),
    coalesce(vote_average, 'nan'::real), coalesce(vote_count, 'nan'::real), coalesce(collection, ''),
    ARRAY(SELECT name FROM movie_genres JOIN genres ON genres.id = genre_id
        WHERE movie_id = movies.id ORDER BY name),
    ARRAY(SELECT name FROM credits JOIN people ON people.id = person_id
        WHERE movie_id = movies.id AND kind = 'DIRECTOR' ORDER BY position),
    ARRAY(SELECT name FROM credits JOIN people ON people.id = person_id
        WHERE movie_id = movies.id AND kind = 'CAST' ORDER BY position)
FROM movies
"""


def movies_of(rows: Sequence[tuple[Any, ...]]) -> ItemFeatures:
    """Features of movies from rows of MOVIES, at least one."""
    (ids, titles, overviews, keywords, languages, years, runtimes, popularity, averages, counts, collections,
     genres, directors, cast) = zip(*rows, strict=True)  # fmt: skip
    return ItemFeatures(
        item_ids=np.array(ids, np.int64),
        titles=list(titles),
        overviews=list(overviews),
        keywords=[tuple(names) for names in keywords],
        directors=[tuple(names) for names in directors],
        cast=[tuple(names) for names in cast],
        genres=[tuple(names) for names in genres],
        languages=list(languages),
        years=np.array(years, np.int16),
        runtimes=np.array(runtimes, np.float32),
        popularity=np.array(popularity, np.float32),
        vote_average=np.array(averages, np.float32),
        vote_count=np.array(counts, np.float32),
        collections=list(collections),
    )
