"""Films and what hangs on them: genres, people, similar films."""

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Self

import strawberry
from strawberry import relay

from app import cards
from app.cards import Card, GenreRow, PersonRow
from app.snapshot import Snapshot
from schema.context import Context, Info
from schema.cost import Cost, ListSize
from schema.cursors import Cursors, strange_cursor
from schema.node import whole_number
from schema.pagination import After, First, page_info, page_size

if TYPE_CHECKING:
    from schema.rating import Rating
    from schema.recommendation import ViewerMatch

POSTERS = "https://image.tmdb.org/t/p/w500"
SIMILAR = "similar"
MOST_SIMILAR = 300  # films that a list of similar ones goes on to


@strawberry.type(description="A genre of films.")
class Genre(relay.Node):
    id: relay.NodeID[int]
    name: str = strawberry.field(description="Its name, as filters take it.")

    @classmethod
    def of(cls, row: GenreRow) -> Self:
        return cls(id=row.id, name=row.name)

    @strawberry.field(description="How many films are of it.")
    def movie_count(self, info: Info) -> int:
        genre = info.context.snapshot.genre(self.id)
        return 0 if genre is None else genre.movie_count

    @classmethod
    def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        rows = (info.context.snapshot.genre(whole_number(key)) for key in node_ids)
        return [None if row is None else cls.of(row) for row in rows]


@strawberry.type(description="Someone who directs films or plays in them.")
class Person(relay.Node):
    id: relay.NodeID[int]
    name: str = strawberry.field(description="The name, as films credit it.")

    @classmethod
    def of(cls, row: PersonRow) -> Self:
        return cls(id=row.id, name=row.name)

    @classmethod
    def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list[Self | None]:
        known = info.context.snapshot.people.rows
        rows = (known.get(whole_number(key)) for key in node_ids)
        return [None if row is None else cls.of(row) for row in rows]


@strawberry.type(description="Someone in a film's cast.")
class CastMember:
    person: Person = strawberry.field(description="Who plays.")
    character: str | None = strawberry.field(description="Whom they play, where it is known.")


@strawberry.type(description="A film like another one.")
class SimilarMovieEdge:
    cursor: str = strawberry.field(description="Give it as `after` to continue behind this film.")
    similarity: float = strawberry.field(description="Cosine of the two films' content, at most 1.")
    node: "Movie" = strawberry.field(description="The film.")


@strawberry.type(description="A page of films like another one.")
class SimilarMovieConnection:
    edges: list[SimilarMovieEdge] = strawberry.field(description="The films, most similar first.")
    page_info: relay.PageInfo = strawberry.field(description="Where the page ends and whether more follow.")


@strawberry.type(description="A film.")
class Movie(relay.Node):
    id: relay.NodeID[int]
    title: str = strawberry.field(description="The title, in English where there is one.")
    original_title: str | None = strawberry.field(description="The title in the original language.")
    year: int | None = strawberry.field(description="Year of the first release.")
    release_date: date | None = strawberry.field(description="Day of the first release.")
    runtime_minutes: int | None = strawberry.field(description="Length in minutes.")
    overview: str | None = strawberry.field(description="What it is about.")
    original_language: str | None = strawberry.field(description="ISO 639-1 code, as `en`.")
    countries: list[str] = strawberry.field(description="ISO 3166-1 codes of where it was made, as `FR`.")
    keywords: list[str] = strawberry.field(description="What it deals with, in a word or two each.")
    collection: str | None = strawberry.field(description="The franchise it belongs to.")
    poster_url: str | None = strawberry.field(description="Address of its poster, 500 pixels wide.")
    imdb_id: strawberry.ID | None = strawberry.field(description="IMDb's id, as `tt0133093`.")
    tmdb_id: strawberry.ID | None = strawberry.field(description="TMDB's id.")
    genres: list[Genre] = strawberry.field(
        directives=[ListSize(assumed_size=3)], description="Its genres, by name."
    )
    directors: list[Person] = strawberry.field(
        directives=[ListSize(assumed_size=2)], description="Who directed it, as credited."
    )
    rating_count: int = strawberry.field(description="How many members have rated it.")
    average_rating: float | None = strawberry.field(
        default=None, description="Mean of all members' stars to two digits; null where nobody has rated it."
    )
    half_stars_sum: strawberry.Private[int]
    players: strawberry.Private[tuple[tuple[PersonRow, str | None], ...]]
    other_titles: strawberry.Private[tuple[str, ...]]

    def __post_init__(self) -> None:
        count = self.rating_count
        self.average_rating = round(self.half_stars_sum / 2 / count, 2) if count else None

    @classmethod
    def of(cls, card: Card, rating_count: int, half_stars_sum: int) -> Self:
        return cls(
            id=card.id,
            title=card.title,
            original_title=card.original_title,
            year=card.year,
            release_date=card.release_date,
            runtime_minutes=card.runtime_minutes,
            overview=card.overview,
            original_language=card.original_language,
            countries=list(card.countries),
            keywords=list(card.keywords),
            collection=card.collection,
            poster_url=poster_url(card.poster_path),
            imdb_id=None if card.imdb_id is None else strawberry.ID(card.imdb_id),
            tmdb_id=None if card.tmdb_id is None else strawberry.ID(str(card.tmdb_id)),
            genres=[Genre.of(genre) for genre in card.genres],
            directors=[Person.of(person) for person in card.directors],
            rating_count=rating_count,
            half_stars_sum=half_stars_sum,
            players=card.cast,
            other_titles=card.alternative_titles,
        )

    @classmethod
    def at(cls, snapshot: Snapshot, position: int) -> "Movie":
        """The film at a position of the snapshot; one object for all requests that ask for it there."""
        movie: Movie | None = snapshot.derived.get(position)
        if movie is None:
            count, half_stars_sum = snapshot.rating_count[position], snapshot.half_stars_sum[position]
            movie = Movie.of(snapshot.cards[position], int(count), int(half_stars_sum))
            snapshot.derived[position] = movie
        return movie

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls, *, info: Info, node_ids: Iterable[str], **_: object
    ) -> list["Movie | None"]:
        """Those in memory, and the rest in one statement."""
        ids = [whole_number(key) for key in node_ids]
        snapshot = info.context.snapshot
        places = {id_: place for id_ in ids if (place := snapshot.position(id_)) is not None}
        newer = [id_ for id_ in ids if id_ not in places]
        read = await cards.read_films(info.context.sessions, newer) if newer else {}
        found = {id_: cls.at(snapshot, place) for id_, place in places.items()}
        found |= {id_: cls.of(*film) for id_, film in read.items()}
        return [found.get(id_) for id_ in ids]

    @strawberry.field(description="Who plays in it, leading parts first.")
    def cast(self, first: First = 10) -> list[CastMember]:
        shown = self.players[: page_size("first", first)]
        return [CastMember(person=Person.of(row), character=character) for row, character in shown]

    @strawberry.field(
        description="Other titles that search finds it by: of other sources, in other languages, former ones."
    )
    def alternative_titles(self, first: First = 10) -> list[str]:
        return list(self.other_titles[: page_size("first", first)])

    @strawberry.field(
        directives=[Cost(weight=0, viewer=3)],
        description="The viewer's rating; null when signed out or not rated.",
    )
    async def viewer_rating(self, info: Info) -> Annotated["Rating", strawberry.lazy("schema.rating")] | None:
        from schema.rating import Rating  # noqa: PLC0415 - it needs Movie

        viewer = await info.context.viewer()
        rating = viewer and await info.context.loaders.ratings.load((viewer.id, self.id))
        return Rating.of(rating) if rating else None

    @strawberry.field(
        directives=[Cost(weight=1, viewer=70)],
        description="How well it fits the viewer; null when signed out, or nothing is known.",
    )
    async def viewer_match(
        self, info: Info
    ) -> Annotated["ViewerMatch", strawberry.lazy("schema.recommendation")] | None:
        from schema.recommendation import viewer_match  # noqa: PLC0415 - it needs Movie

        return await viewer_match(self, info)

    @strawberry.field(
        directives=[Cost(weight=12)],
        description="The films nearest to it by genres, people, words and language.",
    )
    async def similar(
        self,
        info: Info,
        first: First,
        after: After = None,
    ) -> SimilarMovieConnection:
        cursors = Cursors.of(info, SIMILAR, self.id)
        count, start = page_size("first", first), rank_of(cursors, after)
        end = min(start + count, MOST_SIMILAR)
        near = await info.context.loaders.similar.load((self.id, end + 1))
        snapshot = info.context.snapshot
        edges = [
            SimilarMovieEdge(
                cursor=cursors.encode(rank),
                similarity=round(neighbor.similarity, 4),
                node=Movie.at(snapshot, position),
            )
            for rank, neighbor in enumerate(near[start:end], start + 1)
            if (position := snapshot.position(neighbor.movie_id)) is not None
        ]
        return SimilarMovieConnection(
            edges=edges,
            page_info=page_info(
                edges, has_previous=start > 0, has_next=len(near) > end and end < MOST_SIMILAR
            ),
        )


async def movie_of(context: Context, movie_id: int) -> Movie | None:
    """The film from memory, or, when it has just come, from Postgres."""
    position = context.snapshot.position(movie_id)
    if position is not None:
        return Movie.at(context.snapshot, position)
    found = await cards.read_films(context.sessions, [movie_id])
    return Movie.of(*found[movie_id]) if found else None


def poster_url(path: str | None) -> str | None:
    return POSTERS + path if path and path.startswith("/") else path


def rank_of(cursors: Cursors, after: str | None) -> int:
    """How many movies come before the page. Raises BadArgument for a cursor of another list."""
    match after and cursors.decode(after):
        case None | "":
            return 0
        case (int(rank),) if 0 < rank <= MOST_SIMILAR:
            return rank
    raise strange_cursor()
