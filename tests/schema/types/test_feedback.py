"""Feedback events of clients."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.schema.conftest import Ask, Member, code, sign_up


@pytest.fixture(scope="session")
def movies(ask: Ask) -> list[str]:
    page = ask("{ movies(first: 7) { edges { node { id } } } }")
    return [edge["node"]["id"] for edge in page["data"]["movies"]["edges"]]


def test_every_kind_of_event_is_accepted(ask: Ask, member: Member, movies: list[str]) -> None:
    kinds = ["IMPRESSION", "CLICK", "WATCH", "LIKE", "DISLIKE", "NOT_INTERESTED", "WATCHLIST"]
    events = [
        {
            "movieId": movie,
            "kind": kind,
            "requestId": str(uuid4()),
            "position": place,
            "watchedFraction": 0.75 if kind == "WATCH" else None,
            "occurredAt": datetime.now(UTC).isoformat(),
            "idempotencyKey": f"{movie} {kind}",
        }
        for place, (movie, kind) in enumerate(zip(movies, kinds, strict=True))
    ]
    for _ in range(2):
        payload = ask("RecordFeedback", member.token, events=events)["data"]["recordFeedback"]
        assert payload == {"__typename": "RecordFeedbackPayload", "accepted": 7}


def test_feedback_refers_to_lists_of_the_viewer(ask: Ask, member: Member, movies: list[str]) -> None:
    """With the request id of another member's list or of no list, an event counts without the list."""
    mutation = """
    mutation ($events: [FeedbackInput!]!) { recordFeedback(input: { events: $events }) {
      ... on RecordFeedbackPayload { accepted ignoredRequestIds } } }
    """
    query = "{ recommendations(first: 1) { requestId } home(shelves: 1, perShelf: 1) { requestId } }"
    own, others, visitors = (
        [page["requestId"] for page in ask(query, token)["data"].values()]
        for token in (member.token, sign_up(ask).token, None)
    )
    for ids, ignored in ((own, 0), (visitors, 0), (others, 2), ([str(uuid4())], 1)):
        events = [{"movieId": movies[0], "kind": "CLICK", "requestId": each} for each in ids]
        payload = ask(mutation, member.token, events=events)["data"]["recordFeedback"]
        assert payload == {"accepted": len(ids), "ignoredRequestIds": ignored}
    held = ask("ExportMyData", member.token)["data"]["exportMyData"]["feedback"]
    stored = {event["requestId"] for event in held}
    assert stored == {*own, *visitors, None}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("watchedFraction", 1.5),
        ("position", -1),
        ("requestId", "not a list"),
        ("occurredAt", "1999-12-31T23:59:59Z"),
        ("occurredAt", "0001-01-01T00:00:00+14:00"),
        ("occurredAt", "2999-01-01T00:00:00Z"),
        ("idempotencyKey", ""),
        ("movieId", "TW92aWU6OTk5OTk5OTk="),  # Movie:99999999
    ],
)
def test_a_refused_event_is_named(
    ask: Ask, member: Member, movies: list[str], field: str, value: object
) -> None:
    query = """
    mutation ($events: [FeedbackInput!]!) { recordFeedback(input: { events: $events }) {
      __typename ... on InvalidFeedback { index field message } } }
    """
    events = [{"movieId": movies[0], "kind": "LIKE"}, {"movieId": movies[1], "kind": "WATCH", field: value}]
    refused = ask(query, member.token, events=events)["data"]["recordFeedback"]
    assert (refused["__typename"], refused["index"], refused["field"]) == ("InvalidFeedback", 1, field)
    assert refused["message"].startswith(f"events[1].{field} ")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "SNEEZE"},
        {"movieId": "nonsense"},
        {"movieId": "R2VucmU6MQ=="},  # Genre:1
        {"occurredAt": "yesterday"},
        {"occurredAt": "9999-12-31T24:00:00"},
        {"position": 1.5},
        {"watchedFraction": "all"},
        {"colour": "red"},
    ],
)
def test_malformed_events_are_refused(
    ask: Ask, member: Member, movies: list[str], wrong: dict[str, Any]
) -> None:
    event = {"movieId": movies[0], "kind": "CLICK", **wrong}
    assert code(ask("RecordFeedback", member.token, events=[event])) == "BAD_USER_INPUT"


def test_a_batch_that_is_too_large_is_refused(ask: Ask, member: Member, movies: list[str]) -> None:
    events = [{"movieId": movies[0], "kind": "CLICK"}] * 501
    refused = ask("RecordFeedback", member.token, events=events)["data"]["recordFeedback"]
    assert refused["__typename"] == "InvalidFeedback"
    assert "500" in refused["message"]


def test_events_need_a_signed_in_member(ask: Ask, movies: list[str]) -> None:
    assert code(ask("RecordFeedback", events=[{"movieId": movies[0], "kind": "LIKE"}])) == "UNAUTHENTICATED"
