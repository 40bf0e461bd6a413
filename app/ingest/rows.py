"""Read one row of an imported file: the ids and titles of its movie, its rating, contents and date."""

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, Self

from app.ingest.layouts import InvalidHistory, Layout, Source
from app.ingest.values import (
    LONGEST_VALUE,
    Day,
    day_of,
    half_stars_in,
    imdb_id_of,
    is_movie,
    is_rated,
    number,
    year_of,
)

LONGEST_TITLE = 300
LONGEST_SHOWN = 200
UNNAMED = (
    "The file has movies without a rating, and its header does not show whether they are watched, liked or "
    "on a watchlist: set `contents` to WATCHED, LIKED or WATCHLIST."
)


class Contents(enum.StrEnum):
    """The meaning of a row without a rating."""

    WATCHED = "WATCHED"
    WATCHLIST = "WATCHLIST"
    LIKED = "LIKED"


# Sites' names for the state of a movie in a member's list; None for a state that is not stored.
STATES = {
    "completed": Contents.WATCHED,
    "watched": Contents.WATCHED,
    "liked": Contents.LIKED,
    "plantowatch": Contents.WATCHLIST,
    "plan to watch": Contents.WATCHLIST,
    "watching": None,
    "hold": None,
    "on hold": None,
    "onhold": None,
    "dropped": None,
    "notinteresting": None,
}


class DateOrder(enum.StrEnum):
    DAY_FIRST = "DAY_FIRST"
    MONTH_FIRST = "MONTH_FIRST"


@dataclass(frozen=True, slots=True)
class Row:
    """A movie that a member rated, or, without `half_stars`, marked as `contents`.

    `at` is when they did; None if it is missing or unreadable. `nameless` is the reason why the title cannot
    identify the movie. `fault` is the reason why the row is not stored.
    """

    line: int
    titles: tuple[str, ...]
    year: int | None
    imdb_id: str | None
    tmdb_id: int | None
    movielens_id: int | None
    half_stars: int | None = None
    contents: Contents | None = None
    at: datetime | None = None
    unread_day: str = ""
    nameless: str = ""
    fault: str = ""
    file: str | None = None
    rank: int = 0  # of two ratings, the one of the higher rank counts
    foreign: bool = False  # whether `movielens_id` may be another site's id

    @property
    def shown(self) -> str:
        name = self.titles[0] if self.titles else self.imdb_id or self.tmdb_id or self.movielens_id
        return f"{name}{f' ({self.year})' if self.year else ''}"[:LONGEST_SHOWN]

    @property
    def has_id(self) -> bool:
        return bool(self.imdb_id or self.tmdb_id or self.movielens_id)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that is not stored, and the reason."""

    line: int
    shown: str
    reason: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    source: Source
    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Order:
    """Options of a client for reading a file; None for what the file shows."""

    source: Source | None = None
    contents: Contents | None = None
    date_order: DateOrder | None = None
    scale: float | None = None
    layout: Layout | None = None  # of the columns that the client named
    file: str | None = None
    rank: int = 0


class Values(Protocol):
    def __call__(self, names: Sequence[str]) -> str:
        """The first value of the named columns that is not empty."""


@dataclass(slots=True)
class Reader:
    """Reads the rows of a layout. `contents` applies to rows that have neither a rating nor a state."""

    layout: Layout
    columns: frozenset[str]
    contents: Contents | None
    now: datetime
    scale: float
    day_first: bool | None = None
    file: str | None = None
    rank: int = 0
    member: str | None = None  # `userId` of the rows so far: a data set has many

    @classmethod
    def of(cls, layout: Layout, columns: Collection[str], order: Order, now: datetime) -> Self:
        contents = order.contents
        if contents is None and not layout.watched.isdisjoint(columns):
            contents = Contents.WATCHED
        return cls(
            layout=layout,
            columns=frozenset(columns),
            contents=contents,
            now=now,
            scale=order.scale or layout.scale,
            day_first=None if order.date_order is None else order.date_order is DateOrder.DAY_FIRST,
            file=order.file,
            rank=order.rank,
        )

    def row(self, line: int, values: Mapping[str, str]) -> Row | str:
        """Read a row, or return the reason why it names no movie. Raises InvalidHistory."""

        def value(names: Sequence[str]) -> str:
            return next((found for name in names if (found := values.get(name, "").strip())), "")

        layout = self.layout
        titles = tuple(dict.fromkeys(filter(None, (value(layout.titles), value(layout.original_titles)))))
        if any(len(title) > LONGEST_TITLE for title in titles):
            return f"Its title has more than {LONGEST_TITLE} characters."
        if any("\0" in title for title in titles):
            return "Its title has a NUL character."
        short = (value(names)[: LONGEST_VALUE + 1] for names in (layout.year, layout.kind, layout.imdb_id))
        year, kind, imdb_id = short
        self.require_same_member(line, value(("userid",)))
        # The ids in an episode's row are those of its series.
        is_part = bool(value(("seasonnumber", "episodenumber", "episode"))) or kind in ("episode", "season")
        if is_part and layout.imdb_id != ("const",):
            imdb_id = value(("episodeimdbid",))[:LONGEST_VALUE]
        movie = is_movie(kind) and not is_part
        row = Row(
            line=line,
            titles=titles,
            year=year_of(year),
            imdb_id=imdb_id_of(imdb_id),
            # TMDB numbers series separately, so a series may have the id of a movie.
            tmdb_id=number(value(layout.tmdb_id)) if movie else None,
            movielens_id=number(value(layout.movielens_id)),
            file=self.file,
            rank=self.rank,
            nameless="" if movie else f"It is not a movie ({kind[:LONGEST_VALUE] or 'an episode'}).",
        )
        if not row.titles and not row.has_id:
            return row.nameless or "It has neither a title nor an id."
        # MovieLens's own files have titles only together with other ids.
        if row.movielens_id and not self.columns & {"imdbid", "tmdbid"}:
            row = replace(row, foreign=True)
        if movie and year and row.year is None:
            row = replace(row, nameless=f"{year[:LONGEST_VALUE]} is not a year.")
        return self.with_contents(row, value)

    def require_same_member(self, line: int, member: str) -> None:
        if self.member not in (None, member):
            raise InvalidHistory(
                f"Line {line} is of a different user than the lines before: send only your own rows."
            )
        self.member = member

    def with_contents(self, row: Row, value: Values) -> Row:
        """The row with its rating or contents, or with its fault. Raises InvalidHistory."""
        layout = self.layout
        rating = value(layout.rating)[: LONGEST_VALUE + 1]
        if is_rated(rating):
            half_stars = half_stars_in(rating, self.scale, rounded=layout.rounded)
            if half_stars is None:
                return replace(row, fault=f"{rating[:LONGEST_VALUE]} is not a rating on the scale.")
            return self.dated(replace(row, half_stars=half_stars), value(layout.rated_at))
        contents, state = self.contents, value(layout.state).casefold()
        if state in STATES:
            contents = STATES[state]
            if contents is None:
                return replace(row, fault=f"It is neither watched to the end nor planned, but '{state}'.")
        if contents is None:
            if self.columns & layout.listed or not layout.has(layout.rating, self.columns):
                raise InvalidHistory(UNNAMED)
            return replace(row, fault="It has no rating.")
        days = (layout.listed_at, layout.rated_at, layout.watched_at)
        if contents is Contents.WATCHED:
            days = (layout.watched_at, layout.listed_at, layout.rated_at)
        return self.dated(replace(row, contents=contents), value([name for names in days for name in names]))

    def dated(self, row: Row, text: str) -> Row:
        day = day_of(text, self.now)
        time = day and self.time_of(day)
        return replace(row, at=time) if time else replace(row, unread_day=text[:LONGEST_VALUE])

    def time_of(self, day: Day) -> datetime | None:
        if day.month_first is None:
            return day.time
        if self.day_first is None:
            return None
        return day.time if self.day_first else day.month_first

    def days(self, values: Mapping[str, str]) -> set[bool]:
        """The orders of day and month that the dates of a row show: True for day first."""
        layout = self.layout
        names = {*layout.rated_at, *layout.watched_at, *layout.listed_at} & self.columns
        texts = (values.get(name, "").strip() for name in names)
        # Most files write the year first, which shows no order.
        days = (day_of(text, self.now) for text in texts if text and not text[:4].isdigit())
        return {day.day_first for day in days if day and day.day_first is not None}
