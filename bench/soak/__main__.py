"""Load of all kinds for a set time, against real processes.

    python -m bench.soak --seconds 900 [--rate 15] [--events 100] [--json FILE] [--page FILE]

Starts Kafka, the service and one `marquee ingest kafka` on a temporary database with the bundled catalog.
Members browse, search, ask for recommendations, rate and give feedback over HTTP; a simulated stream runs
over Kafka; in the middle a model is trained and activated. Reports latencies by operation, errors by code,
memory and lag.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from app.db.embedded import embedded_postgres
from bench.figures import ROOT, write
from bench.live.observe import Observer, observer
from bench.live.parts import Part, PartFailed, Parts, start_ingester, start_service
from bench.live.stream import TOPIC, Player, simulated
from bench.overload import NO_LIMITS
from bench.processes.start_broker import BrokerError, running_broker
from bench.processes.start_service import PROGRAM
from bench.soak.load import ACTIVE, LOG_IN, PASSWORD, TRAIN, Load
from bench.soak.report import Run, Sample, Training, figures, page, percentile

PAGE = ROOT / "docs" / "bench" / "soak.md"
STREAMED_MEMBERS = 300
SAMPLES, TICK_SECONDS, POLL_SECONDS = 60, 0.05, 0.5
ADMIN = "soak-admin"
MEGABYTE = 2**20


@dataclass(slots=True)
class System:
    """The processes under load."""

    parts: Parts
    service: Part
    ingester: Part
    load: Load
    player: Player
    observed: Observer
    admin: str = ""  # the token of an administrator
    samples: list[Sample] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--rate", type=float, default=15.0, help="operations a second over HTTP")
    parser.add_argument("--events", type=float, default=100.0, help="events a second over Kafka")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, default=PAGE, help="write a Markdown page to this file")
    options = parser.parse_args()
    if min(options.seconds, options.rate, options.events) <= 0:
        parser.error("--seconds, --rate and --events must be above 0")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with started(options.rate, options.events) as system:
            run = asyncio.run(measured(system, options.seconds))
    except (BrokerError, PartFailed) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    found = figures(run)
    for figure in found:
        print(f"{figure.key}: {figure.value:,.1f} {figure.unit}")  # noqa: T201 - it is a command
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page(run, found), encoding="utf-8")
    if options.json:
        write(options.json, f"{options.seconds:g} s on the bundled catalog", found)


@contextmanager
def started(rate: float, events: float) -> Iterator[System]:
    """Run the processes; their data is removed at the end. Raises BrokerError or PartFailed."""
    with tempfile.TemporaryDirectory(prefix="marquee-soak-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # under root, Postgres runs as another account
        broker = stack.enter_context(running_broker(folder / "kafka"))
        settings = {
            "DATA_DIR": str(folder / "data"),
            "PORT": "0",
            "KAFKA_BROKERS": broker.address,
            "COLUMNS": "200",
        }
        longer = {"ACCESS_TOKEN_SECONDS": str(7 * 86_400)}
        parts = Parts(folder, settings | NO_LIMITS | longer)
        database_url = stack.enter_context(embedded_postgres(folder / "data"))
        stack.callback(parts.stop)
        parts.watch_broker(broker)
        service, url = start_service(parts)
        make_admin(parts)
        player = Player(broker.address, simulated(STREAMED_MEMBERS), events)
        stack.callback(player.close)
        ingester = start_ingester(parts, TOPIC)
        observed = observer(url, database_url, broker.address, folder / "data")
        yield System(parts, service, ingester, Load(url, rate), player, observed)


def make_admin(parts: Parts) -> None:
    environment = parts.environment() | {"ADMIN_PASSWORD": PASSWORD}
    command = [*PROGRAM, "create-admin", ADMIN]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command


async def measured(system: System, seconds: float) -> Run:
    """Load the system for this time. Raises PartFailed if a part ends."""
    load, middle = system.load, seconds / 2
    await load.prepare()
    answer = await load.ask(LOG_IN, {"name": ADMIN, "password": PASSWORD})
    system.admin = answer["logIn"]["accessToken"]
    beside = [asyncio.ensure_future(each) for each in (streamed(system), sampled(system, seconds / SAMPLES))]
    training = asyncio.ensure_future(trained(system, middle))
    running = asyncio.ensure_future(load.run(seconds))
    await asyncio.wait([running, *beside], return_when=asyncio.FIRST_COMPLETED)
    result = training.result() if training.done() else Training(middle, None)
    for each in (*beside, training):
        if each.done():
            each.result()  # raises what ended it
        each.cancel()
    running.result()
    await load.http.aclose()
    return Run(seconds, load.rate, system.player.rate, load.latencies, load.errors, system.samples, result)


async def streamed(system: System) -> None:
    """Send the stream from now on, at its rate. Raises PartFailed if a part ends."""
    system.player.began = time.monotonic()
    while True:
        system.player.send_due()
        system.parts.check()
        await asyncio.sleep(TICK_SECONDS)


async def sampled(system: System, every: float) -> None:
    """Add a sample after each period."""
    began = time.monotonic()
    service, ingester = (psutil.Process(part.process.pid) for part in (system.service, system.ingester))
    before: dict[str, int] = {}
    while True:
        await asyncio.sleep(every)
        latencies = [
            value for name, values in system.load.latencies.items() for value in values[before.get(name, 0) :]
        ]
        before = {name: len(values) for name, values in system.load.latencies.items()}
        sent = system.player.acknowledged
        counts = await asyncio.to_thread(system.observed.counts)
        system.samples.append(
            Sample(
                seconds=time.monotonic() - began,
                answered=len(latencies),
                p99=percentile(latencies, 99),
                service=service.memory_info().rss / MEGABYTE,
                ingester=ingester.memory_info().rss / MEGABYTE,
                lag=max(0, sent - counts.read),
                stored=counts.stored,
                dead=counts.dead,
            )
        )


async def trained(system: System, at: float) -> Training:
    """Request a training at this time, and wait until its model is active."""
    await asyncio.sleep(at)
    load, began = system.load, time.monotonic()
    before = await load.ask(ACTIVE, {}, system.admin)
    answer = await load.ask(TRAIN, {}, system.admin)
    if answer["trainModel"]["__typename"] != "TrainModelPayload":
        raise RuntimeError(str(answer))
    while await load.ask(ACTIVE, {}, system.admin) == before:  # noqa: ASYNC110 - another process activates it
        await asyncio.sleep(POLL_SECONDS)
    return Training(at, time.monotonic() - began)


if __name__ == "__main__":
    main()
