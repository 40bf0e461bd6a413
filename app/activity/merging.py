"""Take over what a visitor liked, or all that a member of another system did, into an account: once.

Where both have an opinion on a movie, the account keeps what it said last. A rating outranks one that was
inferred from watching, and the later of two ratings counts. A visitor's choices have no time, so that they
count only for movies on which the account has no opinion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import access_tokens, external_members, personal_data
from app.accounts.access_tokens import secret_key
from app.activity import ratings
from app.db.account_tables import MergedVisitor
from app.db.engine import Sessions
from app.db.stream_tables import ExternalMember
from app.db.tables import MovieStats, User
from app.settings import Settings

MAX_CHOICES = 500
MAX_VISITOR_ID_LENGTH = 200
CODE_LIFE = timedelta(minutes=10)
CODE_AUDIENCE = "merge"  # access tokens have none, so that neither is taken for the other
LONGEST_CODE = 2_000  # characters; ours have about 300

CHOOSE = text(
    """
    INSERT INTO feedback (user_id, movie_id, kind, occurred_at, idempotency_key)
    SELECT :user_id, movies.id, CASE WHEN movies.id = ANY(:likes) THEN 'LIKE' ELSE 'DISLIKE' END, now(),
        'merged:' || movies.id
    FROM movies WHERE movies.id = ANY(CAST(:likes AS bigint[]) || CAST(:dislikes AS bigint[]))
        AND NOT EXISTS (SELECT FROM ratings WHERE user_id = :user_id AND movie_id = movies.id)
        AND NOT EXISTS (SELECT FROM feedback WHERE user_id = :user_id AND movie_id = movies.id
            AND kind IN ('LIKE', 'DISLIKE', 'NOT_INTERESTED'))
    ORDER BY movies.id
    ON CONFLICT (user_id, idempotency_key) DO NOTHING
    RETURNING id
    """
)
RATINGS_OF_OLD = """
SELECT :user_id, movie_id, half_stars, rated_at, implicit, first_rated_at FROM ratings
WHERE user_id = :old_id ORDER BY movie_id
"""
LATER = """
CASE WHEN known.implicit = excluded.implicit THEN excluded.rated_at > known.rated_at ELSE known.implicit END
"""
TAKE_RATINGS = text(ratings.upsert(RATINGS_OF_OLD, replaces=LATER) + "RETURNING movie_id")
# Of two progress reports on a movie the furthest is kept, as by streams.
TAKE_EVENTS = text(
    """
    INSERT INTO feedback AS known
        (user_id, movie_id, kind, request_id, position, watched_fraction, occurred_at, idempotency_key)
    SELECT :user_id, movie_id, kind, request_id, position, watched_fraction, occurred_at, idempotency_key
    FROM feedback WHERE user_id = :old_id ORDER BY id
    ON CONFLICT (user_id, idempotency_key) DO UPDATE
    SET watched_fraction = excluded.watched_fraction, received_at = now()
    WHERE known.kind = 'WATCH' AND excluded.watched_fraction > coalesce(known.watched_fraction, -1)
    RETURNING id
    """
)
TAKE_GENRES = text(
    """
    INSERT INTO favorite_genres (user_id, genre_id, position)
    SELECT :user_id, genre_id, position FROM favorite_genres WHERE user_id = :old_id
        AND NOT EXISTS (SELECT FROM favorite_genres WHERE user_id = :user_id)
    """
)
TAKE_IDS = text("UPDATE external_members SET user_id = :user_id WHERE user_id = :old_id")
TAKE_LETTERS = text("UPDATE dead_letters SET user_id = :user_id WHERE user_id = :old_id")
RATED = text("SELECT movie_id FROM ratings WHERE user_id = ANY(:user_ids)")
DELETE = text("DELETE FROM users WHERE id = :old_id")


class InvalidMerge(Exception):
    """An expected failure; its message is shown to the client."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The rows that an account took over. `already`: none, since it took this member over before."""

    already: bool = False
    choices: int = 0
    ratings: int = 0
    events: int = 0


async def merge_choices(
    sessions: Sessions, user_id: int, visitor_id: str, likes: Sequence[int], dislikes: Sequence[int]
) -> Merged:
    """Take over a visitor's choices, once for each id of a visitor. Unknown movies are left out.

    Raises InvalidMerge.
    """
    if not (0 < len(visitor_id) <= MAX_VISITOR_ID_LENGTH and visitor_id.isprintable()):
        raise InvalidMerge(
            f"The id of the visitor must have 1 to {MAX_VISITOR_ID_LENGTH} printable characters."
        )
    if len(likes) + len(dislikes) > MAX_CHOICES:
        raise InvalidMerge(f"A visitor has at most {MAX_CHOICES} likes and dislikes: send the latest ones.")
    if both := set(likes) & set(dislikes):
        raise InvalidMerge(f"{len(both)} of the movies are liked and disliked: send each in one list.")
    note = insert(MergedVisitor).values(user_id=user_id, visitor_id=visitor_id)
    async with sessions.begin() as session:
        noted = await session.execute(note.on_conflict_do_nothing().returning(MergedVisitor.user_id))
        if noted.one_or_none() is None:
            return Merged(already=True)
        params = {"user_id": user_id, "likes": list(likes), "dislikes": list(dislikes)}
        return Merged(choices=len((await session.execute(CHOOSE, params)).all()))


async def merge_external(sessions: Sessions, user_id: int, source: str, external_id: str) -> Merged:
    """Take over all that a member of another system did, and delete that member.

    The external id, and those merged into it before, then name the account. Raises InvalidMerge.
    """
    async with sessions.begin() as session:
        old_id = await session.scalar(
            select(ExternalMember.user_id)
            .where(ExternalMember.source == source, ExternalMember.external_id == external_id)
            .with_for_update()
        )
        if old_id == user_id:
            return Merged(already=True)
        members = await locked(session, user_id, old_id or 0)
        old = members.get(old_id or 0)
        if old is None or user_id not in members:
            raise InvalidMerge("There is no such member: nothing was done under this id.")
        if old.password_hash is not None or old.source != source:
            raise InvalidMerge("The member was merged into another account before.")
        merged = await take_over(session, user_id, old.id)
        await personal_data.clear_traces(session, old.id, old.username)
        await session.execute(DELETE, {"old_id": old.id})
    return merged


async def locked(session: AsyncSession, *user_ids: int) -> dict[int, User]:
    """The members with these ids, locked in one order, as are the statistics of the movies they rated."""
    users = select(User).where(User.id.in_(user_ids)).order_by(User.id).with_for_update()
    found = {user.id: user for user in await session.scalars(users)}
    rated = (await session.scalars(RATED, {"user_ids": list(user_ids)})).all()
    stats = select(MovieStats.movie_id).where(MovieStats.movie_id.in_(set(rated)))
    await session.execute(stats.order_by(MovieStats.movie_id).with_for_update())
    return found


async def take_over(session: AsyncSession, user_id: int, old_id: int) -> Merged:
    ids = {"user_id": user_id, "old_id": old_id}
    rated = len((await session.execute(TAKE_RATINGS, ids)).all())
    events = len((await session.execute(TAKE_EVENTS, ids)).all())
    for statement in (TAKE_GENRES, TAKE_IDS, TAKE_LETTERS):
        await session.execute(statement, ids)
    return Merged(ratings=rated, events=events)


async def make_code(sessions: Sessions, settings: Settings, user_id: int) -> tuple[str, datetime]:
    """A code that lets an account take over this member of another system, and when it expires.

    Raises InvalidMerge for another member.
    """
    pairs = (
        select(ExternalMember.source, ExternalMember.external_id)
        .join(User, User.id == ExternalMember.user_id)
        .where(User.id == user_id, User.password_hash.is_(None), User.source == ExternalMember.source)
        .order_by(ExternalMember.first_seen_at, ExternalMember.external_id)
        .limit(1)
    )
    async with sessions() as session:
        pair = (await session.execute(pairs)).one_or_none()
    if pair is None:
        raise InvalidMerge("Only a member of another system can be merged into an account.")
    expires_at = datetime.now(UTC).replace(microsecond=0) + CODE_LIFE
    claims = {"source": pair.source, "member": pair.external_id, "aud": CODE_AUDIENCE, "exp": expires_at}
    return jwt.encode(claims, secret_key(settings), algorithm=access_tokens.ALGORITHM), expires_at


def pair_in(settings: Settings, code: str) -> external_members.Pair:
    """The source and external id of a code. Raises InvalidMerge."""
    try:
        claims = jwt.decode(
            code[: LONGEST_CODE + 1],  # a longer one is cut, and is not valid then
            secret_key(settings),
            algorithms=[access_tokens.ALGORITHM],
            audience=CODE_AUDIENCE,
            options={"require": ["exp", "aud", "source", "member"]},
        )
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError):
        minutes = CODE_LIFE // timedelta(minutes=1)
        raise InvalidMerge(
            f"The code is not valid: `createMergeCode` makes one, for {minutes} minutes."
        ) from None
    return str(claims["source"]), str(claims["member"])
