"""Parse one line of a stream, whose format is recognized: a JSON event or a classic log line."""

from app.ingest import event_json, log_lines
from app.ingest.stream_events import MAX_LINE_BYTES, InvalidEvent, Refusal, Refused, StreamEvent


def parse(line: bytes, source: str, latest_at: int) -> list[StreamEvent] | Refused:
    """The events of a line, or the reason why it is refused. Never raises.

    A valid line may have no events: a recommendation request that failed.
    """
    if len(line) > MAX_LINE_BYTES:
        return Refused(Refusal.MALFORMED, f"A line must have at most {MAX_LINE_BYTES} bytes.")
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        return Refused(Refusal.MALFORMED, "A line must be in UTF-8.")
    if not text:
        return Refused(Refusal.MALFORMED, "The line is empty.")
    read = event_json.events_in if text[0] == "{" else log_lines.events_in
    try:
        return read(text, source, latest_at)
    except InvalidEvent as error:
        return error.refused


def member_in(line: bytes, source: str) -> tuple[str, str] | None:
    """The source and external id in a refused line, as far as they are readable; None otherwise."""
    text = line[:MAX_LINE_BYTES].decode(errors="replace").strip()
    try:
        return event_json.pair_in(text, source) if text[:1] == "{" else (source, log_lines.user_in(text))
    except InvalidEvent:
        return None
