"""Charge a request to its client's rate limits: its static cost before execution, its actual cost after it.

The actual cost is measured processor time. Its excess over the static cost is charged, so that the cost limit
holds even where a static cost is too low. A query gets back what is far too high. A mutation does not: it
causes later work, which is in its static cost alone.
"""

import asyncio
from collections.abc import Awaitable
from contextvars import Context
from functools import lru_cache

from app.web.meter import Meter
from app.web.rate_limits import Left, Payer, RateLimited, RateLimits, policy_of

UNIT_NANOSECONDS = 20_000
REQUEST_COST = 40  # of each request besides its fields: HTTP, JSON, authentication
TOO_HIGH = 2  # times the actual cost; a lower static cost is not worth another round trip to Redis
LIMITS = ("REQUESTS_PER_MINUTE", "OPERATIONS_PER_MINUTE", "COST_PER_MINUTE")
POLICY = {setting: policy_of(setting).encode() for setting in LIMITS}
POLICY_UNIT = {"COST_PER_MINUTE": b';qu="cost"'}
NOBODY = Payer("")


def units(nanoseconds: int) -> int:
    """Measured processor time as cost, rounded up."""
    return -(-nanoseconds // UNIT_NANOSECONDS)


def charge(static: int, actual: int, *, may_return: bool) -> int:
    """The charge for an operation: its static cost, or the actual one if that is higher.

    may_return: also if that is far lower.
    """
    return actual if may_return and static > TOO_HIGH * actual else max(static, actual)


class Budget:
    """The charges of a request, to its `payer` once that is known. `left` is by setting.

    `reader` meters parsing, `meter` meters execution.
    """

    def __init__(self, rates: RateLimits) -> None:
        self.rates = rates
        self.left: dict[str, Left] = {}
        self.meter = Meter()
        self._reader: Meter | None = None
        self.payer = NOBODY
        self._read = self._executed = self._settled = 0
        self._is_query = self._is_closed = False
        self._settling: asyncio.Future[None] | None = None

    @property
    def reader(self) -> Meter:
        if self._reader is None:
            self._reader = Meter()
        return self._reader

    @property
    def actual(self) -> int:
        """The actual cost of the operation so far."""
        return REQUEST_COST + units(self.meter.nanoseconds)

    async def request(self, address: str) -> None:
        """Charge a request. Raises RateLimited, as do `reading` and `operation`."""
        await self._note(self.rates.request(address))

    async def reading(self, cost: int) -> None:
        """Charge the parsing of a document."""
        if cost:
            await self._note(self.rates.reading(self.payer.client, cost, self.payer.key))
            self._read += cost

    async def operation(self, cost: int, *, is_query: bool) -> None:
        """Charge the static cost of an operation."""
        self._is_query = is_query
        await self._note(self.rates.operation(self.payer.client, cost, self.payer.key))
        self._executed += cost

    async def settle(self) -> None:
        """Charge what the operation costs beyond the charges so far."""
        due = self._read
        if self._reader is not None:
            due = max(due, units(self._reader.nanoseconds))
        if self._executed:
            due += charge(self._executed, self.actual, may_return=self._is_query and self._is_closed)
        owed = due - self._read - self._executed - self._settled
        if owed:
            self._settled += owed
            await self._note(self.rates.owed(self.payer.client, owed, self.payer.key))

    async def close(self) -> None:
        """Settle. Time that threads spend from now on is charged when they end."""
        self._is_closed = True
        await self.settle()
        self.meter.late = self._settle_later

    def _settle_later(self) -> None:
        if self._settling is None or self._settling.done():
            loop = asyncio.get_running_loop()
            self._settling = loop.create_task(
                self.settle(), context=Context()
            )  # in a context without a meter

    async def fields(self) -> list[tuple[bytes, bytes]]:
        """Header fields of draft-ietf-httpapi-ratelimit-headers-10: the limits and their remainders."""
        if self.payer.client and "OPERATIONS_PER_MINUTE" not in self.left:
            await self._note(self.rates.left(self.payer.client))
        given: list[tuple[str, int]] = []
        limits = b""
        for setting in LIMITS:
            left = self.left.get(setting)
            if left is not None:
                given.append((setting, left.charge.per_minute))
                limits += b'%b"%b";r=%d;t=%d' % (
                    b", " if limits else b"",
                    POLICY[setting],
                    left.remaining,
                    left.seconds,
                )
        return [(b"ratelimit-policy", policies_of(*given)), (b"ratelimit", limits)] if given else []

    async def _note(self, taken: Awaitable[list[Left]]) -> None:
        found: list[Left] = []
        try:
            found = await taken
        except RateLimited as refused:
            found = refused.left
            raise
        finally:
            for left in found:
                self.left[left.charge.setting] = left


@lru_cache(100)
def policies_of(*limits: tuple[str, int]) -> bytes:
    """The field of these limits by setting, which is the same for most clients."""
    return b", ".join(
        b'"%b";q=%d;w=60%b' % (POLICY[setting], per_minute, POLICY_UNIT.get(setting, b""))
        for setting, per_minute in limits
    )
