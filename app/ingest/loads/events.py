"""Load events of another system's users from a file: csv, JSON lines or Parquet.

Each row becomes a JSON event (docs/events.schema.json) at its line of a stream, so a file that was loaded
before is continued behind its last stored line.
"""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from app.ingest.clean_events import Batch, Line, Stream
from app.ingest.loads.ratings import EXAMPLES, MovieIds
from app.ingest.store_events import REPEATED, STORED, Store
from recommender.progress import Progress
from seeds.files.cells import CellError
from seeds.files.named_columns import NamedColumns
from seeds.files.rating_cells import DayOrder, Times
from seeds.files.records import Record, records
from seeds.files.report import Report, Sample, Skipped, SourceError, shown

BATCH = 10_000
_PARTITION = 0
_MILLISECONDS = 100_000_000_000  # a number of seconds in the year 5138, and of milliseconds in 1973
HEAD_BYTES = 1 << 16
_LAST = "SELECT coalesce(max(id), 0) FROM dead_letters"
_EXAMPLES = """
SELECT reason || ': ' || rule, position, raw_line, count FROM (
    SELECT *, row_number() OVER named AS place, count(*) OVER (PARTITION BY reason, rule) AS count
    FROM dead_letters WHERE stream = %s AND id > %s
    WINDOW named AS (PARTITION BY reason, rule ORDER BY id)
) AS letters WHERE place <= %s ORDER BY 1, 2
"""
# Names of each column in order of precedence, without case and punctuation.
COLUMNS = NamedColumns(
    {
        "user": ["user", "userid", "member", "memberid", "customer", "customerid", "account", "accountid"],
        "movie": ["movie", "movieid", "item", "itemid", "sku", "content", "contentid", "externalid"],
        "kind": ["kind", "event", "eventtype", "type", "action"],
        "time": ["time", "timestamp", "occurredat", "eventtime", "at", "date", "datetime", "createdat"],
        "value": ["value", "rating", "stars"],
        "minutes": ["minutes", "watchedminutes"],
        "fraction": ["fraction", "watchedfraction", "progress"],
        "id": ["id", "eventid", "idempotencykey"],
        "requestId": ["requestid", "request"],
        "position": ["position", "rank"],
    },
    needed=["user", "movie", "time"],
)
KEYS = {
    MovieIds.EXTERNAL: "externalId",
    MovieIds.TMDB: "tmdbId",
    MovieIds.IMDB: "imdbId",
    MovieIds.MOVIELENS: "movielensId",
}
NUMBERS = (MovieIds.TMDB, MovieIds.MOVIELENS)


@dataclass(frozen=True, slots=True)
class EventOptions:
    """Options to read a file. kind: of rows without one."""

    source: str
    names: NamedColumns
    kind: str | None = None
    day_order: DayOrder | None = None
    movie_ids: MovieIds = MovieIds.EXTERNAL


def load(store: Store, path: Path, options: EventOptions, progress: Progress) -> tuple[Counter[str], Report]:
    """Store the events of a file; return their number by outcome, and what was refused.

    Refused events can be replayed: `marquee ingest dead replay`. Raises SourceError.
    """
    report = Report(options.source)
    stream = Stream(_name_of(path), options.source)
    ((before,),) = store.connection.execute(_LAST).fetchall()
    begin = store.positions(stream.name).get(_PARTITION, 0)
    counts: Counter[str] = Counter()
    times = Times(options.day_order, _ambiguous)
    found = records(path, options.names, report)
    lines = (Line(_PARTITION, record.line, _event(record, options, times)) for record in found)
    new = (line for line in lines if line.position >= begin)
    while batch := list(islice(new, BATCH)):
        counts += store.store(stream, Batch(batch, {_PARTITION: batch[-1].position + 1}))
        progress(f"{counts.total():,} events", 0.0)
    letters = store.connection.execute(_EXAMPLES, (stream.name, before, EXAMPLES))
    for reason, line, text, count in letters.fetchall():
        entry = report.skipped.setdefault(reason, Skipped(count))
        entry.samples.append(Sample(str(path), line, shown(text)))
    return Counter({outcome: counts[outcome] for outcome in (STORED, REPEATED)}), report


def _name_of(path: Path) -> str:
    """The stream of a file: its name and beginning, so that another file with the name is another stream."""
    with path.open("rb") as file:
        return f"load:{path.name}@{sha256(file.read(HEAD_BYTES)).hexdigest()[:12]}"


def _ambiguous() -> DayOrder:
    raise SourceError("dates such as 01/02/2014 are ambiguous: use --dates DMY or --dates MDY")


def _event(record: Record, options: EventOptions, times: Times) -> bytes:
    """The JSON event of a record; what is wrong in it is refused later, with its reason."""
    if record.values.get("version") is not None and isinstance(record.values.get("movie"), dict):
        return orjson.dumps(record.values, default=str)
    values = {role: record.values[name] for role, name in options.names.layout(list(record.values)).items()}
    event: dict[str, Any] = {"version": 1, "kind": values.get("kind") or options.kind}
    for name in ("id", "requestId"):
        if values.get(name) not in (None, ""):
            event[name] = str(values[name])
    for name in ("value", "minutes", "fraction", "position"):
        if values.get(name) not in (None, ""):
            event[name] = _number(values[name])
    event["user"] = _id(values.get("user"))
    event["movie"] = _movie(values.get("movie"), options.movie_ids)
    event["time"] = _time(values.get("time"), times)
    if isinstance(event["kind"], str):
        event["kind"] = event["kind"].strip().lower()
    return orjson.dumps(event, default=str)


def _movie(value: Any, ids: MovieIds) -> Any:
    if isinstance(value, dict):
        return value
    return {KEYS[ids]: _number(value) if ids in NUMBERS else _id(value)}


def _id(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.strip() if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """The number of a text; another text as it is, which is refused later."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    if not math.isfinite(number):
        return value
    return int(number) if number.is_integer() else number


def _time(value: Any, times: Times) -> Any:
    """The time as ISO 8601, from a date, a number of seconds or milliseconds, or a text."""
    if isinstance(value, datetime | date):
        at = (
            value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
        )
        return at.isoformat()
    seconds = _number(value)
    if isinstance(seconds, str):
        try:
            seconds, _ = times.read(seconds)
        except CellError:
            return value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return value
    if seconds >= _MILLISECONDS:
        seconds /= 1_000
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(value)
