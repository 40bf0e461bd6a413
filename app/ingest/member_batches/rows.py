"""Read the rows of a batch: JSON events, one a line, of members of the key's source.

They are the events of streams (docs/events.md), with defaults for what the request says already.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from app.ingest import event_json
from app.ingest.stream_events import MAX_LINE_BYTES, RATING, InvalidEvent, Refusal, StreamEvent, latest

MAX_ROWS = 10_000
RATING_KIND = RATING.lower()
OWN_SOURCE = "The source must be that of the key, or left out."


class InvalidRows(Exception):
    """A batch that breaks a rule; none of it is stored. Its message is shown to the client."""


class RefusedRow(NamedTuple):
    """A row that is not stored: its place in the batch from 0, the reason, and the rule that it breaks."""

    position: int
    reason: Refusal
    rule: str


@dataclass(frozen=True, slots=True)
class MemberRows:
    """The events of a batch, each with its place; and the rows that have none."""

    events: list[tuple[int, StreamEvent]]
    refused: list[RefusedRow]


def lines_of(text: str) -> list[str]:
    """The lines of a batch, without those that are empty at the end. Raises InvalidRows."""
    text = text.rstrip("\r\n")
    count = text.count("\n") + 1 if text else 0
    if not 0 < count <= MAX_ROWS:
        raise InvalidRows(f"A batch has 1 to {MAX_ROWS:,} rows, one a line, not {count:,}.")
    return text.split("\n")


def rows_in(lines: list[str], source: str, *, ratings: bool) -> MemberRows:
    """Parse the lines. `ratings`: whether they are ratings, or else all other kinds of events."""
    now = datetime.now(UTC)
    defaults = {"version": event_json.VERSION, "time": now.isoformat()}
    if ratings:
        defaults["kind"] = RATING_KIND
    rows, latest_at = MemberRows([], []), latest(now)
    for position, line in enumerate(lines):
        try:
            rows.events.append((position, event_in(line, source, defaults, latest_at, ratings=ratings)))
        except InvalidEvent as invalid:
            rows.refused.append(RefusedRow(position, *invalid.refused))
    return rows


def event_in(
    line: str, source: str, defaults: dict[str, Any], latest_at: int, *, ratings: bool
) -> StreamEvent:
    """The event of a line. Raises InvalidEvent."""
    if len(line) > MAX_LINE_BYTES:
        raise InvalidEvent(Refusal.MALFORMED, f"A row has at most {MAX_LINE_BYTES:,} characters.")
    try:
        data = orjson.loads(line)
    except ValueError:
        raise InvalidEvent(Refusal.MALFORMED, "The row is not JSON.") from None
    if not isinstance(data, dict):
        raise InvalidEvent(Refusal.MALFORMED, "The row must be a JSON object.")
    if data.get("source", source) != source:
        raise InvalidEvent(Refusal.MEMBER, OWN_SOURCE)
    data = defaults | data
    if isinstance(kind := data.get("kind"), str):
        data["kind"] = kind = kind.lower()
    if (kind == RATING_KIND) != ratings:
        rule = "The kind must be rating." if ratings else "Send ratings with `upsertRatings`."
        raise InvalidEvent(Refusal.MALFORMED, rule)
    (event,) = event_json.events_in(orjson.dumps(data), source, latest_at)
    return event
