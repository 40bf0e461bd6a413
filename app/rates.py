"""How often and how much one client may ask in a minute.

Counted by the generic cell rate algorithm: one moment for each counter, until which what was asked fills its
minute. A minute's worth may come at once; from then on it comes back evenly. The moments are in Redis, where
all processes count together, or else in this process.
"""

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.settings import Settings

MINUTE = 60.0
MAX_COUNTERS = 100_000  # in one process; those that were not asked for longest are forgotten
REDIS_SECONDS = 0.5  # longest to wait for Redis
ALMOST = 1e-6  # moments are floats

# All or none, by Redis's own clock. Gives the counter that has no room for longest, and for how long.
TAKE = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local filled, wait, which = {}, 0, 0
for i, key in ipairs(KEYS) do
    local took = 60 * math.min(tonumber(ARGV[2 * i - 1]) / tonumber(ARGV[2 * i]), 1)
    filled[i] = math.max(tonumber(redis.call('GET', key) or '0'), now) + took
    if filled[i] - now - 60 > wait + 1e-6 then
        wait, which = filled[i] - now - 60, i
    end
end
if which == 0 then
    for i, key in ipairs(KEYS) do
        redis.call('SET', key, string.format('%.6f', filled[i]), 'PX', math.ceil((filled[i] - now) * 1000))
    end
end
return {which, tostring(wait)}
"""

log = logging.getLogger("marquee.rates")


@dataclass(frozen=True, slots=True)
class Take:
    """`amount` of what `setting` allows `per_minute` of, for one client; `what` says so in words."""

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
        """How much of the counter's minute it takes. More than a minute's worth takes all of it."""
        return MINUTE * min(self.amount / self.per_minute, 1)


class RateLimited(Exception):
    """An expected outcome; its message is for the caller."""

    def __init__(self, take: Take, wait_seconds: float) -> None:
        self.take = take
        self.wait_seconds = max(1, math.ceil(wait_seconds))
        again = "second" if self.wait_seconds == 1 else f"{self.wait_seconds} seconds"
        super().__init__(
            f"The limit is {take.per_minute:,} {take.what}, of which {take.amount:,} more were asked: "
            f"try again in {'a ' if self.wait_seconds == 1 else ''}{again}."
        )


class Counters(Protocol):
    async def take(self, takes: Sequence[Take]) -> None:
        """All of them, or none. Raises RateLimited where one has no room."""


class ProcessCounters:
    """Moments of this process's clock, by key; at most MAX_COUNTERS."""

    def __init__(self) -> None:
        self.filled: OrderedDict[str, float] = OrderedDict()

    async def take(self, takes: Sequence[Take]) -> None:
        now = time.monotonic()
        filled = [max(self.filled.get(take.key, 0.0), now) + take.seconds for take in takes]
        waits = [until - now - MINUTE for until in filled]
        longest = max(waits, default=0.0)
        if longest > ALMOST:
            raise RateLimited(takes[waits.index(longest)], longest)
        for take, until in zip(takes, filled, strict=True):
            self.filled[take.key] = until
            self.filled.move_to_end(take.key)
        while len(self.filled) > MAX_COUNTERS:
            self.filled.popitem(last=False)


class SharedCounters:
    """Moments in Redis. While it does not answer, each process counts for itself."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.script = redis.register_script(TAKE)
        self.own = ProcessCounters()
        self.answers = True

    async def take(self, takes: Sequence[Take]) -> None:
        numbers = [number for take in takes for number in (take.amount, take.per_minute)]
        try:
            answer = self.script(keys=[take.key for take in takes], args=numbers)
            which, wait = await cast("Awaitable[Any]", answer)
        except (RedisError, OSError) as error:
            if self.answers:
                log.warning("Redis does not answer; rates are counted in each process: %s", error)
            self.answers = False
            await self.own.take(takes)
            return
        self.answers = True
        if which:
            raise RateLimited(takes[which - 1], float(wait))


@dataclass(frozen=True, slots=True)
class Rates:
    """The settings' limits, counted."""

    settings: Settings
    counters: Counters

    @classmethod
    def of(cls, settings: Settings) -> Self:
        if settings.redis_url is None:
            return cls(settings, ProcessCounters())
        redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
        )
        return cls(settings, SharedCounters(redis))

    async def close(self) -> None:
        if isinstance(self.counters, SharedCounters):
            await self.counters.redis.aclose()

    async def request(self, address: str) -> None:
        """Raises RateLimited."""
        await self.take(
            Take("REQUESTS_PER_MINUTE", "requests in a minute from an address", address, 1,
                 self.settings.requests_per_minute)
        )  # fmt: skip

    async def operation(self, client: str, cost: int) -> None:
        """`client`: the member, the key, or the address. Raises RateLimited."""
        settings = self.settings
        count = Take(
            "OPERATIONS_PER_MINUTE", "operations in a minute", client, 1, settings.operations_per_minute
        )
        await self.take(
            count, Take("COST_PER_MINUTE", "of cost in a minute", client, cost, settings.cost_per_minute)
        )

    async def reading(self, client: str, cost: int) -> None:
        """Of a document that is read before it is known what it asks for. Raises RateLimited."""
        await self.take(
            Take("COST_PER_MINUTE", "of cost in a minute", client, cost, self.settings.cost_per_minute)
        )

    async def take(self, *takes: Take) -> None:
        limited = [take for take in takes if take.per_minute and take.amount]
        if limited:
            await self.counters.take(limited)
