"""Long computations run in pieces, between which the event loop runs, and end with the request."""

import asyncio

import pytest

from app.ingest.pieces import Steps, at_once, in_pieces

pytestmark = pytest.mark.anyio


def counting(steps: int, taken: list[int]) -> Steps[int]:
    for step in range(steps):
        taken.append(step)
        # A step is longer than a slice, so the loop runs after each.
        sum(range(200_000))
        yield
    return steps


async def test_the_event_loop_runs_between_slices() -> None:
    taken: list[int] = []
    under_way = asyncio.create_task(in_pieces(counting(40, taken)))
    seen = set[int]()
    while not under_way.done():
        seen.add(len(taken))
        await asyncio.sleep(0)
    assert under_way.result() == 40
    assert len(seen) > 10


async def test_a_cancelled_computation_ends() -> None:
    taken: list[int] = []
    under_way = asyncio.create_task(in_pieces(counting(1_000_000, taken)))
    await asyncio.sleep(0.1)
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    await asyncio.sleep(0.1)
    before = len(taken)
    assert before
    await asyncio.sleep(0.1)
    assert len(taken) == before


async def test_errors_propagate() -> None:
    def failing() -> Steps[None]:
        yield
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        await in_pieces(failing())
    assert at_once(counting(3, [])) == 3
