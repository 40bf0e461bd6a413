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

    def left(self, filled: float) -> "Left":
        remaining = int(self.per_minute * (MINUTE - filled) / MINUTE + ALMOST)
        return Left(self.setting, self.per_minute, max(0, remaining), math.ceil(max(0.0, filled - ALMOST)))


@dataclass(frozen=True, slots=True)
class Payer:
    """The client that an operation is charged to: a member, an API key or an address.

    `key` is the API key that acts for the member, which is charged too; '' for none.
    """

    client: str
    key: str = ""


class Left(NamedTuple):
    """A client's remaining quota, and the seconds until it is restored.

    After a refusal, `seconds` is the time until there is enough for the refused charge.
    """

    setting: str
    per_minute: int
    remaining: int
    seconds: int

    @property
    def policy(self) -> str:
        return policy_of(self.setting)


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
        now = time.monotonic()
        keys, counters, seconds = [], [], []
        for charge in charges:
            keys.append(key := (charge.setting, charge.client))
            counters.append(self.filled.get(key, 0.0))
            filled = MINUTE * charge.amount / charge.per_minute
            seconds.append(filled if owed else min(filled, MINUTE))
        before, after, longest = gcra.charge(counters, seconds, now, MINUTE)
        if longest > ALMOST and not owed:
            limiting = charges[after.index(max(after))]
            raise RateLimited(limiting, longest, [until - now for until in before])
        for key, until in zip(keys, after, strict=True):
            if until > now:
                self.filled[key] = until
                self.filled.move_to_end(key)
            else:
                self.filled.pop(key, None)
        while len(self.filled) > MAX_COUNTERS:
            self.filled.popitem(last=False)
        return [until - now for until in after]


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
        return await self.take([self.of_requests(address, 1)])

    async def operation(self, client: str, cost: int, key: str = "") -> list[Left]:
        """Charge an operation to a client, which is a member, an API key or an address.

        `key`: the API key that acts for the member, as for `reading` and `owed`.
        """
        of_key = [self.of_key_operations(key, 1)] if key else []
        return await self.take(
            [self.of_operations(client, 1), *of_key, self.of_cost(client, cost), *self.of_key_cost(key, cost)]
        )

    async def reading(self, client: str, cost: int, key: str = "") -> list[Left]:
        """Charge the parsing of a document, whose operation is not known yet."""
        return await self.take([self.of_cost(client, cost), *self.of_key_cost(key, cost)])

    async def owed(self, client: str, cost: int, key: str = "") -> list[Left]:
        """Charge the actual cost of an operation less its static cost, even beyond the limit."""
        return await self.take([self.of_cost(client, cost), *self.of_key_cost(key, cost)], owed=True)

    async def left(self, client: str) -> list[Left]:
        """The remaining quotas of a client, without a charge."""
        return await self.take([self.of_operations(client, 0), self.of_cost(client, 0)], owed=True)

    def of_requests(self, address: str, amount: int) -> Charge:
        limit = self.settings.requests_per_minute
        return Charge("REQUESTS_PER_MINUTE", "requests per minute from an address", address, amount, limit)

    def of_operations(self, client: str, amount: int) -> Charge:
        limit = self.settings.operations_per_minute
        return Charge("OPERATIONS_PER_MINUTE", "operations per minute", client, amount, limit)

    def of_cost(self, client: str, amount: int) -> Charge:
        return Charge("COST_PER_MINUTE", "of cost per minute", client, amount, self.settings.cost_per_minute)

    def of_key_operations(self, key: str, amount: int) -> Charge:
        limit = self.settings.key_operations_per_minute
        what = "operations per minute of a key for all its members"
        return Charge("KEY_OPERATIONS_PER_MINUTE", what, key, amount, limit)

    def of_key_cost(self, key: str, amount: int) -> list[Charge]:
        """The charge to the key that acts for a member, if there is one."""
        limit = self.settings.key_cost_per_minute
        what = "of cost per minute of a key for all its members"
        return [Charge("KEY_COST_PER_MINUTE", what, key, amount, limit)] if key else []

    async def take(self, charges: Sequence[Charge], *, owed: bool = False) -> list[Left]:
        limited = list(filter(PER_MINUTE, charges))
        if not limited:
            return []
        try:
            filled = await self.counters.take(limited, owed=owed)
        except RateLimited as refused:
            refused.left = [
                charge.left(seconds)._replace(seconds=refused.wait_seconds)
                if charge is refused.charge
                else charge.left(seconds)
                for charge, seconds in zip(limited, refused.filled, strict=True)
            ]
            raise
        return list(map(Charge.left, limited, filled))
