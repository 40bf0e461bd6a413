"""Members with ratings, and what their home pages show."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select

from app.db import activity_tables, tables
from app.db.engine import Sessions
from app.recommendations import home
from app.recommendations.shelves import Shelf, ShelfKind
from app.serving.live import ServingState
from app.serving.model import Model

NOW = datetime.now(UTC)


async def add_member(sessions: Sessions, stars: dict[int, float], age: timedelta = timedelta()) -> int:
    """A member with ratings of these movies and this age."""
    added = insert(tables.User).values(username=f"ada{len(stars)}-{age.days}").returning(tables.User.id)
    async with sessions.begin() as session:
        user_id = (await session.scalars(added)).one()
        rows = [
            {"user_id": user_id, "movie_id": id_, "half_stars": round(given * 2), "rated_at": NOW - age}
            for id_, given in stars.items()
        ]
        if rows:
            await session.execute(insert(activity_tables.Rating), rows)
    return user_id


async def known_movies(sessions: Sessions, n: int) -> list[int]:
    """The most rated movies."""
    most = select(tables.MovieStats.movie_id).order_by(tables.MovieStats.rating_count.desc()).limit(n)
    async with sessions() as session:
        return list((await session.scalars(most)).all())


async def shown(
    sessions: Sessions,
    served: ServingState,
    model: Model,
    user_id: int | None,
    count: int = 8,
    per_shelf: int = 24,
) -> home.HomePage:
    return await home.home(
        sessions, served.snapshot, model, user_id, count=count, per_shelf=per_shelf, now=datetime.now(UTC)
    )


def of_kind(page: home.HomePage, kind: ShelfKind) -> Shelf:
    return next(shelf for shelf in page.shelves if shelf.kind is kind)


def movies(page: home.HomePage, shelf: Shelf, first: int = 24) -> list[int]:
    return [pick.movie_id for pick, _ in page.page(shelf, first).picks]


def neighbours(model: Model, movie_id: int) -> list[int]:
    item_idx, _ = model.hybrid.similar(int(model.item_idx([movie_id])[0]), k=30)
    found: list[int] = model.hybrid.item_ids[item_idx].tolist()
    return found
