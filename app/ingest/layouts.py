"""Layouts of exports: the meaning of their columns, and detection of a layout by its header."""

import enum
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

from seeds.titles import fold_case

MAX_COLUMNS = 200
LONGEST_NAME = 100  # characters of a column's name
SHOWN_COLUMNS = 30


class Source(enum.StrEnum):
    LETTERBOXD = "LETTERBOXD"
    IMDB = "IMDB"
    TRAKT = "TRAKT"
    MOVIELENS = "MOVIELENS"
    SIMKL = "SIMKL"
    TMDB = "TMDB"
    NETFLIX = "NETFLIX"
    PLEX = "PLEX"
    JELLYFIN = "JELLYFIN"
    OTHER = "OTHER"


class InvalidHistory(Exception):
    """A file that cannot be imported. Clients get the message."""


Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Column names in the form of `plain`. Of several names, the first with a value counts.

    A header has this layout if it has all columns of one of `marks`, and no others if `exactly`. `scale` is
    the highest rating. Ratings are `rounded` to half-stars on finer scales.
    """

    marks: tuple[frozenset[str], ...]
    exactly: bool = False
    scale: float = 10
    rounded: bool = False
    rating: Names = ("rating",)
    titles: Names = ("title",)
    original_titles: Names = ("originaltitle",)
    year: Names = ("year",)
    kind: Names = ("type",)
    imdb_id: Names = ("imdbid", "imdb")
    tmdb_id: Names = ("tmdbid", "tmdb")
    movielens_id: Names = ()
    rated_at: Names = ()
    watched_at: Names = ()
    listed_at: Names = ()
    state: Names = ()  # of a row, such as `completed`
    watched: frozenset[str] = frozenset()  # with one of these columns, unrated movies are watched
    listed: frozenset[str] = frozenset()  # with one of these columns, the file is a list of any contents
    of_ten: str = ""  # the preferred column of ratings, on a scale of ten

    def has(self, names: Names, columns: Collection[str]) -> bool:
        return any(name in columns for name in names)


def marks(*alternatives: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(each.split()) for each in alternatives)


# Tried in this order.
LAYOUTS = {
    Source.SIMKL: Layout(
        marks=marks("simklid", "title lastepwatched"),
        rated_at=("rateddate", "watcheddate"),
        watched_at=("watcheddate",),
        state=("watchlist",),
    ),
    Source.TMDB: Layout(
        marks=marks("tmdbid name releasedate", "tmdbid yourrating"),
        rounded=True,
        rating=("yourrating",),
        titles=("name",),
        year=("releasedate",),
        rated_at=("daterated",),
        listed_at=("dateadded",),
    ),
    Source.IMDB: Layout(
        marks=marks("const"),
        rating=("yourrating", "yourated"),
        kind=("titletype",),
        imdb_id=("const",),
        tmdb_id=(),
        rated_at=("daterated", "created"),
        listed_at=("created", "daterated"),
        listed=frozenset(("position", "created")),
    ),
    Source.TRAKT: Layout(
        marks=marks("traktid", "trakt"),
        rated_at=("ratedat",),
        watched_at=("watchedat", "lastwatchedat", "ratedat"),
        listed_at=("listedat",),
        watched=frozenset(("watchedat", "lastwatchedat")),
        listed=frozenset(("listedat",)),
    ),
    # ratings.csv, reviews.csv and diary.csv list watched movies; the other files have no ratings.
    Source.LETTERBOXD: Layout(
        marks=marks("letterboxduri", "position name year url description", "title rating10",
                    "title watcheddate"),
        scale=5,
        titles=("name", "title"),
        rated_at=("date", "watcheddate"),
        watched_at=("watcheddate", "date"),
        listed_at=("date",),
        watched=frozenset(("rating", "rating10", "watcheddate")),
        of_ten="rating10",
    ),
    # The site's export for a member, and the public data sets.
    Source.MOVIELENS: Layout(
        marks=marks("movieid"),
        scale=5,
        movielens_id=("movieid",),
        rated_at=("timestamp",),
        watched_at=("timestamp",),
        listed_at=("timestamp",),
    ),
    Source.NETFLIX: Layout(
        marks=marks("title date"),
        exactly=True,
        watched_at=("date",),
        watched=frozenset(("date",)),
    ),
}  # fmt: skip

KNOWN = (
    "Letterboxd (ratings, diary, reviews, watched, watchlist, likes, lists, and its import layout), IMDb "
    "(ratings and lists), Trakt (ratings, history and lists), Simkl, TMDB (ratings and lists), MovieLens "
    "(ratings and wishlist), Netflix (viewing history)"
)

# Words in the names of columns that may hold the member's ratings, and known columns that do not.
_LIKE_A_RATING = (
    "rating", "rated", "score", "stars", "vote", "voto", "note", "bewertung", "wertung", "calific", "puntu",
    "valora", "avalia", "ocena", "cijfer", "betyg", "arvosana", "classificacao",
)  # fmt: skip
_NO_RATING = (
    "imdbrating", "traktrating", "averagerating", "episodetraktrating", "numvotes", "votecount",
    "voteaverage", "contentrating", "agerating", "tmdbrating", "audiencerating", "communityrating",
    "criticrating", "notes", "ratedat", "daterated", "rateddate", "numofvotes", "votes", "ratingcount",
)  # fmt: skip

_OF_ALL_MEMBERS = re.compile("imdb|^(num|nr|nb|nombre|anzahl|aantal|liczba|antal)")


def plain(name: str) -> str:
    """A column's name in lower case, without accents, of letters and digits only if it has any."""
    name = name[:LONGEST_NAME]
    return "".join(char for char in fold_case(name) if char.isalnum()) or name.strip()


def named_layout(columns: Mapping[str, str], scale: float | None) -> Layout:
    """Build a layout from the columns that a client named for its fields.

    Raises InvalidHistory if no column identifies a movie, and for ratings without a scale.
    """
    names = {field: plain(name) for field, name in columns.items()}
    if not names.keys() & {"title", "imdb_id", "tmdb_id", "movielens_id"}:
        raise InvalidHistory("`columns` names neither a title nor an id.")
    if "rating" in names and scale is None:
        raise InvalidHistory(
            "`columns` names a column of ratings: set `ratingScale` to the highest possible rating."
        )

    def of(field: str) -> Names:
        return (names[field],) if field in names else ()

    return Layout(
        marks=(frozenset(names.values()),),
        rounded=True,
        rating=of("rating"),
        titles=of("title"),
        original_titles=of("original_title"),
        year=of("year"),
        kind=of("kind"),
        imdb_id=of("imdb_id"),
        tmdb_id=of("tmdb_id"),
        movielens_id=of("movielens_id"),
        rated_at=of("rated_at"),
        watched_at=of("watched_at"),
        listed_at=of("listed_at"),
        watched=frozenset(of("watched_at")),
    )


def columns_of(header: Sequence[str]) -> dict[str, int]:
    """Indices of columns by their plain names. Of columns with equal names, the first counts."""
    return {name: place for place, name in reversed([*enumerate(map(plain, header))]) if name}


@lru_cache(1)
def _english() -> dict[str, str]:
    """English names of columns by their names in other languages, both in the form of `plain`."""
    text = files("app.ingest").joinpath("translated_columns.toml").read_text(encoding="utf-8")
    return {
        plain(name): plain(english)
        for english, names in tomllib.loads(text).items()
        for name in names.split(",")
        if name.strip()
    }


def translated(columns: Mapping[str, int]) -> dict[str, int]:
    """The columns with English names for translated ones. An English name in the header has precedence."""
    english = {name: _english().get(name, name) for name in columns}
    return {
        name if english[name] in columns else english[name]: place
        for name, place in reversed([*columns.items()])
    }


def source_of(columns: Collection[str]) -> Source | None:
    """Detect the source of a file by its header."""
    return next((source for source, layout in LAYOUTS.items() if is_of(layout, columns)), None)


def is_of(layout: Layout, columns: Collection[str]) -> bool:
    if layout.exactly:
        return any(mark == set(columns) for mark in layout.marks)
    return any(mark <= set(columns) for mark in layout.marks)


def layout_of(source: Source, columns: Collection[str]) -> Layout:
    """The layout of a source, adapted to the columns of a file.

    Raises InvalidHistory for an unknown column that may hold ratings.
    """
    layout = LAYOUTS[source]
    if layout.of_ten and layout.of_ten in columns:
        layout = replace(layout, rating=(layout.of_ten,), scale=10)
    if not layout.has(layout.rating, columns):
        doubtful = [name for name in columns if any(word in name for word in _LIKE_A_RATING)]
        doubtful = [name for name in doubtful if name not in _NO_RATING and not _OF_ALL_MEMBERS.search(name)]
        if doubtful:
            raise InvalidHistory(
                f"The column '{doubtful[0]}' may hold ratings, but {source.title()} exports do not have it. "
                "Name the columns in `columns`, or remove this one."
            )
    return layout


def shown(header: Sequence[str]) -> str:
    names = [" ".join(name.split())[:40] for name in header[:SHOWN_COLUMNS] if name.strip()]
    return ", ".join(names) + (", ..." if len(header) > SHOWN_COLUMNS else "") or "none"
