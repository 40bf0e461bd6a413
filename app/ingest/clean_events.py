"""Clean a batch of lines: parse them, find their movies, and make rows of their events."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.accounts import list_ids
from app.accounts.external_members import Pair
from app.ingest.dead_letters import DeadLetter
from app.ingest.stream_events import RATING, Refusal, Refused, StreamEvent, latest
from app.ingest.stream_lines import parse
from app.ingest.stream_movies import CatalogMovie, StreamMovies
from app.settings import Settings

WITHOUT_EVENT = "WITHOUT_EVENT"  # the outcome of a valid line that has no event


class Line(NamedTuple):
    """A line at its position in a partition of the stream."""

    partition: int
    position: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream's name, under which its positions are stored, and the source of lines that name none."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines of a stream in order. `nexts`: for each partition, the position after the batch.

    `ends`: for each partition, the position of its end, if it is known.
    """

    lines: Sequence[Line]
    nexts: Mapping[int, int]
    ends: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Cleaned:
    """The events of a batch, each with its movie; its dead letters; and the number of lines by outcome."""

    events: list[tuple[StreamEvent, CatalogMovie]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def clean(lines: Iterable[Line], stream: Stream, movies: StreamMovies) -> Cleaned:
    """Parse lines and find their movies. A line whose events are not all valid is a dead letter."""
    cleaned = Cleaned()
    latest_at = latest(datetime.now(UTC))
    for line in lines:
        parsed = parse(line.text, stream.source, latest_at)
        refused = parsed if isinstance(parsed, Refused) else None
        if not isinstance(parsed, Refused):
            named = [(event, movies.find(event.movie)) for event in parsed]
            known = [(event, movie) for event, movie in named if not isinstance(movie, str)]
            if len(known) == len(named):
                cleaned.events += known
                if not named:
                    cleaned.counts[WITHOUT_EVENT] += 1
                continue
            rule = next(movie for _, movie in named if isinstance(movie, str))
            refused = Refused(Refusal.UNKNOWN_MOVIE, rule)
        assert refused is not None
        cleaned.counts[refused.reason.value] += 1
        cleaned.letters.append(
            DeadLetter(stream.name, line.partition, line.position, refused, line.text, stream.source)
        )
    return cleaned


def rows_of(
    events: Iterable[tuple[StreamEvent, CatalogMovie]], members: Mapping[Pair, int], settings: Settings
) -> Iterable[tuple[Any, ...]]:
    """Rows of `incoming_events`. A WATCH event may have an implicit rating.

    The id of a list that was not made for the member is left out: it would count for another one's list.
    """
    finished, most = settings.watch_finished_fraction, settings.watch_most_fraction
    finished_half_stars, most_half_stars = (
        int(settings.watch_finished_stars * 2),
        int(settings.watch_most_stars * 2),
    )
    for place, (event, movie) in enumerate(events):
        half_stars, fraction, key = event.half_stars, event.fraction, event.event_id
        if event.kind != RATING:
            if event.minutes is not None and movie.runtime_minutes:
                fraction = min(1.0, event.minutes / movie.runtime_minutes)
            if fraction is not None and fraction >= min(most, finished):
                half_stars = finished_half_stars if fraction >= finished else most_half_stars
            if key is None:
                key = (
                    f"watched:{movie.id}" if event.kind == "WATCH" else f"{event.kind}:{movie.id}:{event.at}"
                )
        member, request_id = members[event.source, event.external_id], event.request_id
        if request_id is not None and not list_ids.is_of(settings, request_id, member):
            request_id = None
        yield (
            place,
            member,
            movie.id,
            event.kind,
            event.at,
            half_stars,
            event.kind != RATING,
            fraction,
            request_id,
            event.position,
            key,
        )
