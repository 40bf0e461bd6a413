"""Each response has an id and the security headers, also that of a fault, and is counted."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.settings import Settings
from app.telemetry import metrics
from app.web.responses import Application, layers
from app.web.security import BYTES, POLICY_HEADER

pytestmark = pytest.mark.anyio
OURS = {name.decode(): value.decode() for name, value in (*BYTES, POLICY_HEADER)}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def own(_: Request) -> PlainTextResponse:
    return PlainTextResponse("text", headers={"Referrer-Policy": "origin"})


async def fault(_: Request) -> PlainTextResponse:
    raise ValueError("a fault")


def asking() -> httpx.AsyncClient:
    application = Application(
        routes=[Route("/own", own), Route("/fault", fault)], middleware=layers(Settings())
    )
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_a_header_of_the_response_is_kept() -> None:
    async with asking() as http:
        answer = await http.get("/own", headers={"X-Request-Id": "abc"})
    expected = {**OURS, "referrer-policy": "origin", "x-request-id": "abc"}
    assert {name: answer.headers[name] for name in expected} == expected
    assert len(answer.headers.get_list("referrer-policy")) == 1


@pytest.mark.parametrize(("path", "status"), [("/own", 200), ("/nowhere", 404), ("/fault", 500)])
async def test_each_response_has_the_headers_and_is_counted(path: str, status: int) -> None:
    count: Any = metrics.responses_of(status)._value
    before = count.get()
    async with asking() as http:
        answer = await http.get(path)
    assert answer.status_code == status
    assert OURS.keys() <= answer.headers.keys()
    assert len(answer.headers["x-request-id"]) == 32
    assert count.get() == before + 1


async def test_a_fault_is_raised_for_the_log_of_the_server() -> None:
    application = Application(routes=[Route("/fault", fault)], middleware=layers(Settings()))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://localhost"
    ) as http:
        with pytest.raises(ValueError, match="a fault"):
            await http.get("/fault")
