"""Content negotiation: choose the media type of the answer by Accept, and check that of the body."""

from dataclasses import dataclass
from functools import lru_cache

from starlette.datastructures import Headers
from werkzeug.http import parse_accept_header, parse_options_header

from schema.execution.refusal import Refused

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"
LONGEST_HEADER = 2_000  # characters
SHOWN = 100  # characters of a header that an error repeats


@dataclass(frozen=True, slots=True)
class Accept:
    """The media types that a client accepts. `json` is the one of an answer in one piece. A client that
    accepts no JSON type (`prefers_stream`) gets a single answer as a stream, too.
    """

    json: str = JSON
    prefers_stream: bool = False
    events: bool = False
    multipart_subscription: bool = False  # Apollo's protocol for subscriptions over HTTP
    incremental: bool = False
    legacy_incremental: bool = False  # as proposed in 2022, with paths for ids

    @property
    def content_type(self) -> str:
        return f"{self.json}; charset=utf-8"

    @property
    def streams(self) -> bool:
        """Whether the client accepts a stream of results."""
        return self.events or self.multipart_subscription

    @staticmethod
    def of(header: str) -> "Accept":
        """Raises Refused for a header that is too long."""
        if len(header) > LONGEST_HEADER:
            raise Refused(f"The header Accept has more than {LONGEST_HEADER:,} characters.", 431)
        return negotiated(header)


@lru_cache(maxsize=256)
def negotiated(header: str) -> Accept:
    ranges = [(*parse_options_header(text.lower()), quality) for text, quality in parse_accept_header(header)]
    json, accepts_json = preferred({name: quality for name, _, quality in reversed(ranges)})
    multipart = [parameters for name, parameters, quality in ranges if name == MULTIPART and quality > 0]
    subscription = [each for each in multipart if "subscriptionspec" in each]
    incremental = [each for each in multipart if "subscriptionspec" not in each]
    events = any(name == EVENT_STREAM and quality > 0 for name, _, quality in ranges)
    return Accept(
        json,
        prefers_stream=not accepts_json and (events or bool(subscription)),
        events=events,
        multipart_subscription=bool(subscription),
        incremental=bool(incremental),
        legacy_incremental=any("deferspec" in each for each in incremental),
    )


def preferred(ranges: dict[str, float]) -> tuple[str, bool]:
    """The type of an answer in one piece, and whether the client accepts it: a client that accepts neither
    gets the first, as RFC 9110 allows.

    The most specific range decides a type's quality. Of two types of equal quality, the one that the client
    names first is preferred.
    """
    names = [*reversed(ranges)]

    def quality(media_type: str) -> float:
        matching = (media_type, "application/*", "*/*")
        return next((ranges[name] for name in matching if name in ranges), 0.0)

    def rank(media_type: str) -> tuple[float, int]:
        return -quality(media_type), names.index(media_type) if media_type in names else len(names)

    best = min(JSON, GRAPHQL_RESPONSE, key=rank)
    return best, quality(best) > 0


def check_media_type(headers: Headers) -> None:
    """Raises Refused(415) for a type other than JSON in UTF-8. Other parameters are ignored."""
    sent = headers.get("content-type", "")
    if sent == JSON:
        return
    media_type, parameters = parse_options_header(sent)
    if media_type.lower() != JSON:
        found = f"not `{shown(media_type)}`" if media_type else "which is missing"
        message = f"The body must be JSON: send `Content-Type: {JSON}`, {found}."
        raise Refused(message, 415, {"Accept": JSON})
    charset = parameters.get("charset", "utf-8").strip("' ")
    if charset.lower().replace("-", "").replace("_", "") != "utf8":
        message = f"The charset `{shown(charset)}` of Content-Type is not supported: send JSON in UTF-8."
        raise Refused(message, 415, {"Accept": JSON})


def shown(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
