"""Ingest events of other systems: `marquee ingest`."""

import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from app import console
from app.accounts.external_members import is_source
from app.cli.database import database, with_sessions
from app.cli.options import FILE, Json, show
from app.cli.row_report import wrapped
from app.db.engine import Sessions, psycopg_url
from app.db.notifications import kept_alive
from app.ingest import dead_letters, event_files, streams
from app.ingest.store_events import Store
from app.ingest.stream_events import Refusal
from app.ingest.stream_movies import Connection
from app.settings import Settings
from recommender.extras import install_command

SHOWN = 120  # characters of a dead letter's line
REPLAYED_AT_ONCE = 5_000
BEYOND_ALL = 2**63 - 1

app = typer.Typer(
    help="Ingest ratings and events of other systems, from files or Kafka.", no_args_is_help=True
)
dead = typer.Typer(help="List and replay refused events.", no_args_is_help=True)
app.add_typer(dead, name="dead")


def source_of(text: str | None) -> str | None:
    if text is not None and not is_source(text):
        raise typer.BadParameter("use 1 to 64 lower-case letters, digits and `.`, `_` or `-`")
    return text


Source = Annotated[
    str,
    typer.Option(
        "--source", help="The source of events that name none; its users are members of their own.",
        callback=source_of,
    ),
]  # fmt: skip
OfReason = Annotated[Refusal | None, typer.Option("--reason", help="Only events refused for this reason.")]


@app.command("file")
def ingest_file(
    paths: Annotated[list[Path], typer.Argument(help="Files with an event in each line.", **FILE)],
    source: Source = "events",
    json: Json = False,
) -> None:
    """Store the events of files; a file that was read before is continued."""
    total: Counter[str] = Counter()
    with store() as (opened, _, _), console.progress("Ingesting") as progress:
        for path in paths:
            total += event_files.ingest(path, source, opened, progress)
    show_counts(total, json=json)


@app.command("kafka")
def ingest_kafka(
    topics: Annotated[list[str], typer.Argument(help="The topics.")],
    brokers: Annotated[str | None, typer.Option(help="host:port, comma-separated.")] = None,
    group: Annotated[str, typer.Option(help="The consumer group, which shares the partitions.")] = "marquee",
    source: Annotated[
        str | None,
        typer.Option(
            help="The source of events that name none; default: the topic's name.", callback=source_of
        ),
    ] = None,
    properties: Annotated[
        Path | None, typer.Option(help="A file of properties of librdkafka: name=value lines.", **FILE)
    ] = None,
    batch: Annotated[int, typer.Option(help="The most events of a transaction.", min=1, max=50_000)] = 10_000,
    to_end: Annotated[bool, typer.Option("--to-end", help="Stop at the end of the partitions.")] = False,
    json: Json = False,
) -> None:
    """Store the events of Kafka topics until it is stopped."""
    try:
        from app.ingest import kafka, kafka_topics, stream_metrics  # noqa: PLC0415 - an extra, which other commands do not need
    except ModuleNotFoundError:
        raise console.fail(f"Kafka needs the extra `kafka`: {install_command('kafka')}") from None
    if source is None and (unusable := [name for name in topics if not is_source(name)]):
        raise typer.BadParameter(f"--source is needed: {unusable[0]} cannot be the name of a source")
    with store() as (opened, settings, address), stopped_by_signals() as stopping:
        try:
            given = properties_in(properties or settings.kafka_properties)
            servers = brokers or settings.kafka_brokers or given.get("bootstrap.servers")
            if servers is None:
                raise typer.BadParameter("set KAFKA_BROKERS, or give --brokers")
            given |= {"bootstrap.servers": servers}
            consumer = kafka_topics.consumer_of(given, group)
            found = kafka_topics.read_topics(given, topics, source, stopping)
            ingester = kafka.Ingester(consumer, found, opened, lambda: connect(address), stopping, batch)
            with stream_metrics.served(ingester.metrics, settings):
                total = ingester.run(to_end=to_end)
        except kafka_topics.Stopping:
            total = Counter()
        except kafka_topics.KafkaFailure as error:
            raise console.fail(str(error)) from None
    show_counts(total, json=json)


def properties_in(path: Path | None) -> dict[str, str]:
    """Read a file of properties, with comments after # at the beginning of a line."""
    lines = path.read_text().splitlines() if path else []
    pairs = (line.partition("=") for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set, so that a batch is finished."""
    stopping = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stopping.set())
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@app.command("status")
def show_status(json: Json = False) -> None:
    """Show the streams with their lag and counts, the latest first."""
    found = with_sessions(lambda sessions, _: streams.states(sessions))
    if json:
        show(found, json=True)
        return
    for state in found:
        counts = ", ".join(f"{outcome} {events:,}" for outcome, events in state.counts.items())
        typer.echo(f"{state.stream}: lag {state.lag:,}, {state.stored_at:%Y-%m-%d %H:%M:%S}")
        typer.echo(wrapped(f"  {counts}", shutil.get_terminal_size((0, 0)).columns))
    if not found:
        typer.echo("No streams.")


@dead.command("list")
def list_dead(
    reason: OfReason = None,
    first: Annotated[int, typer.Option(help="The number of events, newest first.", min=1, max=1000)] = 20,
    json: Json = False,
) -> None:
    """List refused events and the number of all of them by reason."""

    async def read(
        sessions: Sessions, _: Settings
    ) -> tuple[list[dead_letters.DeadLetterEntry], dict[Refusal, int]]:
        entries = await dead_letters.entries(sessions, first, reason=reason)
        return entries, await dead_letters.count_by_reason(sessions)

    entries, counts = with_sessions(read)
    if json:
        show(
            {"counts": {reason.value: count for reason, count in counts.items()}, "deadLetters": entries},
            json=True,
        )
        return
    for entry in entries:
        place = f"{entry.stream}, partition {entry.partition}, position {entry.position}"
        line = "".join(char if char.isprintable() else "\ufffd" for char in entry.raw_line[:SHOWN])
        typer.echo(f"{entry.reason} at {place}: {entry.rule}\n  {line}")
    show_counts(counts, json=False)


@dead.command("replay")
def replay_dead(reason: OfReason = None, json: Json = False) -> None:
    """Store refused events that are valid now, as after a movie was added; the others remain."""
    total: Counter[str] = Counter()
    before: int | None = BEYOND_ALL
    with store() as (opened, _, _), console.progress("Replaying") as progress:
        while before is not None:
            counts, before = opened.replay(REPLAYED_AT_ONCE, before, reason)
            total += counts
            progress(f"{total.total():,} events", 0.0)
    show_counts(total, json=json)


@contextmanager
def store() -> Iterator[tuple[Store, Settings, str]]:
    """Yield a store of events on a connection of its own, with the settings and the address."""
    with database() as (settings, url):
        address = psycopg_url(url)
        opened = Store(connect(address), settings)
        try:
            yield opened, settings, address
        finally:
            opened.connection.close()


def connect(address: str) -> Connection:
    waiting = kept_alive(address, connect_timeout="10")
    return psycopg.connect(waiting, application_name="marquee ingest", autocommit=True)


def show_counts(counts: Mapping[Refusal, int] | Mapping[str, int], *, json: bool) -> None:
    if json:
        show(dict(counts), json=True)
        return
    for outcome, events in sorted(counts.items()):
        typer.echo(f"{outcome}: {events:,}")
    if not counts:
        typer.echo("No events.")
