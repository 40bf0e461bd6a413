"""Charge a request to its client's rate limits: its static cost before execution, and the excess after it.

The excess is measured processor time, so that the cost limit holds even where a static cost is too low.
"""

import asyncio
from collections.abc import Awaitable
from contextvars import Context

from app.web.meter import Meter
from app.web.rate_limits import Left, Payer, RateLimited, RateLimits

UNIT_NANOSECONDS = 20_000
REQUEST_COST = 40  # of each request besides its fields: HTTP, JSON, authentication
LIMITS = ("REQUESTS_PER_MINUTE", "OPERATIONS_PER_MINUTE", "COST_PER_MINUTE")
POLICY_UNIT = {"COST_PER_MINUTE": ';qu="cost"'}


def units(meter: Meter) -> int:
    """Measured processor time as cost, rounded up."""
    return -(-meter.nanoseconds // UNIT_NANOSECONDS)


class Budget:
    """The charges of a request. `left` is by setting. `reader` meters parsing, `meter` meters execution."""

    def __init__(self, rates: RateLimits) -> None:
        self.rates = rates
        self.left: dict[str, Left] = {}
        self.reader, self.meter = Meter(), Meter()
        self._payer = Payer("")
        self._read = self._executed = self._settled = 0
        self._settling: asyncio.Future[None] | None = None

    @property
    def actual(self) -> int:
        """The actual cost of the operation so far."""
        return REQUEST_COST + units(self.meter)

    async def request(self, address: str) -> None:
        """Charge a request. Raises RateLimited, as do `reading` and `operation`."""
        await self._note(self.rates.request(address))

    async def reading(self, payer: Payer, cost: int) -> None:
        """Charge the parsing of a document."""
        self._payer = payer
        if cost:
            await self._note(self.rates.reading(payer.client, cost, payer.key))
            self._read += cost

    async def operation(self, payer: Payer, cost: int) -> None:
        """Charge the static cost of an operation."""
        self._payer = payer
        await self._note(self.rates.operation(payer.client, cost, payer.key))
        self._executed += cost

    async def settle(self) -> None:
        """Charge the actual cost beyond the charges so far."""
        owed = max(0, units(self.reader) - self._read) - self._settled
        if self._executed:
            owed += max(0, self.actual - self._executed)
        if owed > 0:
            self._settled += owed
            await self._note(self.rates.owed(self._payer.client, owed, self._payer.key))

    async def close(self) -> None:
        """Settle. Time that threads spend from now on is charged when they end."""
        await self.settle()
        self.meter.late = self._settle_later

    def _settle_later(self) -> None:
        if self._settling is None or self._settling.done():
            loop = asyncio.get_running_loop()
            self._settling = loop.create_task(
                self.settle(), context=Context()
            )  # in a context without a meter

    async def fields(self) -> dict[str, str]:
        """Header fields of draft-ietf-httpapi-ratelimit-headers-10: the limits and their remainders."""
        if self._payer.client and "OPERATIONS_PER_MINUTE" not in self.left:
            await self._note(self.rates.left(self._payer.client))
        shown = [self.left[setting] for setting in LIMITS if setting in self.left]
        if not shown:
            return {}
        policies = (
            f'"{left.policy}";q={left.per_minute};w=60{POLICY_UNIT.get(left.setting, "")}' for left in shown
        )
        limits = (f'"{left.policy}";r={left.remaining};t={left.seconds}' for left in shown)
        return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(limits)}

    async def _note(self, taken: Awaitable[list[Left]]) -> None:
        try:
            left = await taken
        except RateLimited as refused:
            self._remember(refused.left)
            raise
        self._remember(left)

    def _remember(self, left: list[Left]) -> None:
        for each in left:
            self.left[each.setting] = each
