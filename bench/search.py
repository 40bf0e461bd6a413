"""Measure how well search finds movies by realistic queries, and the CPU time of a query.

    python -m bench.search [--json FILE] [--page FILE] [--data FOLDER]

FOLDER holds ml-latest-small and tmdb; by default ../shared/data. The catalog is built in memory, without
overviews and without a model, because both rank behind titles and people.
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from app.catalog.search import scored
from app.serving.cards import GenreRow, PersonRow
from app.serving.snapshot import Snapshot, built
from bench.figures import ROOT, Figure, commit, hardware, write
from bench.search_queries import Query, judged, most_rated, sequels
from seeds.files.archives import open_source
from seeds.files.report import Report, quiet
from seeds.movielens import read_movielens
from seeds.movies import Credit, Movie, MovieIndex
from seeds.titles import fold
from seeds.tmdb import complete, read_tmdb

MOST_RATED, HELD_OUT, SEQUELS = 100, 300, 100
LARGE = 60_000
TARGETS = {
    "title": 99, "title year": 99, "title (year)": 99, "title director": 95, "title movie": 99,
    "one typing error": 97, "sequel by another number": 95,
}  # fmt: skip
TYPED = ("matr", "the godf", "star w", "jurassic pa")
DATA = "MovieLens latest-small with TMDB metadata"
UNKNOWN = ("qwxzy vbnmq plokij zxwvut", "samurai defend a village", "sinking ship romance iceberg")


def catalog(movies: Sequence[Movie], counts: Sequence[int]) -> Snapshot:
    """Build a snapshot of movies and their rating counts, without a database."""
    genres: dict[str, GenreRow] = {}
    people: dict[int | str, PersonRow] = {}
    rows = []
    for number, (movie, count) in enumerate(zip(movies, counts, strict=True), 1):
        for name in movie.genres:
            genres.setdefault(name, GenreRow(len(genres) + 1, name, 0))
        for credit in movie.directors + movie.cast:
            people.setdefault(credit.tmdb_id or credit.name, PersonRow(len(people) + 1, credit.name))
        facts = {name: getattr(movie, name) for name in Movie.__slots__}
        facts["localized_titles"] = dict(movie.localized_titles)
        rows.append(
            SimpleNamespace(
                **facts,
                external_ids=[],
                attributes=None,
                hidden=False,
                id=number,
                genre_ids=[genres[name].id for name in movie.genres],
                director_ids=[people[credit.tmdb_id or credit.name].id for credit in movie.directors],
                cast_ids=[people[credit.tmdb_id or credit.name].id for credit in movie.cast],
                characters=[credit.character for credit in movie.cast],
                alternative_titles=sorted(
                    {title for title, _ in movie.titles} - {movie.title, movie.original_title}
                ),
                rating_count=count,
                half_stars_sum=7 * count,
            )
        )
    of_genre = {row.id: row for row in genres.values()}
    of_person = {row.id: row for row in people.values()}
    return built(1, datetime.now(UTC), of_genre, of_person, rows)


def published(folder: Path) -> Snapshot:
    """The snapshot of latest-small with TMDB metadata."""
    return catalog(*published_movies(folder))


def published_movies(folder: Path) -> tuple[list[Movie], list[int]]:
    """The movies of latest-small merged with TMDB metadata as the loaders do, and their rating counts."""
    movielens = read_movielens(open_source(folder / "ml-latest-small"), Report(dataset="movielens"), quiet)
    ratings = Counter(movielens.ratings.item_ids.tolist())
    index = MovieIndex()
    counts: Counter[int] = Counter()
    for movie, item in zip(movielens.movies, movielens.item_ids.tolist(), strict=True):
        counts[merge(index, movie, authority=False)] += ratings[item]
    movies, additions = read_tmdb(open_source(folder / "tmdb"), Report(dataset="tmdb"), quiet)
    for movie in complete(movies, additions, {}):
        merge(index, movie, authority=True)
    return index.movies, [counts[number] for number in range(len(index.movies))]


def merge(index: MovieIndex, movie: Movie, *, authority: bool) -> int:
    """Add the movie to the index or update its match. Return its number there."""
    number = index.find(movie)
    if number is None:
        return index.add(movie)
    index.update(number, movie, authority=authority)
    return number


def first(snapshot: Snapshot, query: str, count: int = 1) -> list[int]:
    """Positions of the top `count` hits."""
    scores, _ = scored(snapshot, None, query, np.zeros(len(snapshot.cards)))
    hits = np.flatnonzero(scores)
    return [int(at) for at in hits[np.lexsort((hits, -scores[hits]))][:count]]


def is_first(snapshot: Snapshot, query: Query) -> bool:
    """Whether the first hit is the meant movie, or has its title if the query names no year or director."""
    found = first(snapshot, query.text)
    if not found:
        return False
    if found[0] == query.position:
        return True
    one, other = snapshot.cards[found[0]], snapshot.cards[query.position]
    return "year" not in query.kind and "director" not in query.kind and fold(one.title) == fold(other.title)


def places(snapshot: Snapshot, queries: Sequence[Query]) -> dict[str, tuple[int, int, list[str]]]:
    """For each kind of query: hits at the first place, queries, and the texts that missed."""
    result: dict[str, tuple[int, int, list[str]]] = {}
    for query in queries:
        right, n, missed = result.get(query.kind, (0, 0, []))
        if is_first(snapshot, query):
            right += 1
        else:
            missed = [*missed, query.text]
        result[query.kind] = (right, n + 1, missed)
    return result


def cost(snapshot: Snapshot, query: str, repeats: int = 20) -> float:
    """Median milliseconds of CPU of a query."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        first(snapshot, query)
        taken.append(time.process_time() - start)
    return 1000 * sorted(taken)[repeats // 2]


def enlarged(movies: Sequence[Movie], n: int) -> list[Movie]:
    """Fill up to n movies with random ones, from the words of the given titles, random words and names."""
    rng = random.Random(7)  # noqa: S311 - not for secrets
    syllables = (
        "ka",
        "ro",
        "mi",
        "ta",
        "len",
        "sor",
        "vi",
        "dan",
        "el",
        "bru",
        "pha",
        "zo",
        "ne",
        "gri",
        "wu",
    )
    made_up = ["".join(rng.choices(syllables, k=rng.randint(2, 4))).title() for _ in range(n)]
    words = [word for movie in movies for word in movie.title.split()] + made_up
    names = [" ".join(rng.choices(made_up, k=2)) for _ in range(2 * n)]
    return [*movies] + [
        Movie(
            " ".join(rng.choices(words, k=rng.randint(1, 5))),
            year=rng.randint(1920, 2025),
            directors=(Credit(rng.choice(names)),),
            cast=tuple(map(Credit, rng.choices(names, k=8))),
        )
        for _ in range(n - len(movies))
    ]


def figures(snapshot: Snapshot, large: Snapshot) -> list[Figure]:
    order = most_rated(snapshot)
    numbered = list(sequels(snapshot, order))
    later = order[MOST_RATED : MOST_RATED + HELD_OUT]
    sets = {
        "most rated": judged(snapshot, order[:MOST_RATED], 1) + numbered[:SEQUELS],
        "held out": judged(snapshot, later, 2) + numbered[SEQUELS : 2 * SEQUELS],
    }
    found = []
    for name, queries in sets.items():
        for kind, (right, n, _) in places(snapshot, queries).items():
            found.append(Figure(f"{name}/{kind}", 100 * right / n, f"% of {n}", TARGETS.get(kind)))
    for size, movies in ((f"{len(snapshot.cards):,} movies", snapshot), (f"{LARGE:,} movies", large)):
        typed, unknown = ([cost(movies, query) for query in queries] for queries in (TYPED, UNKNOWN))
        found.append(Figure(f"{size}/while typing", max(typed), "ms CPU"))
        found.append(Figure(f"{size}/words that are in no title together", max(unknown), "ms CPU"))
    return found


def page(found: Sequence[Figure]) -> str:
    lines = [
        "# How well search finds movies",
        "",
        f"Measured at {commit()} on {hardware()} by `make bench-search`: {DATA}.",
        "Each row is a kind of query, with the share of queries whose movie comes first. Queries are",
        "generated from titles, years, people and numbers of the 100 most rated movies. *Held out* are the",
        "next 300, on which no constant was tuned. Costs are medians of the CPU time of a query, without",
        "Postgres; the larger catalog is filled up with random movies.",
        "",
        "| figure | measured | | target |",
        "|---|--:|---|--:|",
    ]
    for figure in found:
        target = "" if figure.target is None else f"{figure.target:g}"
        lines.append(f"| {figure.key} | {figure.value:.1f} | {figure.unit} | {target} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, help="write a Markdown page to this file")
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets"
    )
    options = parser.parse_args()
    movies, counts = published_movies(options.data)
    large = enlarged(movies, LARGE)
    more = [0] * (len(large) - len(counts))
    found = figures(catalog(movies, counts), catalog(large, [*counts, *more]))
    for figure in found:
        print(f"{figure.key}: {figure.value:.1f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, DATA, found)
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
