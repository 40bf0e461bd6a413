"""Rate limits: requests, operations and cost of a client per minute.

They use the generic cell rate algorithm of `app/web/gcra.py`. The timestamps are in Redis, where all
processes share them, or else in this process.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, Self

from redis.asyncio import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from app.settings import Settings
from app.web import gcra, redis_address
from app.web.gcra import ALMOST
from app.web.redis_address import Client

MINUTE = 60.0
MAX_COUNTERS = 100_000  # in one process; the least recently used are dropped
REDIS_SECONDS = 0.5  # longest to wait for Redis
RETRY_SECONDS = 1.0  # between two requests that try a Redis that did not answer

# The settings of the limits, and their descriptions in messages.
REQUESTS = ("REQUESTS_PER_MINUTE", "requests per minute from an address")
OPERATIONS = ("OPERATIONS_PER_MINUTE", "operations per minute")
COST = ("COST_PER_MINUTE", "of cost per minute")
KEY_OPERATIONS = ("KEY_OPERATIONS_PER_MINUTE", "operations per minute of a key for all its members")
KEY_COST = ("KEY_COST_PER_MINUTE", "of cost per minute of a key for all its members")

log = logging.getLogger("marquee.rates")


class Charge(NamedTuple):
    """`amount` of a client's quota of `per_minute` for `setting`. `what` describes the quota in messages."""

    setting: str
    what: str
    client: str
    amount: int
    per_minute: int

    @property
    def key(self) -> str:
        return f"marquee:{self.setting}:{self.client}"

    @property
    def seconds(self) -> float:
        """The seconds of the counter's minute that the charge fills, at most all of it."""
        return MINUTE * min(self.amount / self.per_minute, 1)

    @property
    def owed_seconds(self) -> float:
        """The seconds that an amount already used fills, without a maximum."""
        return MINUTE * self.amount / self.per_minute


@dataclass(frozen=True, slots=True)
class Payer:
    """The client that an operation is charged to: a member, an API key or an address.

    `key` is the API key that acts for the member, which is charged too; '' for none.
    """

    client: str
    key: str = ""


class Left(NamedTuple):
    """A client's remaining quota: `filled` seconds of a minute are used.

    `wait`: the seconds until there is enough for a refused charge; None for counters that allowed theirs.
    """

    charge: Charge
    filled: float
    wait: int | None = None

    @property
    def remaining(self) -> int:
        per_minute = self.charge.per_minute
        return max(0, int(per_minute * (MINUTE - self.filled) / MINUTE + ALMOST))

    @property
    def seconds(self) -> int:
        """The seconds until the quota is restored."""
        return math.ceil(max(0.0, self.filled - ALMOST)) if self.wait is None else self.wait

    @property
    def policy(self) -> str:
        return policy_of(self.charge.setting)


@cache
def policy_of(setting: str) -> str:
    return setting.partition("_")[0].lower()


class RateLimited(Exception):
    """An expected failure; its message is shown to the client.

    `filled`: the filled seconds of each counter, from which `left` is computed.
    """

    def __init__(self, charge: Charge, wait_seconds: float, filled: Sequence[float] = ()) -> None:
        self.charge = charge
        self.filled = filled
        self.left: list[Left] = []
        self.wait_seconds = max(1, math.ceil(wait_seconds))
        again = "a second" if self.wait_seconds == 1 else f"{self.wait_seconds:,} seconds"
        super().__init__(
            f"The limit is {charge.per_minute:,} {charge.what}, and {charge.amount:,} more were requested: "
            f"retry in {again}."
        )


PER_MINUTE = attrgetter("per_minute")


class Counters(Protocol):
    async def take(self, charges: Sequence[Charge], *, owed: bool = False) -> list[float]:
        """Charge all counters or none. Returns the filled seconds of each counter; 60 is full.

        Raises RateLimited if a quota is exceeded, unless the charges are `owed`.
        """


class ProcessCounters:
    """Timestamps of this process's clock by setting and client; at most MAX_COUNTERS."""

    def __init__(self) -> None:
        self.filled: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def take(self, charges: Sequence[Charge], *, owed: bool = False) -> list[float]:
        now, stored = time.monotonic(), self.filled
        counters, seconds = [], []
        for setting, _, client, amount, per_minute in charges:
            counters.append(stored.get((setting, client), now))
            seconds.append(MINUTE * (amount if owed or amount < per_minute else per_minute) / per_minute)
        before, after, longest = gcra.charge(counters, seconds, now, MINUTE)
        if longest > ALMOST and not owed:
            limiting = charges[after.index(max(after))]
            raise RateLimited(limiting, longest, [until - now for until in before])
        filled = []
        for (setting, _, client, _, _), until in zip(charges, after, strict=True):
            filled.append(until - now)
            if until > now:
                stored[setting, client] = until
                stored.move_to_end((setting, client))
            else:
                stored.pop((setting, client), None)
        while len(stored) > MAX_COUNTERS:
            stored.popitem(last=False)
        return filled


class SharedCounters:
    """Timestamps in Redis. While Redis does not answer, each process counts for itself.

    Then one request a second tries Redis again, and the others do not wait for it.
    """

    def __init__(self, redis: Client) -> None:
        self.redis = redis
        # A script's keys must be on one server of a Cluster. The tag puts all counters there.
        self.tag = "{marquee}:" if isinstance(redis, RedisCluster) else ""
        self.own = ProcessCounters()
        self.answers = True
        self.tries_at = 0.0

    async def take(self, charges: Sequence[Charge], *, owed: bool = False) -> list[float]:
        trial = not self.answers
        if trial:
            if time.monotonic() < self.tries_at:
                return await self.own.take(charges, owed=owed)
            self.tries_at = time.monotonic() + RETRY_SECONDS
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                which, wait, *filled = await self.ask(charges, owed=owed)
        except (RedisError, RedisClusterException, OSError) as error:
            self.lose(error)
            return await self.own.take(charges, owed=owed)
        if trial and not self.answers:
            self.answers = True
            log.warning("Redis answers again; the processes share their rate limits")
        if which:
            raise RateLimited(charges[which - 1], float(wait), [float(each) for each in filled])
        return [float(each) for each in filled]

    def lose(self, error: Exception) -> None:
        if self.answers:
            why = str(error) or f"no answer within {REDIS_SECONDS} seconds"
            log.warning("Redis does not answer; each process counts its own rate limits: %s", why)
            self.answers = False
            self.tries_at = time.monotonic() + RETRY_SECONDS

    async def ask(self, charges: Sequence[Charge], *, owed: bool) -> Any:
        keys = [self.tag + charge.key for charge in charges]
        seconds = [charge.owed_seconds if owed else charge.seconds for charge in charges]
        return await self.redis.eval(gcra.REDIS, len(keys), *keys, int(owed), MINUTE, *seconds)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The rate limits of the settings."""

    settings: Settings
    counters: Counters

    @classmethod
    def of(cls, settings: Settings) -> Self:
        if settings.redis_url is None:
            return cls(settings, ProcessCounters())
        redis = redis_address.connect(settings.redis_url.get_secret_value(), REDIS_SECONDS)
        return cls(settings, SharedCounters(redis))

    async def close(self) -> None:
        if isinstance(self.counters, SharedCounters):
            await redis_address.close(self.counters.redis)

    async def request(self, address: str) -> list[Left]:
        """Charge a request. Raises RateLimited, as do `operation` and `reading`."""
        return await self.take([Charge(*REQUESTS, address, 1, self.settings.requests_per_minute)])

    async def operation(self, client: str, cost: int, key: str = "") -> list[Left]:
        """Charge an operation to a client, which is a member, an API key or an address.

        `key`: the API key that acts for the member, as for `reading` and `owed`.
        """
        charges = [Charge(*OPERATIONS, client, 1, self.settings.operations_per_minute)]
        if key:
            charges.append(Charge(*KEY_OPERATIONS, key, 1, self.settings.key_operations_per_minute))
        return await self.take([*charges, *self.costs(client, cost, key)])

    async def reading(self, client: str, cost: int, key: str = "") -> list[Left]:
        """Charge the parsing of a document, whose operation is not known yet."""
        return await self.take(self.costs(client, cost, key))

    async def owed(self, client: str, cost: int, key: str = "") -> list[Left]:
        """Charge the actual cost of an operation less its static cost, even beyond the limit."""
        return await self.take(self.costs(client, cost, key), owed=True)

    async def left(self, client: str) -> list[Left]:
        """The remaining quotas of a client, without a charge."""
        operations = Charge(*OPERATIONS, client, 0, self.settings.operations_per_minute)
        return await self.take([operations, *self.costs(client, 0)], owed=True)

    def costs(self, client: str, amount: int, key: str = "") -> list[Charge]:
        """The charge to a client, and to the key that acts for a member, if there is one."""
        charges = [Charge(*COST, client, amount, self.settings.cost_per_minute)]
        if key:
            charges.append(Charge(*KEY_COST, key, amount, self.settings.key_cost_per_minute))
        return charges

    async def take(self, charges: Sequence[Charge], *, owed: bool = False) -> list[Left]:
        limited = list(filter(PER_MINUTE, charges))
        if not limited:
            return []
        try:
            return list(map(Left, limited, await self.counters.take(limited, owed=owed)))
        except RateLimited as refused:
            refused.left = [
                Left(charge, seconds, refused.wait_seconds if charge is refused.charge else None)
                for charge, seconds in zip(limited, refused.filled, strict=True)
            ]
            raise
