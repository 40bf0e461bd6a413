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
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.settings import Settings

MINUTE = 60.0
MAX_COUNTERS = 100_000  # in one process; those that were not asked for longest are forgotten
REDIS_SECONDS = 0.5  # longest to wait for Redis
ALMOST = 1e-6  # moments are floats

# All or none, by Redis's own clock; with ARGV[1] = 1 all in any case. Gives the counter that has no room for
# longest, for how long, and how many seconds of each are filled.
TAKE = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local before, after, wait, which = {}, {}, 0, 0
for i, key in ipairs(KEYS) do
    before[i] = math.max(tonumber(redis.call('GET', key) or '0'), now)
    after[i] = before[i] + tonumber(ARGV[i + 1])
    if after[i] - now - 60 > wait + 1e-6 then
        wait, which = after[i] - now - 60, i
    end
end
if ARGV[1] == '1' then
    which = 0
end
local answer = {which, tostring(wait)}
for i, key in ipairs(KEYS) do
    local filled = which == 0 and after[i] or before[i]
    if which == 0 and filled - now > 0.001 then
        redis.call('SET', key, string.format('%.6f', filled), 'PX', math.ceil((filled - now) * 1000))
    end
    answer[i + 2] = tostring(filled - now)
end
return answer
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

    @property
    def owed_seconds(self) -> float:
        """The same of what has been used already: all of it counts."""
        return MINUTE * self.amount / self.per_minute

    def left(self, filled: float) -> "Left":
        remaining = int(self.per_minute * (MINUTE - filled) / MINUTE + ALMOST)
        return Left(self.setting, self.per_minute, max(0, remaining), math.ceil(max(0.0, filled - ALMOST)))


@dataclass(frozen=True, slots=True)
class Left:
    """What is left to one client of a limit, and after how many seconds there is more of it.

    That is all of it, or, after a refusal, enough for what was refused.
    """

    setting: str
    per_minute: int
    remaining: int
    seconds: int

    @property
    def policy(self) -> str:
        return self.setting.partition("_")[0].lower()


class RateLimited(Exception):
    """An expected failure; its message is shown to the client.

    `filled`: seconds of each counter as they are, for what is `left`.
    """

    def __init__(self, take: Take, wait_seconds: float, filled: Sequence[float] = ()) -> None:
        self.take = take
        self.filled = filled
        self.left: list[Left] = []
        self.wait_seconds = max(1, math.ceil(wait_seconds))
        again = "a second" if self.wait_seconds == 1 else f"{self.wait_seconds:,} seconds"
        super().__init__(
            f"The limit is {take.per_minute:,} {take.what}, and {take.amount:,} more were asked: "
            f"try again in {again}."
        )


class Counters(Protocol):
    async def take(self, takes: Sequence[Take], *, owed: bool = False) -> list[float]:
        """All of them, or none; gives how many seconds of each counter are filled, 60 and more being all.

        Raises RateLimited where one has no room, unless it is owed.
        """


class ProcessCounters:
    """Moments of this process's clock, by key; at most MAX_COUNTERS."""

    def __init__(self) -> None:
        self.filled: OrderedDict[str, float] = OrderedDict()

    async def take(self, takes: Sequence[Take], *, owed: bool = False) -> list[float]:
        now = time.monotonic()
        before = [max(self.filled.get(take.key, 0.0), now) for take in takes]
        after = [
            until + (take.owed_seconds if owed else take.seconds)
            for until, take in zip(before, takes, strict=True)
        ]
        longest = max(after, default=now) - now - MINUTE
        if longest > ALMOST and not owed:
            limiting = takes[after.index(max(after))]
            raise RateLimited(limiting, longest, [until - now for until in before])
        for take, until in zip(takes, after, strict=True):
            if until > now:
                self.filled[take.key] = until
                self.filled.move_to_end(take.key)
        while len(self.filled) > MAX_COUNTERS:
            self.filled.popitem(last=False)
        return [until - now for until in after]


class SharedCounters:
    """Moments in Redis. While it does not answer, each process counts for itself."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.script = redis.register_script(TAKE)
        self.own = ProcessCounters()
        self.answers = True

    async def take(self, takes: Sequence[Take], *, owed: bool = False) -> list[float]:
        seconds = [take.owed_seconds if owed else take.seconds for take in takes]
        try:
            answer = self.script(keys=[take.key for take in takes], args=[int(owed), *seconds])
            which, wait, *filled = await cast("Awaitable[Any]", answer)
        except (RedisError, OSError) as error:
            if self.answers:
                log.warning("Redis does not answer; rates are counted in each process: %s", error)
            self.answers = False
            return await self.own.take(takes, owed=owed)
        self.answers = True
        if which:
            raise RateLimited(takes[which - 1], float(wait), [float(each) for each in filled])
        return [float(each) for each in filled]


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

    async def request(self, address: str) -> list[Left]:
        """Raises RateLimited, as `operation` and `reading` do."""
        return await self.take([self.of_requests(address, 1)])

    async def operation(self, client: str, cost: int) -> list[Left]:
        """`client`: the member, the key, or the address."""
        return await self.take([self.of_operations(client, 1), self.of_cost(client, cost)])

    async def reading(self, client: str, cost: int) -> list[Left]:
        """Of a document that is read before it is known what it asks for."""
        return await self.take([self.of_cost(client, cost)])

    async def owed(self, client: str, cost: int) -> list[Left]:
        """What an operation took beyond its price: it is charged whether or not there is room."""
        return await self.take([self.of_cost(client, cost)], owed=True)

    async def left(self, client: str) -> list[Left]:
        """What is left, with nothing taken."""
        return await self.take([self.of_operations(client, 0), self.of_cost(client, 0)], owed=True)

    def of_requests(self, address: str, amount: int) -> Take:
        limit = self.settings.requests_per_minute
        return Take("REQUESTS_PER_MINUTE", "requests in a minute from an address", address, amount, limit)

    def of_operations(self, client: str, amount: int) -> Take:
        limit = self.settings.operations_per_minute
        return Take("OPERATIONS_PER_MINUTE", "operations in a minute", client, amount, limit)

    def of_cost(self, client: str, amount: int) -> Take:
        return Take("COST_PER_MINUTE", "of cost in a minute", client, amount, self.settings.cost_per_minute)

    async def take(self, takes: Sequence[Take], *, owed: bool = False) -> list[Left]:
        limited = [take for take in takes if take.per_minute]
        if not limited:
            return []
        try:
            filled = await self.counters.take(limited, owed=owed)
        except RateLimited as refused:
            refused.left = [
                replace(take.left(seconds), seconds=refused.wait_seconds)
                if take is refused.take
                else take.left(seconds)
                for take, seconds in zip(limited, refused.filled, strict=True)
            ]
            raise
        return [take.left(seconds) for take, seconds in zip(limited, filled, strict=True)]
