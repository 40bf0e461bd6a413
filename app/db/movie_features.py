"""Read the features of movies for the recommender."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from recommender.item_features import ItemFeatures

MAX_VALUE = 100  # characters of an attribute that can be a feature

MOVIES = """
SELECT id, title, coalesce(overview, ''), keywords, coalesce(original_language, ''), coalesce(year, 0),
    coalesce(runtime_minutes, 'nan'::real), coalesce(popularity, 'nan'::real),
    coalesce(vote_average, 'nan'::real), coalesce(vote_count, 'nan'::real), coalesce(collection, ''),
    ARRAY(SELECT name FROM movie_genres JOIN genres ON genres.id = genre_id
        WHERE movie_id = movies.id ORDER BY name),
    ARRAY(SELECT name FROM credits JOIN people ON people.id = person_id
        WHERE movie_id = movies.id AND kind = 'DIRECTOR' ORDER BY position),
    ARRAY(SELECT name FROM credits JOIN people ON people.id = person_id
        WHERE movie_id = movies.id AND kind = 'CAST' ORDER BY position),
    attributes
FROM movies
"""


def movies_of(rows: Sequence[tuple[Any, ...]]) -> ItemFeatures:
    """Features of movies from rows of MOVIES, at least one."""
    (ids, titles, overviews, keywords, languages, years, runtimes, popularity, averages, counts, collections,
     genres, directors, cast, attributes) = zip(*rows, strict=True)  # fmt: skip
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
        attributes=list(map(names_of, attributes)),
    )


def names_of(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Attributes that can be features, as `name=value`: short texts, numbers, truth values and lists of them.

    A model uses those that are in its vocabulary, which its training chose.
    """
    lists = {name: value if isinstance(value, list) else [value] for name, value in attributes.items()}
    names = (
        f"{name}={each}"
        for name in sorted(lists)
        for each in lists[name]
        if isinstance(each, str | int | float) and len(str(each)) <= MAX_VALUE
    )
    return tuple(dict.fromkeys(names))


def with_attributes(movies: ItemFeatures, names: Collection[str]) -> ItemFeatures:
    """The movies with the attributes of these names only."""
    beginnings = tuple(f"{name}=" for name in names)
    kept = [tuple(each for each in row if each.startswith(beginnings)) for row in movies.attributes]
    return replace(movies, attributes=kept)
