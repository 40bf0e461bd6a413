"""Guessing passwords is slow, for those who guess and for nobody else.

Each wrong password uses up one of a few tries, which come back with time (the generic cell rate algorithm:
one time stamp for each count, in Postgres, so that it holds across processes). Tries are counted

- for an account from one network: a member who mistypes waits seconds, and only there;
- for a network, over all accounts; a member who has signed in from it before is not kept out by others there.

There is none for an account from everywhere: it would let anyone lock its owner out. An account that does not
exist is counted like one that does, so that the answer tells nothing.
"""

import math
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import usernames
from app.db.account_tables import KnownNetwork
from app.db.engine import Sessions
from app.db.tables import User
from app.settings import Settings
from app.web.client import Client

ACCOUNT_PACE = timedelta(seconds=30)  # after which one more try is given
NETWORK_PACE = timedelta(seconds=6)
KNOWN_FOR = timedelta(days=180)

TAKE = text(
    """
    INSERT INTO sign_in_attempts AS counted (key, forgotten_at)
    VALUES (sha256(convert_to(:counted, 'UTF8')), clock_timestamp() + :pace)
    ON CONFLICT (key) DO UPDATE
    SET forgotten_at = greatest(counted.forgotten_at, clock_timestamp()) + :pace
    WHERE counted.forgotten_at <= clock_timestamp() + :room
    RETURNING 1
    """
)
WAIT = text(
    "SELECT extract(epoch FROM forgotten_at - :room - clock_timestamp()) FROM sign_in_attempts "
    "WHERE key = sha256(convert_to(:counted, 'UTF8'))"
)
GIVE_BACK = text(
    "UPDATE sign_in_attempts SET forgotten_at = forgotten_at - :pace "
    "WHERE key = sha256(convert_to(:counted, 'UTF8'))"
)
FORGET = text("DELETE FROM sign_in_attempts WHERE key = sha256(convert_to(:counted, 'UTF8'))")
# A few at a time, by whoever comes: there is no job to run.
CLEAN = text(
    """
    DELETE FROM sign_in_attempts WHERE key IN (
        SELECT key FROM sign_in_attempts WHERE forgotten_at < clock_timestamp()
        ORDER BY forgotten_at LIMIT 10 FOR UPDATE SKIP LOCKED)
    """
)


class TooManyAttempts(Exception):
    """An expected outcome; its message is for the caller."""

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"Too many wrong passwords: try again in {wait_seconds} seconds.")
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class Tries:
    """`most` tries at once, and one more after each `pace`."""

    counted: str
    most: int
    pace: timedelta

    @property
    def room(self) -> timedelta:
        return self.pace * (self.most - 1)


def tries_of(settings: Settings, username: str, network: str, *, known: bool) -> list[Tries]:
    of_account = Tries(f"{usernames.key(username)} {network}", settings.sign_in_tries, ACCOUNT_PACE)
    of_network = Tries(f" {network}", settings.sign_in_tries_per_address, NETWORK_PACE)
    return [of_account] if known else [of_account, of_network]


async def take(sessions: Sessions, settings: Settings, username: str, client: Client) -> None:
    """Use up a try before the password is looked at. Raises TooManyAttempts, and then uses up none.

    `username` is normalized, in any case; "" for one that no account can have.
    """
    network = client.network
    known = (
        select(KnownNetwork.user_id)
        .join(User, User.id == KnownNetwork.user_id)
        .where(usernames.named(username), KnownNetwork.network == network)
        .where(KnownNetwork.last_seen_at > func.now() - KNOWN_FOR)
    )
    async with sessions.begin() as session:
        is_known = await session.scalar(known) is not None
        for tries in tries_of(settings, username, network, known=is_known):
            taking = {"counted": tries.counted, "pace": tries.pace, "room": tries.room}
            if await session.scalar(TAKE, taking) is None:
                wait = await session.scalar(WAIT, {"counted": tries.counted, "room": tries.room})
                raise TooManyAttempts(max(1, math.ceil(wait or 0)))
        await session.execute(CLEAN)


async def succeeded(
    session: AsyncSession, settings: Settings, user_id: int, username: str, client: Client
) -> None:
    """The password was right: nothing counts against it, and its network is known from now on."""
    of_account, of_network = tries_of(settings, username, client.network, known=False)
    await session.execute(FORGET, {"counted": of_account.counted})
    await session.execute(GIVE_BACK, {"counted": of_network.counted, "pace": of_network.pace})
    await remember(session, user_id, client)


async def remember(session: AsyncSession, user_id: int, client: Client) -> None:
    mine = KnownNetwork.user_id == user_id
    await session.execute(
        delete(KnownNetwork).where(mine, KnownNetwork.last_seen_at < func.now() - KNOWN_FOR)
    )
    seen = insert(KnownNetwork).values(user_id=user_id, network=client.network)
    key = [KnownNetwork.user_id, KnownNetwork.network]
    await session.execute(seen.on_conflict_do_update(index_elements=key, set_={"last_seen_at": func.now()}))
