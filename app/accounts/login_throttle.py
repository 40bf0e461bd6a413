"""Throttle password guessing without locking out the account's owner.

Each wrong password uses up one of a few attempts, which are restored over time, by the algorithm of
`app/web/gcra.py`. A right password gives back its attempt. Limits are

- for an account from one network: a member who mistypes waits for seconds, and only there;
- for a network, over all accounts. It does not apply to a member who has signed in from that network before.

There is no limit for an account over all networks: anyone could use it to lock the owner out. Unknown
accounts are counted like existing ones, so that the response does not reveal whether an account exists.
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
from app.web import gcra
from app.web.client import Client

ACCOUNT_PACE = timedelta(seconds=30)  # to restore one attempt
NETWORK_PACE = timedelta(seconds=6)
KNOWN_FOR = timedelta(days=180)

TAKE = text(gcra.POSTGRES)
WAIT = text(
    "SELECT extract(epoch FROM forgotten_at + :seconds - :burst - clock_timestamp()) FROM sign_in_attempts "
    "WHERE key = sha256(convert_to(:counted, 'UTF8'))"
)
GIVE_BACK = text(
    "UPDATE sign_in_attempts SET forgotten_at = forgotten_at - :pace "
    "WHERE key = sha256(convert_to(:counted, 'UTF8'))"
)
FORGET = text("DELETE FROM sign_in_attempts WHERE key = sha256(convert_to(:counted, 'UTF8'))")
# Expired rows are deleted in small batches on each call; there is no clean-up job.
CLEAN = text(
    """
    DELETE FROM sign_in_attempts WHERE key IN (
        SELECT key FROM sign_in_attempts WHERE forgotten_at < clock_timestamp()
        ORDER BY forgotten_at LIMIT 10 FOR UPDATE SKIP LOCKED)
    """
)


class TooManyAttempts(Exception):
    """An expected failure; its message is shown to the client."""

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"Too many wrong passwords: try again in {wait_seconds} seconds.")
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` attempts at once; each `pace` restores one."""

    counted: str
    most: int
    pace: timedelta

    @property
    def burst(self) -> timedelta:
        """The time to restore all attempts."""
        return self.pace * self.most


def limits_of(settings: Settings, username: str, network: str, *, known: bool) -> list[Limit]:
    of_account = Limit(f"{usernames.key(username)} {network}", settings.sign_in_tries, ACCOUNT_PACE)
    of_network = Limit(f" {network}", settings.sign_in_tries_per_address, NETWORK_PACE)
    return [of_account] if known else [of_account, of_network]


async def take(sessions: Sessions, settings: Settings, username: str, client: Client) -> None:
    """Use up an attempt before the password is verified. Raises TooManyAttempts, and then uses up none.

    `username` is normalized, except for its case; "" for one that no account can have.
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
        for limit in limits_of(settings, username, network, known=is_known):
            params = {"counted": limit.counted, "seconds": limit.pace, "burst": limit.burst}
            if await session.scalar(TAKE, params) is None:
                wait = await session.scalar(WAIT, params)
                raise TooManyAttempts(max(1, math.ceil(wait or 0)))
        await session.execute(CLEAN)


async def succeeded(
    session: AsyncSession, settings: Settings, user_id: int, username: str, client: Client
) -> None:
    """Reset the limits after a right password, and remember its network."""
    of_account, of_network = limits_of(settings, username, client.network, known=False)
    await session.execute(FORGET, {"counted": of_account.counted})
    await session.execute(GIVE_BACK, {"counted": of_network.counted, "pace": of_network.pace})
    await remember(session, user_id, client)


async def remember(session: AsyncSession, user_id: int, client: Client) -> None:
    """Remember that a member signed in from this network, and forget networks of long ago."""
    of_member = KnownNetwork.user_id == user_id
    await session.execute(
        delete(KnownNetwork).where(of_member, KnownNetwork.last_seen_at < func.now() - KNOWN_FOR)
    )
    seen = insert(KnownNetwork).values(user_id=user_id, network=client.network)
    key = [KnownNetwork.user_id, KnownNetwork.network]
    await session.execute(seen.on_conflict_do_update(index_elements=key, set_={"last_seen_at": func.now()}))
