"""Large messages of a websocket are decoded outside of the event loop, in the order of their arrival."""

import asyncio
import threading
from typing import Any

import orjson
import pytest
from starlette.types import Message
from starlette.websockets import WebSocket

from app.settings import Settings
from schema.execution.refusal import Refused
from schema.http.request import LARGE
from schema.http.websocket_operations import Codec, Messages

pytestmark = pytest.mark.anyio


class Noted(Codec):
    """A codec that notes the thread of each message."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.threads: list[int] = []

    def decode_json(self, data: str) -> object:
        self.threads.append(threading.get_ident())
        return super().decode_json(data)


async def received(codec: Codec, *texts: str) -> list[Any]:
    arriving: asyncio.Queue[Message] = asyncio.Queue()
    for each in ({"type": "websocket.connect"}, *({"type": "websocket.receive", "text": t} for t in texts)):
        arriving.put_nowait(each)
    arriving.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def send(message: Message) -> None:
        assert message["type"] == "websocket.accept"

    socket = WebSocket({"type": "websocket", "headers": []}, arriving.get, send)
    await socket.accept()
    messages = Messages(codec, socket, socket)  # type: ignore[arg-type] # strawberry's view has more methods
    return [message async for message in messages.iter_json()]


def subscribe(id_: str, variables: object) -> str:
    payload = {"query": "{ __typename }", "variables": variables}
    return orjson.dumps({"type": "subscribe", "id": id_, "payload": payload}).decode()


async def test_large_messages_leave_the_event_loop_free() -> None:
    codec = Noted(Settings())
    texts = [subscribe("1", {"text": "x" * LARGE}), subscribe("2", {}), subscribe("3", ["y"] * LARGE)]
    found = await received(codec, *texts)
    assert [message["id"] for message in found] == ["1", "2", "3"]
    here = threading.get_ident()
    assert [thread == here for thread in codec.threads] == [False, True, False]


async def test_an_operation_beyond_the_limits_is_refused_by_its_id() -> None:
    settings = Settings(max_json_values=50_000, max_json_depth=10)
    deep: object = 1
    for _ in range(20):
        deep = [deep]
    many, deepest, right = await received(
        Codec(settings), subscribe("1", [1] * 200_000), subscribe("2", deep), subscribe("3", {})
    )
    assert (many["id"], deepest["id"]) == ("1", "2")
    assert isinstance(many["payload"], Refused)
    assert isinstance(deepest["payload"], Refused)
    assert right["payload"]["query"] == "{ __typename }"
