"""A coroutine whose first step is taken at once gives what it would give when awaited."""

import asyncio

import pytest

from schema.execution.begun import Begun

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def waits(turns: int, ended: list[str]) -> str:
    try:
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001 * turns) if turns else None
    finally:
        ended.append("ended")
    return f"after {turns}"


async def test_what_does_not_wait_has_ended() -> None:
    begun = Begun(waits(0, []))
    assert begun.ended
    assert begun.value == "after 0"


async def test_what_waits_goes_on_when_it_is_awaited() -> None:
    ended: list[str] = []
    begun = Begun(waits(3, ended))
    assert not begun.ended
    assert await begun == "after 3"
    assert ended == ["ended"]


async def test_a_time_limit_around_the_rest_cancels_it() -> None:
    ended: list[str] = []
    begun = Begun(waits(10_000, ended))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await begun
    assert ended == ["ended"]


async def test_the_error_of_any_step_is_raised() -> None:
    async def fails(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise ValueError(turns)

    with pytest.raises(ValueError, match="0"):
        Begun(fails(0))
    with pytest.raises(ValueError, match="2"):
        await Begun(fails(2))


async def test_an_error_that_is_caught_inside_does_not_end_it() -> None:
    async def retries() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(10)
        except TimeoutError:
            await asyncio.sleep(0)
        return "went on"

    async def starts() -> None:
        await asyncio.sleep(0)

    await Begun(starts())
    assert await Begun(retries()) == "went on"
