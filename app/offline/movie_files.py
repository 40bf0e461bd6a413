"""Read movie features from files: MovieLens' lists, links and tags, and TMDB's extracts. All are optional."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from recommender.item_features import ItemFeatures
from recommender.progress import Progress
from seeds.files.archives import csv_rows, find, inside
from seeds.files.cells import CellError, row_id
from seeds.files.rating_cells import TextIds
from seeds.files.report import Report
from seeds.movielens import (
    LINKS,
    MOVIES,
    TAGS,
    ParseId,
    csv_movies,
    dat_movies,
    item_movies,
    linked,
    linked_only,
)
from seeds.movies import Movie, MovieIndex
from seeds.tmdb import complete, read_tmdb
from seeds.tmdb_rows import FILES

MOVIE_LISTS = (*MOVIES, "movies.dat", "latest_movies.dat", "u.item")
NOT_AN_ID = "the id cannot be read"
_IMDB_ID = re.compile(r"tt\d{5,10}")


def read_movies(
    beside: Traversable,
    folders: Sequence[Traversable],
    report: Report,
    progress: Progress,
    ids: TextIds | None = None,
) -> dict[int, Movie]:
    """Read features of movies, by their id in the ratings.

    beside: the folder of the ratings, without its subfolders. folders: further folders, with subfolders. Ids,
    links and tags are read from one folder, the first that lists movies, because another may number them
    differently. TMDB's files are read from all folders and joined by link, else by title and year. A folder
    of `folders` that is not used becomes a note in the report. ids: text ids of the ratings, if there are.
    """
    parse_id = row_id if ids is None else ids.number
    home, movies = _movie_list(beside, folders, report, parse_id)
    if home is not None and (links := inside(home, *LINKS)):
        movies = linked(movies, links, report, parse_id) if movies else linked_only(links, report, parse_id)
    if home is not None and (tags := inside(home, *TAGS)):
        movies = _tagged(movies, tags, report, parse_id)
    if not movies and ids is not None:
        movies = _named_by_imdb(ids)
    for place in (beside, *folders):
        names = [kind.name for kind in FILES]
        used = place == home or (home is not None and _is_within(home, place))
        if file := find(place, *names) if place in folders else inside(place, *names):
            if movies:
                movies, n_described = _described(movies, place, report, progress)
                if not n_described:
                    report.notes.append(f"{place} is not used: none of its movies is listed or linked")
            else:
                report.notes.append(
                    f"{file} is not used: there is neither a list of movies ({', '.join(MOVIE_LISTS)}) "
                    f"nor links ({', '.join(LINKS)}) to join it to the ratings"
                )
        elif not used and place in folders:
            report.notes.append(_unused(place, home))
    return movies


def _unused(place: Traversable, home: Traversable | None) -> str:
    """The note that says why a folder was not used."""
    if home is not None and find(place, *MOVIE_LISTS, *LINKS, *TAGS):
        return f"{place} is not used: {home} lists the movies, and may number them differently"
    supported = (*MOVIE_LISTS, *LINKS, *(kind.name for kind in FILES))
    return f"{place} is not used: it has none of {', '.join(supported)}"


def _is_within(folder: Traversable, place: Traversable) -> bool:
    """Whether `folder` is a subfolder of `place`."""
    return any(entry == folder or str(entry) == str(folder) for entry in place.iterdir() if entry.is_dir())


def _named_by_imdb(ids: TextIds) -> dict[int, Movie]:
    """Movies whose text id in the ratings is an IMDb id."""
    return {
        number: Movie(title="", imdb_id=text)
        for number, text in ids.texts.items()
        if _IMDB_ID.fullmatch(text)
    }


def columns(item_ids: NDArray[np.int64], movies: Mapping[int, Movie]) -> ItemFeatures:
    """Convert movies to the recommender's columns, aligned with `item_ids`; an unknown movie is blank."""
    rows = [movies.get(int(item_id)) or Movie(title="") for item_id in item_ids]

    def numbers(name: str) -> NDArray[np.float32]:
        return np.array([np.nan if (v := getattr(row, name)) is None else v for row in rows], np.float32)

    return ItemFeatures(
        item_ids=item_ids,
        titles=[row.title for row in rows],
        overviews=[row.overview or "" for row in rows],
        keywords=[row.keywords for row in rows],
        directors=[tuple(credit.name for credit in row.directors) for row in rows],
        cast=[tuple(credit.name for credit in row.cast) for row in rows],
        genres=[row.genres for row in rows],
        languages=[row.original_language or "" for row in rows],
        years=np.array([row.year or 0 for row in rows], np.int16),
        runtimes=numbers("runtime_minutes"),
        popularity=numbers("popularity"),
        vote_average=numbers("vote_average"),
        vote_count=numbers("vote_count"),
        collections=[row.collection or "" for row in rows],
    )


def _movie_list(
    beside: Traversable, folders: Sequence[Traversable], report: Report, parse_id: ParseId
) -> tuple[Traversable | None, dict[int, Movie]]:
    """Find the folder that lists movies, else one with links; return it and the list."""
    found = [(place, inside(place, *MOVIE_LISTS)) for place in _places(beside, folders)]
    for home, file in found:
        if file is not None:
            return home, dict(_movies(home, file, report, parse_id))
    return next((home for home, _ in found if inside(home, *LINKS)), None), {}


def _movies(
    home: Traversable, file: Traversable, report: Report, parse_id: ParseId
) -> Iterator[tuple[int, Movie]]:
    if ".csv" in file.name:
        return csv_movies(file, report, parse_id)
    if ".dat" in file.name:
        return dat_movies(file, report, parse_id)
    return item_movies(file, inside(home, "u.genre"), report)


def _places(beside: Traversable, folders: Sequence[Traversable]) -> Iterator[Traversable]:
    """Yield `beside`, and each folder before its subfolders."""
    yield beside
    for folder in folders:
        yield folder
        yield from sorted((entry for entry in folder.iterdir() if entry.is_dir()), key=lambda e: e.name)


def _tagged(
    movies: dict[int, Movie], file: Traversable, report: Report, parse_id: ParseId
) -> dict[int, Movie]:
    """Add the users' tags to the keywords of the movies."""
    tags: dict[int, dict[str, None]] = {}
    for line, row in csv_rows(file, ("movieId", "tag"), report):
        try:
            number = parse_id(row["movieId"])
        except CellError:
            report.skip(NOT_AN_ID, str(file), line, ",".join(row.values()))
            continue
        tags.setdefault(number, {})[" ".join(row["tag"].casefold().split())] = None
    return {
        movie_id: replace(movie, keywords=tuple(dict.fromkeys((*movie.keywords, *tags.get(movie_id, ())))))
        for movie_id, movie in movies.items()
    }


def _described(
    movies: dict[int, Movie], source: Traversable, report: Report, progress: Progress
) -> tuple[dict[int, Movie], int]:
    """Complete movies from TMDB's files in `source`; return them and the number of matches."""
    facts, additions = read_tmdb(source, report, progress)
    index = MovieIndex(movies.values())
    known = {movie.tmdb_id: movie for movie in movies.values() if movie.tmdb_id is not None}
    used = {tmdb_id: rows for tmdb_id, rows in additions.items() if tmdb_id in facts or tmdb_id in known}
    described = set()
    for movie in complete(facts, used, known):
        if (number := index.find(movie)) is not None:
            index.update(number, movie, authority=True)
            described.add(number)
    return dict(zip(movies, index.movies, strict=True)), len(described)
