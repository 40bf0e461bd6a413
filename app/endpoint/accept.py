"""Content negotiation: which media types a client accepts, and which of ours it gets."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"


@dataclass(frozen=True, slots=True)
class Accept:
    """`json` is the type for an answer in one piece. A client that has not asked for JSON by any name
    (`prefers_stream`) gets its one answer as a stream, too."""

    json: str
    prefers_stream: bool
    events: bool
    multipart_subscription: bool  # Apollo's protocol for subscriptions over HTTP
    incremental: bool
    legacy_incremental: bool  # as proposed in 2022, with paths for ids

    @classmethod
    def of(cls, header: str) -> Self:
        return cls(*negotiated(header))


@lru_cache(maxsize=256)
def negotiated(header: str) -> tuple[str, bool, bool, bool, bool, bool]:
    ranges = sorted(map(media_range, header.split(",")), key=quality, reverse=True)
    wanted = {"*/*": JSON, "application/*": JSON, JSON: JSON, GRAPHQL_RESPONSE: GRAPHQL_RESPONSE}
    json = [wanted[name] for name, _ in ranges if name in wanted]
    multipart = [parameters for name, parameters in ranges if name == MULTIPART]
    subscription = [each for each in multipart if "subscriptionspec" in each]
    incremental = [each for each in multipart if "subscriptionspec" not in each]
    events = any(name == EVENT_STREAM for name, _ in ranges)
    return (
        (json or [JSON])[0],
        not json and (events or bool(subscription)),
        events,
        bool(subscription),
        bool(incremental),
        any("deferspec" in each for each in incremental),
    )


def media_range(text: str) -> tuple[str, dict[str, str]]:
    name, *parameters = text.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return name.strip().lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def quality(media_range: tuple[str, dict[str, str]]) -> float:
    try:
        return float(media_range[1].get("q", 1))
    except ValueError:
        return 0.0
