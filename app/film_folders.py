"""What files say of films: MovieLens' lists, links and tags, and TMDB's extracts; any may be missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from recommender.films import Films
from seeds.files import csv_rows, find
from seeds.films import Film, FilmIndex
from seeds.movielens import csv_films, dat_films, item_films, linked
from seeds.report import Progress, Report
from seeds.tmdb import FILES, complete, read_tmdb

FILM_LISTS = ("movies.csv", "movies.dat", "latest_movies.dat", "u.item")
NOT_AN_ID = "the id is not a number"


def read_films(
    beside: Traversable, folders: Sequence[Traversable], report: Report, progress: Progress
) -> dict[int, Film]:
    """What is known of films, by the id that the ratings have for them.

    beside: the folder of the ratings, without those in it. folders: more places, and the folders in them.
    Ids, links and tags are taken from one folder, the first that lists films, since another may number them
    otherwise; TMDB's files from all of them, joined by link, else by title and year.
    """
    home, films = _film_list(beside, folders, report)
    if home is not None and (links := _inside(home, "links.csv")):
        films = linked(films or _linked_only(links, report), links, report)
    if home is not None and (tags := _inside(home, "tags.csv")):
        films = _tagged(films, tags, report)
    for place in (beside, *folders):
        names = [name for name, *_ in FILES]
        if films and (find(place, *names) if place in folders else _inside(place, *names)):
            films = _described(films, place, report, progress)
    return films


def columns(item_ids: NDArray[np.int64], films: Mapping[int, Film]) -> Films:
    """The films of `item_ids` as the recommender takes them; blank where nothing is known."""
    rows = [films.get(int(item_id)) or Film(title="") for item_id in item_ids]

    def numbers(name: str) -> NDArray[np.float32]:
        return np.array([np.nan if (v := getattr(row, name)) is None else v for row in rows], np.float32)

    return Films(
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


def _film_list(
    beside: Traversable, folders: Sequence[Traversable], report: Report
) -> tuple[Traversable | None, dict[int, Film]]:
    """The folder that lists films, or at least links them, and the list."""
    found = [(place, _inside(place, *FILM_LISTS)) for place in _places(beside, folders)]
    for home, file in found:
        if file is not None:
            return home, dict(_films(home, file, report))
    return next((home for home, _ in found if _inside(home, "links.csv")), None), {}


def _films(home: Traversable, file: Traversable, report: Report) -> Iterator[tuple[int, Film]]:
    if file.name.endswith(".csv"):
        return csv_films(file, report)
    if file.name.endswith(".dat"):
        return dat_films(file, report)
    return item_films(file, _inside(home, "u.genre"), report)


def _places(beside: Traversable, folders: Sequence[Traversable]) -> Iterator[Traversable]:
    yield beside
    for folder in folders:
        yield folder
        yield from sorted((entry for entry in folder.iterdir() if entry.is_dir()), key=lambda e: e.name)


def _inside(folder: Traversable, *names: str) -> Traversable | None:
    return next((file for name in names if (file := folder.joinpath(name)).is_file()), None)


def _linked_only(links: Traversable, report: Report) -> dict[int, Film]:
    """Films without a list: those that have a link, of which nothing else is known yet."""
    ids = (row["movieId"].strip() for _, row in csv_rows(links, ("movieId",), report))
    return {int(film_id): Film(title="") for film_id in ids if film_id.isdecimal()}


def _tagged(films: dict[int, Film], file: Traversable, report: Report) -> dict[int, Film]:
    """Films with what members wrote on them among their keywords."""
    tags: dict[int, dict[str, None]] = {}
    for line, row in csv_rows(file, ("movieId", "tag"), report):
        if row["movieId"].strip().isdecimal():
            tags.setdefault(int(row["movieId"]), {})[" ".join(row["tag"].casefold().split())] = None
        else:
            report.skip(NOT_AN_ID, str(file), line, ",".join(row.values()))
    return {
        film_id: replace(film, keywords=tuple(dict.fromkeys((*film.keywords, *tags.get(film_id, ())))))
        for film_id, film in films.items()
    }


def _described(
    films: dict[int, Film], source: Traversable, report: Report, progress: Progress
) -> dict[int, Film]:
    """Films with what TMDB's files in `source` say of them."""
    facts, additions = read_tmdb(source, report, progress)
    index = FilmIndex(films.values())
    known = {film.tmdb_id: film for film in films.values() if film.tmdb_id is not None}
    ours = {tmdb_id: rows for tmdb_id, rows in additions.items() if tmdb_id in facts or tmdb_id in known}
    for film in complete(facts, ours, known):
        if (number := index.find(film)) is not None:
            index.update(number, film, authority=True)
    return dict(zip(films, index.films, strict=True))
