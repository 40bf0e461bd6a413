"""The body of a request is read within its limit, in memory of about its size."""

import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from schema.execution.refusal import Refused
from schema.http.request import whole_body

pytestmark = pytest.mark.anyio

PARTS = 60_000  # of two bytes; CPython shares objects of one byte


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def received(parts: Iterable[bytes], *, left: bool = False) -> Receive:
    """Messages with these parts; then the end of the body, or of the connection."""

    def messages() -> Iterator[Any]:
        for part in parts:
            yield {"type": "http.request", "body": part, "more_body": True}
        yield {"type": "http.disconnect"} if left else {"type": "http.request"}

    each = messages()

    async def receive() -> Any:
        return next(each)

    return receive


async def test_small_parts_take_the_memory_of_the_body() -> None:
    parts = (place.to_bytes(2, "big") for place in range(PARTS))
    tracemalloc.start()
    try:
        body = await whole_body(received(parts), 2 * PARTS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) == 2 * PARTS
    assert peak < 5 * len(body)


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read_whole() -> None:
    read = 0

    def parts() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"abc"

    with pytest.raises(Refused):
        await whole_body(received(parts()), 10)
    assert read == 4
    assert await whole_body(received([b"abc", b"", b"def"]), 6) == b"abcdef"


async def test_a_client_that_leaves_has_sent_no_body() -> None:
    with pytest.raises(ClientDisconnect):
        await whole_body(received([b"abc"], left=True), 10)
