"""Promotions and hidden movies: `marquee promote` and `marquee hide`."""

from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select
from strawberry import relay

from app.activity.ratings import MovieNotFound
from app.catalog import hiding
from app.cli.database import audited, with_sessions
from app.cli.options import Json, show
from app.db.engine import Sessions
from app.db.tables import Genre, Movie
from app.recommendations.steering import promotions
from app.recommendations.steering.promotions import (
    InvalidPromotion,
    Promotion,
    PromotionKind,
    PromotionNotFound,
    PromotionPlan,
)
from app.recommendations.steering.subjects import Subject, SubjectKind, UnknownSubject
from app.settings import Settings

TIME = "%Y-%m-%d %H:%M"  # UTC
FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
SHOWN = 100
MAX_DIGITS = 18
REFUSED = (InvalidPromotion, PromotionNotFound, UnknownSubject, MovieNotFound)

MovieId = Annotated[str | None, typer.Option("--movie", help="A movie by its id, such as 5 or TW92aWU6NQ==.")]
GenreName = Annotated[str | None, typer.Option("--genre", help="A genre by its name.")]
CollectionName = Annotated[str | None, typer.Option("--collection", help="A collection by its name.")]
Start = Annotated[
    datetime | None, typer.Option("--from", formats=FORMATS, help="When it begins, in UTC; default: now.")
]
End = Annotated[
    datetime | None, typer.Option("--until", formats=FORMATS, help="When it ends, in UTC; default: 7 days.")
]

app = typer.Typer(no_args_is_help=True)
promote = typer.Typer(help="Pin or boost movies in all lists for a time.", no_args_is_help=True)
app.add_typer(promote, name="promote")


@promote.command()
def pin(
    movie: MovieId = None,
    genre: GenreName = None,
    collection: CollectionName = None,
    starts: Start = None,
    ends: End = None,
) -> None:
    """Put a movie, or the best of a genre or collection for each member, at the top of lists."""
    _begin(PromotionKind.PIN, (movie, genre, collection), None, starts, ends)


@promote.command()
def boost(
    strength: Annotated[
        float, typer.Option(help="0.1 to 5 standard deviations of the scores of a list.")
    ] = 1.0,
    movie: MovieId = None,
    genre: GenreName = None,
    collection: CollectionName = None,
    starts: Start = None,
    ends: End = None,
) -> None:
    """Rank a movie, or the movies of a genre or collection, higher."""
    _begin(PromotionKind.BOOST, (movie, genre, collection), strength, starts, ends)


@promote.command("list")
def list_promotions(json: Json = False) -> None:
    """List the newest promotions."""

    async def read(sessions: Sessions, _: Settings) -> list[tuple[Promotion, str]]:
        found = await promotions.page(sessions, SHOWN, None)
        names = [await _name(sessions, each.subject) for each in found]
        return list(zip(found, names, strict=True))

    found = with_sessions(read, *REFUSED)
    now = datetime.now(UTC)
    if json:
        show([asdict(each) | {"live": each.live(now)} for each, _ in found], json=True)
        return
    table = Table("id", "kind", "of", "from", "until", "", box=None, pad_edge=False)
    for each, name in found:
        state = "withdrawn" if each.withdrawn_at else "live" if each.live(now) else ""
        kind = each.kind.lower() if each.strength is None else f"{each.kind.lower()} {each.strength:g}"
        times = (time.strftime(TIME) for time in (each.starts_at, each.ends_at))
        table.add_row(str(each.id), kind, name, *times, state)
    Console(markup=False, highlight=False).print(table)


@promote.command()
def withdraw(promotion: Annotated[int, typer.Argument(metavar="ID", help="Of `promote list`.")]) -> None:
    """End a promotion now."""
    audited(
        "withdrawPromotion",
        {"promotionId": promotion},
        lambda sessions, _: promotions.withdraw(sessions, promotion),
        *REFUSED,
    )
    show(f"Promotion {promotion} is withdrawn.", json=False)


@app.command()
def hide(
    movies: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Movies, such as 5 or TW92aWU6NQ==.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Show them again.")] = False,
) -> None:
    """Hide movies from all lists without deleting them; without an id, list the hidden ones."""

    async def change(sessions: Sessions, _: Settings) -> list[tuple[int, str]]:
        ids = [_movie_id(each) for each in movies or ()]
        for movie_id in ids:
            await hiding.store_hidden(sessions, movie_id, hidden=not undo)
        hidden = await hiding.hidden_movies(sessions, SHOWN, None)
        return [(id_, await _name(sessions, Subject(SubjectKind.MOVIE, id_))) for id_ in hidden]

    noted = {"movieIds": movies, "hidden": not undo}
    found = audited("setMovieHidden", noted, change, *REFUSED) if movies else with_sessions(change, *REFUSED)
    lines = [f"{id_}  {name}" for id_, name in found]
    show("\n".join(["Hidden from all lists:", *lines]) if lines else "No movie is hidden.", json=False)


def _begin(
    kind: PromotionKind,
    given: tuple[str | None, str | None, str | None],
    strength: float | None,
    starts: datetime | None,
    ends: datetime | None,
) -> None:
    if sum(each is not None for each in given) != 1:
        raise typer.BadParameter("name one of --movie, --genre and --collection.")
    times = [None if time is None else time.replace(tzinfo=UTC) for time in (starts, ends)]

    async def begin(sessions: Sessions, _: Settings) -> Promotion:
        subject = await _subject(sessions, *given)
        return await promotions.begin(sessions, None, PromotionPlan(kind, subject, strength, *times))

    noted = {
        **dict(zip(("movie", "genre", "collection"), given, strict=True)),
        **{name: time and time.isoformat() for name, time in zip(("startsAt", "endsAt"), times, strict=True)},
        "kind": kind.value,
        "strength": strength,
    }
    begun = audited("promote", noted, begin, *REFUSED)
    show(f"Promotion {begun.id} is stored; it ends {begun.ends_at.strftime(TIME)} UTC.", json=False)


async def _subject(
    sessions: Sessions, movie: str | None, genre: str | None, collection: str | None
) -> Subject:
    """The subject with this name. Raises UnknownSubject."""
    if movie is not None:
        return Subject(SubjectKind.MOVIE, _movie_id(movie))
    async with sessions() as session:
        if genre is not None:
            query = select(Genre.id).where(func.lower(Genre.name) == genre.lower())
            if (id_ := await session.scalar(query)) is not None:
                return Subject(SubjectKind.GENRE, id_)
            raise UnknownSubject(f"The catalog has no genre {genre!r}.")
        assert collection is not None
        named = select(Movie.collection).where(func.lower(Movie.collection) == collection.lower()).limit(1)
        if (name := await session.scalar(named)) is not None:
            return Subject(SubjectKind.COLLECTION, name=name)
    raise UnknownSubject(f"The catalog has no collection {collection!r}.")


async def _name(sessions: Sessions, subject: Subject) -> str:
    """The name of a subject in a table."""
    if subject.id is None:
        return subject.name or ""
    column, key = (Movie.title, Movie.id) if subject.kind is SubjectKind.MOVIE else (Genre.name, Genre.id)
    async with sessions() as session:
        return await session.scalar(select(column).where(key == subject.id)) or ""


def _movie_id(given: str) -> int:
    """The id of a movie, given as a number or as in the API. Raises UnknownSubject."""
    with suppress(relay.GlobalIDValueError):
        kind, key = ("Movie", given) if given.isdigit() else relay.from_base64(given)
        if kind == "Movie" and key.isascii() and key.isdigit() and len(key) <= MAX_DIGITS:
            return int(key)
    raise UnknownSubject(f"{given!r} is not the id of a movie.")
