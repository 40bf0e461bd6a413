"""The movie record of the loaders: match equal movies, and merge records of different sources."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, NamedTuple

from seeds.titles import MAX_TITLE, fold

# Other sources' names of MovieLens genres.
GENRE_NAMES = {"Science Fiction": "Sci-Fi", "Family": "Children", "Music": "Musical"}

MAX_TITLES = 100  # of one movie, over all sources

# Formats, origins and placeholders that sources list as genres, in lower case. They do not describe taste.
NOT_GENRES = frozenset({
    "", "(no genres listed)", "3d", "foreign", "genre unknown", "imax", "n/a", "none", "other", "tv movie",
    "unknown", "\\n",
})  # fmt: skip

IDS = ("movielens_id", "tmdb_id", "imdb_id")  # of a movie in other catalogs; each is unique


class SourceTitle(NamedTuple):
    title: str
    source: str  # MOVIELENS, TMDB, MOVIETWEETINGS, BUNDLED; FORMER for a title that an edit replaced


@dataclass(frozen=True, slots=True)
class Credit:
    name: str
    character: str | None = None
    tmdb_id: int | None = None


@dataclass(frozen=True, slots=True)
class Movie:
    """A movie of a source. Unknown fields are None or ()."""

    title: str
    original_title: str | None = None
    year: int | None = None
    release_date: date | None = None
    runtime_minutes: int | None = None
    original_language: str | None = None  # ISO 639-1
    countries: tuple[str, ...] = ()  # ISO 3166-1 alpha-2
    genres: tuple[str, ...] = ()
    directors: tuple[Credit, ...] = ()
    cast: tuple[Credit, ...] = ()
    overview: str | None = None
    keywords: tuple[str, ...] = ()
    collection: str | None = None
    poster_path: str | None = None
    tagline: str | None = None
    backdrop_path: str | None = None
    trailer_url: str | None = None
    certification: str | None = None
    localized_titles: tuple[tuple[str, str], ...] = ()  # languages and the title in each, sorted
    popularity: float | None = None
    vote_average: float | None = None  # 0..10
    vote_count: int | None = None
    movielens_id: int | None = None
    tmdb_id: int | None = None
    imdb_id: str | None = None
    titles: tuple[SourceTitle, ...] = ()  # all titles of all sources, including `title`


class MovieIndex:
    """An index of movies under permanent numbers, which finds the one that a record describes."""

    def __init__(self, movies: Iterable[Movie] = ()) -> None:
        self.movies: list[Movie] = []
        self._by_id: dict[tuple[str, int | str], int] = {}
        self._by_title: dict[tuple[str, int | None], list[int]] = {}
        self._by_other_title: dict[tuple[str, int | None], list[int]] = {}
        for movie in movies:
            self.add(movie)

    def find(self, movie: Movie) -> int | None:
        """Find the number of a movie by a common id, else by title and year unless ids of a kind differ.

        Main titles of the indexed movies take precedence over their alternative titles.
        """
        for kind in IDS:
            value = getattr(movie, kind)
            if value is not None and (number := self._by_id.get((kind, value))) is not None:
                return number
        main, others = _folded_titles(movie)
        for title in (*main, *others):
            for by_title in (self._by_title, self._by_other_title):
                for number in by_title.get((title, movie.year), ()):
                    if not ids_differ(movie, self.movies[number]):
                        return number
        return None

    def add(self, movie: Movie) -> int:
        self.movies.append(movie)
        self._register(len(self.movies) - 1)
        return len(self.movies) - 1

    def update(self, number: int, movie: Movie, *, authority: bool) -> None:
        """Merge a record into the movie of this number. See `merge`."""
        indexed = self.movies[number]

        # Ids are unique: one of another movie is dropped.
        def own(kind: str) -> Any:
            value = getattr(movie, kind)
            return value if self._by_id.get((kind, value), number) == number else None

        ids = {kind: own(kind) for kind in IDS}
        merged = merge(indexed, replace(movie, **ids), authority=authority)
        if merged != indexed:
            self.movies[number] = merged
            self._register(number)

    def _register(self, number: int) -> None:
        movie = self.movies[number]
        for kind in IDS:
            value = getattr(movie, kind)
            if value is not None:
                self._by_id.setdefault((kind, value), number)
        for titles, by_title in zip(
            _folded_titles(movie), (self._by_title, self._by_other_title), strict=True
        ):
            for title in titles:
                numbers = by_title.setdefault((title, movie.year), [])
                if number not in numbers:
                    numbers.append(number)


def merge(known: Movie, other: Movie, *, authority: bool) -> Movie:
    """Merge two records of a movie. Without `authority`, `other` only fills in unknown fields.

    With it, fields of `other` take precedence, but genres and keywords are united, the longer list of credits
    is kept, and the fields by which the movie is matched are not lost: ids, the year, and an original title
    that differs from the title. The titles of both records are always kept.
    """
    first, second = (other, known) if authority else (known, other)
    merged = {}
    for field in fields(Movie):
        value = getattr(first, field.name)
        merged[field.name] = getattr(second, field.name) if value in (None, ()) else value
    for name in (*IDS, "year"):
        value = getattr(known, name)
        merged[name] = getattr(other, name) if value is None else value
    if merged["original_title"] == merged["title"]:
        merged["original_title"] = known.original_title or other.original_title
    if authority:
        for name in ("genres", "keywords"):
            merged[name] = tuple(dict.fromkeys(getattr(known, name) + getattr(other, name)))
        for name in ("directors", "cast"):
            merged[name] = max(getattr(other, name), getattr(known, name), key=_fullness)
    merged["titles"] = all_titles(known.titles + other.titles)
    return Movie(**merged)


def all_titles(titles: Iterable[SourceTitle]) -> tuple[SourceTitle, ...]:
    """Sort distinct titles, without those longer than MAX_TITLE; at most MAX_TITLES."""
    return tuple(sorted({named for named in titles if 0 < len(named.title) <= MAX_TITLE})[:MAX_TITLES])


def titles_from(source: str, *titles: str | None) -> tuple[SourceTitle, ...]:
    """The titles of one source."""
    return all_titles(SourceTitle(title, source) for title in titles if title)


def _fullness(credits_: tuple[Credit, ...]) -> tuple[int, int]:
    return len(credits_), sum(credit.character is not None for credit in credits_)


def _folded_titles(movie: Movie) -> tuple[list[str], list[str]]:
    """Folded titles: first the title and original title, then the others."""
    main = dict.fromkeys(fold(title) or title for title in (movie.title, movie.original_title) if title)
    others = dict.fromkeys(fold(title) or title for title, _ in movie.titles)
    return list(main), [title for title in others if title not in main]


def ids_differ(one: Any, other: Any) -> bool:
    """Whether two records with ids are of different movies, because both have an id of one kind."""
    return any(
        (a := getattr(one, kind)) is not None and (b := getattr(other, kind)) is not None and a != b
        for kind in IDS
    )
