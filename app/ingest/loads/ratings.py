"""Load millions of ratings of another system's members from a file, in one transaction.

Members are those of the source; those that are new are made. The same file again changes nothing.
"""

import enum
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.accounts import external_members
from app.ingest.loads.scale import Scale, half_stars_of
from recommender.progress import Progress
from seeds.files import arrow_tables, rating_columns, ratings
from seeds.files.cells import CellError
from seeds.files.column_roles import RATING, ROLES, TIME, ColumnNames
from seeds.files.rating_cells import DayOrder, TextIds
from seeds.files.rating_rows import RatingFormat, ReadRows, distinct, order_by_pair
from seeds.files.report import Report, Sample, Skipped, SourceError, shown
from seeds.store.bulk_copy import Connection, store_ratings
from seeds.store.dataset import UNKNOWN_MOVIE, transaction

BAD_MEMBER = f"the id of a member {external_members.ID_RULE}"

EXAMPLES = 3  # rows shown for each reason
_UNKNOWN = -1  # in place of a movie's id

_MOVIES = {
    "external": "SELECT external_id, movie_id FROM movie_external_ids WHERE source = %(source)s",
    "tmdb": "SELECT tmdb_id::text, id FROM movies WHERE tmdb_id IS NOT NULL",
    "imdb": "SELECT imdb_id, id FROM movies WHERE imdb_id IS NOT NULL",
    "movielens": "SELECT movielens_id::text, id FROM movies WHERE movielens_id IS NOT NULL",
}
_RECORD = """
INSERT INTO dataset_versions AS known (version, movie_count, member_count, rating_count)
SELECT %(source)s, count(*), %(members)s, %(ratings)s FROM movie_external_ids WHERE source = %(source)s
ON CONFLICT (version) DO UPDATE SET movie_count = excluded.movie_count,
    member_count = known.member_count + excluded.member_count,
    rating_count = known.rating_count + excluded.rating_count, loaded_at = now()
WHERE excluded.rating_count > 0
"""


class MovieIds(enum.StrEnum):
    """The source of the ids in the movie column."""

    EXTERNAL = "external"  # of the source
    TMDB = "tmdb"
    IMDB = "imdb"
    MOVIELENS = "movielens"


@dataclass(frozen=True, slots=True)
class RatingOptions:
    """Options to read a file. scale: None to recognize stars, and yes and no."""

    source: str
    columns: ColumnNames = field(default_factory=ColumnNames)
    day_order: DayOrder | None = None
    scale: Scale | None = None
    movie_ids: MovieIds = MovieIds.EXTERNAL


@dataclass(frozen=True, slots=True)
class Rows:
    """n ratings. Users and movies are ids of the file, or of the database."""

    users: NDArray[np.int64]
    movies: NDArray[np.int64]
    half_stars: NDArray[np.int16]
    times: NDArray[np.int64]
    lines: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.users)

    def take(self, chosen: NDArray[Any]) -> "Rows":
        columns = (self.users, self.movies, self.half_stars, self.times, self.lines)
        return Rows(*(column[chosen] for column in columns))


@dataclass(slots=True)
class _Load:
    """A file that is being loaded."""

    path: Path
    options: RatingOptions
    report: Report
    ids: TextIds = field(default_factory=TextIds)

    def keep(self, rows: Rows, good: NDArray[np.bool_], reason: str, *, harmless: bool = False) -> Rows:
        """The good rows; the others are counted, with the first as examples."""
        if good.all():
            return rows
        bad = np.flatnonzero(~good)
        reasons = self.report.set_aside if harmless else self.report.skipped
        entry = reasons.setdefault(reason, Skipped())
        entry.count += len(bad)
        for i in bad[: EXAMPLES - len(entry.samples)]:
            user, movie = self.ids.text(int(rows.users[i])), self.ids.text(int(rows.movies[i]))
            text = f"{rows.half_stars[i] / 2:g} stars" if harmless else f"user {user}, movie {movie}"
            entry.samples.append(Sample(str(self.path), int(rows.lines[i]), shown(text)))
        return rows.take(good)


def load(address: str, path: Path, options: RatingOptions, progress: Progress) -> Report:
    """Load a file; return what was stored and which rows were not.

    Raises SourceError if the file cannot be read as ratings. Nothing is stored then.
    """
    loading = _Load(path, options, Report(options.source))
    rows = _read(loading, progress)
    with transaction(address, progress) as connection:
        rows = _with_movies(rows, loading, connection)
        rows, n_new = _with_members(rows, loading, connection, progress)
        rows = _latest(rows, loading)
        loading.report.ratings = store_ratings(
            connection,
            user_ids=rows.users,
            movie_ids=rows.movies,
            half_stars=rows.half_stars,
            timestamps=rows.times,
            progress=progress,
        )
        counts = {"members": n_new, "ratings": loading.report.ratings.added}
        connection.execute(_RECORD, {"source": options.source, **counts})
    return loading.report


def _read(loading: _Load, progress: Progress) -> Rows:
    """The valid rows of the file, with its ids."""
    path, options, report = loading.path, loading.options, loading.report
    optional = frozenset({TIME}) if options.scale is not Scale.LIKES else frozenset({RATING, TIME})
    format_ = RatingFormat(
        columns=ROLES,
        optional=optional,
        given=options.columns,
        day_order=options.day_order,
        ids=loading.ids,
    )
    if arrow_tables.is_one(path):
        read = arrow_tables.read_rows(path, format_, report)
    else:
        read = ratings.read_rows(path, format_, report, progress)
    read = rating_columns.in_seconds(read, format_, path, report)
    if not len(read):
        raise SourceError(f"{path} has no ratings that can be read")
    try:
        half_stars, off = half_stars_of(read, options.scale)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None
    rows = Rows(read.user_ids, read.item_ids, half_stars, _times(read, loading), read.lines)
    return loading.keep(rows, ~off, ratings.OFF_SCALE)


def _times(read: ReadRows, loading: _Load) -> NDArray[np.int64]:
    """Times in seconds. A rating without a time has that of the file's last change."""
    times = read.times.astype(np.int64)
    undated = times == 0
    if undated.any():
        changed = int(loading.path.stat().st_mtime)
        loading.report.notes.append(
            f"{loading.path}: {int(undated.sum()):,} ratings have no time; theirs is that of the file's last "
            "change"
        )
        times = np.where(undated, changed, times)
    return times


def _with_movies(rows: Rows, loading: _Load, connection: Connection) -> Rows:
    """The ratings of known movies, with the movies' ids of the database."""
    options = loading.options
    known: dict[int, int] = {}
    for text, movie_id in connection.execute(_MOVIES[options.movie_ids].encode(), {"source": options.source}):
        try:
            known[loading.ids.number(str(text))] = movie_id
        except CellError:  # no file can name it
            continue
    if not known:
        raise SourceError(
            f"no movie has an id of the source {options.source}: load the movies first (marquee load "
            "movies), or name whose ids the file has: --movie-ids tmdb, imdb or movielens"
        )
    numbers, at = distinct(rows.movies)
    movie_ids = np.array([known.get(number, _UNKNOWN) for number in numbers.tolist()], np.int64)[at]
    rows_known = movie_ids != _UNKNOWN
    kept = loading.keep(rows, rows_known, UNKNOWN_MOVIE)
    return replace(kept, movies=movie_ids[rows_known])


def _with_members(rows: Rows, loading: _Load, connection: Connection, progress: Progress) -> tuple[Rows, int]:
    """The ratings with the ids of their members, and the number of members that are new."""
    progress("storing members", 0.0)
    users, at = distinct(rows.users)
    texts = [loading.ids.text(user) for user in users.tolist()]
    fits = np.array([_is_member_id(text) for text in texts], bool)
    if not fits.all():
        rows, at = loading.keep(rows, fits[at], BAD_MEMBER), at[fits[at]]
    source = loading.options.source
    pairs = [(source, text) for text, good in zip(texts, fits, strict=True) if good]
    members = external_members.find(connection, pairs)
    new = [pair for pair in pairs if pair not in members]
    members |= external_members.make(connection, new)
    user_ids = np.array([members.get((source, text), 0) for text in texts], np.int64)
    loading.report.members.added, loading.report.members.unchanged = len(new), len(pairs) - len(new)
    progress("storing members", 1.0)
    return replace(rows, users=user_ids[at]), len(new)


def _is_member_id(text: str) -> bool:
    """Whether a text may be a member's id. Letters and digits need no look at each character."""
    fits = len(text) <= external_members.MAX_ID_LENGTH
    return fits and (text.isalnum() or external_members.is_external_id(text))


def _latest(rows: Rows, loading: _Load) -> Rows:
    """The ratings ordered by member and movie, the latest of each pair."""
    users, movies = rows.users, rows.movies
    higher = (users[1:] > users[:-1]) | ((users[1:] == users[:-1]) & (movies[1:] > movies[:-1]))
    if higher.all():
        return rows
    rows = rows.take(order_by_pair(users, movies, rows.times, rows.lines))
    last = np.ones(len(rows), bool)
    last[:-1] = (rows.users[1:] != rows.users[:-1]) | (rows.movies[1:] != rows.movies[:-1])
    same = np.zeros(len(rows), bool)
    same[:-1] = (rows.half_stars[1:] == rows.half_stars[:-1]) & (rows.times[1:] == rows.times[:-1])
    rows_last = last | same
    kept = loading.keep(rows, rows_last, ratings.RATED_TWICE, harmless=True)
    return loading.keep(kept, last[rows_last], ratings.REPEATED, harmless=True)
