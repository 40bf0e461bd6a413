"""Work on long input runs in threads or is small, so that other requests get their turns."""

import json
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import parse
from graphql.execution.values import get_variable_values
from graphql.language import OperationDefinitionNode
from strawberry.types import arguments
from strawberry.types.field import StrawberryField

from app.activity.feedback import Kind
from app.settings import Settings
from schema import schema
from schema.http import request
from schema.types.feedback import FeedbackInput, RecordFeedbackInput

EVENTS = 500
DOCUMENT = "mutation ($e: [FeedbackInput!]!) { recordFeedback(input: { events: $e }) { __typename } }"


def test_events_are_converted_by_one_call_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strawberry's own conversion looks up the type of every field of every event."""
    event = {"movieId": "TW92aWU6MQ==", "kind": "WATCH", "position": None, "watchedFraction": 0.5}
    event |= {"occurredAt": "2026-01-02T03:04:05Z", "idempotencyKey": "a key"}
    core = schema._schema
    (operation,) = parse(DOCUMENT).definitions
    assert isinstance(operation, OperationDefinitionNode)
    coerced: Any = get_variable_values(core, operation.variable_definitions or (), {"e": [event] * EVENTS})
    calls: Counter[str] = Counter()
    convert = arguments.convert_argument

    def counted(*given: Any, **named: Any) -> Any:
        calls["convert"] += 1
        return convert(*given, **named)

    monkeypatch.setattr(arguments, "convert_argument", counted)
    mutation = core.mutation_type
    assert mutation is not None
    field = mutation.fields["recordFeedback"].extensions["strawberry-definition"]
    assert isinstance(field, StrawberryField)
    made = arguments.convert_arguments(
        {"input": {"events": coerced.coerced["e"]}},
        field.arguments,
        scalar_registry=schema.schema_converter.scalar_registry,
        config=schema.config,
    )
    occurred_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    expected = FeedbackInput(
        movie_id="TW92aWU6MQ==",  # type: ignore[arg-type] # a string at run time
        kind=Kind.WATCH,
        watched_fraction=0.5,
        occurred_at=occurred_at,
        idempotency_key="a key",
    )
    assert made == {"input": RecordFeedbackInput(events=[expected] * EVENTS)}
    assert calls["convert"] <= EVENTS + 10


@pytest.mark.anyio
@pytest.mark.parametrize(("length", "in_loop"), [(100, True), (request.LARGE + 1, False)])
async def test_a_large_body_is_decoded_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, length: int, in_loop: bool
) -> None:
    threads = []
    decoded = request.decoded

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return decoded(*given)

    monkeypatch.setattr(request, "decoded", noted)
    body = json.dumps({"query": "{ __typename }", "variables": {"x": "x" * length}}).encode()
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    read = await request.read(request.IndexedRequest(scope, receive), Settings())
    assert read.query == "{ __typename }"
    assert [thread is threading.main_thread() for thread in threads] == [in_loop]
