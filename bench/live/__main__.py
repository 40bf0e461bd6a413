"""Run the live system until Ctrl-C: Kafka, service, ingester, Prometheus, and a simulated stream.

    python -m bench.live [--members 300] [--rate 100] [--visits 0] [--data .data/live]

Every 10 seconds a line has the events produced and stored, those waiting (lag), those refused (dead letters),
and the first two movies of the next list of a streamed member, with the request id of that list. With
--visits the members also look at their lists, and click on movies to their taste: `bench/live/viewers.py`.
The database is kept for the next start, except for the streamed members; Kafka begins with an empty topic
each time.
"""

import argparse
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType

import httpx
import psycopg
from confluent_kafka import KafkaException

from app.db.embedded import EmbeddedPostgresError
from bench.live.observe import Observer, delete_members, observer
from bench.live.parts import PartFailed, Parts, start_ingester, start_prometheus, start_service
from bench.live.stream import TOPIC, Player, simulated
from bench.live.viewers import Viewers
from bench.processes.free_port import free_port
from bench.processes.keep_postgres import kept_postgres
from bench.processes.start_broker import Broker, BrokerError, fetched, running_broker

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICK_SECONDS = 0.05
PORT, METRICS_PORTS, PROMETHEUS_PORT = 8000, (9464, 9465), 9090  # others if these are in use


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--members", type=int, default=300, help="streamed members")
    parser.add_argument("--rate", type=float, default=100.0, help="events a second")
    parser.add_argument("--visits", type=float, default=0.0, help="lists a second that members look at")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between lines")
    parser.add_argument("--data", type=Path, default=Path(".data/live"), help="folder of the database")
    options = parser.parse_args()
    if options.members < 1 or options.rate <= 0 or options.every <= 0 or options.visits < 0:
        parser.error("--members, --rate and --every must be above 0, and --visits not below 0")
    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        run(options)
    except KeyboardInterrupt:
        say("Everything is stopped.")
    except (BrokerError, PartFailed, EmbeddedPostgresError, KafkaException) as error:
        say(f"Everything is stopped: {error}")
        sys.exit(1)


def run(options: argparse.Namespace) -> None:
    """Start the parts, play the stream, and stop the parts at the end."""
    fetched()  # Java and Maven are needed: say so before anything starts
    data = options.data.resolve()
    with temporary_folder() as folder, ExitStack() as stack:
        say("Starting the broker")
        broker = stack.enter_context(running_broker(folder / "kafka"))
        metrics, of_ingester = (f"127.0.0.1:{usable(port)}" for port in METRICS_PORTS)
        settings = {
            "DATA_DIR": str(data),
            "HOST": "127.0.0.1",
            "PORT": str(usable(PORT)),
            "METRICS_PORT": metrics.partition(":")[2],
            "KAFKA_BROKERS": broker.address,
            "COLUMNS": "200",
        }
        parts = Parts(folder, settings)
        database_url = stack.enter_context(kept_postgres(data))  # its keeper stops it
        stack.callback(parts.stop)
        stack.callback(ignore_signals)  # the first step of the end: nothing interrupts it
        parts.watch_broker(broker)
        say("Starting the service; the first start prepares its database and trains a model")
        _, url = start_service(parts)
        prometheus = start_prometheus(parts, usable(PROMETHEUS_PORT), metrics, of_ingester)
        delete_members(database_url)
        player = Player(broker.address, simulated(options.members), options.rate)
        stack.callback(player.close)
        stack.callback(ignore_signals)
        start_ingester(parts, TOPIC, of_ingester)
        seen = observer(url, database_url, broker.address, data)
        if options.visits:
            viewers = Viewers(url, database_url, seen.settings, options.members, options.visits)
            viewers.start()
            stack.callback(viewers.close)
        announce(url, (metrics, of_ingester), prometheus, broker, options)
        try:
            play(parts, player, seen, options.every)
        except PartFailed as error:
            say(f"Stopping the others, since {error.part} has ended")
            raise


def announce(
    url: str,
    metrics: Sequence[str],
    prometheus: str | None,
    broker: Broker,
    options: argparse.Namespace,
) -> None:
    say(f"GraphiQL    {url}/graphql")
    say(f"Metrics     {' and '.join(f'http://{each}/metrics' for each in metrics)}")
    say(f"Prometheus  {prometheus or 'is not installed (Debian: prometheus)'}")
    say(f"Kafka       {broker.address}, topic {TOPIC}")
    say(f"Trace       DATA_DIR={options.data} .venv/bin/marquee trace REQUEST_ID")
    say(f"The stream has {options.rate:g} events a second of {options.members} members. Ctrl-C stops it.")


def play(parts: Parts, player: Player, observed: Observer, every: float) -> None:
    """Send the stream, and print a line after each period. Raises PartFailed if a part ends."""
    due = player.began + every
    while True:
        player.send_due()
        parts.check()
        if time.monotonic() >= due:
            say(line(player, observed))
            due += every
        time.sleep(TICK_SECONDS)


def line(player: Player, observed: Observer) -> str:
    at = f"{datetime.now():%H:%M:%S}  produced {player.acknowledged:,}"  # noqa: DTZ005 - for a person
    try:
        counts, movies = observed.counts(), observed.next_list()
    except psycopg.OperationalError as error:
        return f"{at}, Postgres does not answer: {error}"
    except httpx.HTTPError as error:
        return f"{at}, the service does not answer: {error}"
    lag = max(0, player.acknowledged - counts.read)
    stored = f"stored {counts.stored:,}, repeated {counts.repeated:,}"
    return f"{at}, {stored}, lag {lag:,}, dead letters {counts.dead:,}, {movies}"


def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    ignore_signals()
    say("\nStopping")
    raise KeyboardInterrupt


def ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="marquee-live-") as name:
        yield Path(name)


def usable(port: int) -> int:
    """This port, or another one if it is in use."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return free_port()
    return port


def say(text: str) -> None:
    with suppress(OSError):  # the terminal may be closed, which is one way to stop
        print(text, flush=True)  # noqa: T201 - it is a command


if __name__ == "__main__":
    main()
