"""Compare the charge for each field of the schema with its processor time.

    python -m bench.cost [--only TEXT] [--json FILE] [--page FILE]

Starts a service on the bundled catalog without rate limits. A member with hundreds of ratings and thousands
of events sends each operation repeatedly. The processor time of the service and of its Postgres is measured.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from strawberry.types.graphql import OperationType

from app.settings import Settings
from app.web.budget import charge
from bench.cost.accounts import Client, Rig
from bench.cost.operation import Operation, Request
from bench.cost.operations import OPERATIONS
from bench.cost.report import DATA, Measurement, figures, leveled, page, row
from bench.figures import write
from bench.processes.start_service import Service, started
from schema import schema
from schema.execution.documents import CostedOperation, DocumentCache

MAX_COST = 10**9
UNLIMITED = {
    "REQUESTS_PER_MINUTE": "0",
    "OPERATIONS_PER_MINUTE": "0",
    "COST_PER_MINUTE": "0",
    "MAX_COST": str(MAX_COST),
    "EXECUTION_SECONDS": "120",
    "POLL_SECONDS": "60",  # keeps background work low
}
SECONDS = 1.0  # for each operation
REFERENCE = OPERATIONS["plain fields"]
WARM_UPS = 2
IDLE_SECONDS, STEP_SECONDS = 3.0, 0.02
MIN_TIMES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="measure only operations whose name contains this text")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--page", type=Path, help="write a Markdown page to this file")
    options = parser.parse_args()
    measurements = []
    with started(**UNLIMITED) as service:
        for measurement in measure_all(service, options.only):
            measurements.append(measurement)
            print(row(measurement), flush=True)  # noqa: T201 - it is a command
    measurements = leveled(measurements)
    for figure in figures(measurements):
        print(f"{figure.key}: {figure.value:.1f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, DATA, figures(measurements))
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(page(measurements), encoding="utf-8")


def measure_all(service: Service, only: str = "") -> Iterator[Measurement]:
    rig = Rig(service)
    documents = DocumentCache(schema._schema, Settings())  # noqa: SLF001 - graphql-core's
    assert rig.member
    for name, operation in OPERATIONS.items():
        if only in name:
            yield measure(rig, documents, name, operation)


def measure(rig: Rig, documents: DocumentCache, name: str, operation: Operation) -> Measurement:
    """Raises AssertionError for an operation that fails."""
    start = time.perf_counter()
    for _ in range(min(WARM_UPS, operation.times)):
        send(rig, operation, operation.make(rig), check=True)
    seconds = (time.perf_counter() - start) / WARM_UPS
    times = max(MIN_TIMES, min(operation.times, int(SECONDS / seconds)))
    requests = [operation.make(rig) for _ in range(times)]
    document = documents.read(operation.document)
    prices = [
        CostedOperation.of(
            document, document.operation(None), each.variables, MAX_COST, signed_in=each.member is not None
        ).requested
        for each in requests
    ]
    if operation.trigger:
        trigger = documents.read(operation.trigger)
        prices = [
            price + CostedOperation.of(trigger, trigger.operation(None), {}, MAX_COST).requested
            for price in prices
        ]
    may_return = document.kind(None) is OperationType.QUERY
    spent, reference, charges = [], [], []
    for each, price in zip(requests, prices, strict=True):
        times_of_one, answer = microseconds(rig, operation, each)
        spent.append(times_of_one)
        wait_until_idle(rig.service)  # else work that the request causes later counts for the reference
        send(rig, REFERENCE, Request())  # makes what a change of the catalog has dropped
        reference.append(sum(microseconds(rig, REFERENCE, Request())[0]))
        actual = price if answer is None else answer["extensions"]["cost"]["actual"]
        charges.append(charge(price, actual, may_return=may_return))
    service, postgres = (median(column) for column in zip(*spent, strict=True))
    return Measurement(name, median(prices), median(charges), service, postgres, median(reference), times)


def microseconds(rig: Rig, operation: Operation, request: Request) -> tuple[list[float], Any]:
    """Processor time that one request takes in the service and in its Postgres, and its answer."""
    before = processor_time(rig.service)
    answer = send(rig, operation, request)
    after = processor_time(rig.service)
    return [grown(*both) / 1_000 for both in zip(before, after, strict=True)], answer


def send(rig: Rig, operation: Operation, request: Request, *, check: bool = False) -> Any:
    """The answer; None of a stream."""
    if operation.streams:
        Client(rig.service.url).first_event(operation.document, request.variables, request.member)
        return None
    answer = rig.client.post(operation.document, request.variables, request.member)
    assert not check or "errors" not in answer, (operation.document, answer["errors"])
    return answer


def wait_until_idle(service: Service) -> None:
    """Wait until the service and its Postgres take less than a tenth of a core, at most IDLE_SECONDS."""
    deadline = time.monotonic() + IDLE_SECONDS
    before = processor_time(service)
    while time.monotonic() < deadline:
        time.sleep(STEP_SECONDS)
        after = processor_time(service)
        if sum(map(grown, before, after)) < STEP_SECONDS * 1e8:
            return
        before = after


def processor_time(service: Service) -> tuple[dict[int, int], dict[int, int]]:
    """Nanoseconds of processor time so far, of the service by thread and of its Postgres by process.

    Without autovacuum, which begins at any time.
    """
    threads = Path(f"/proc/{service.pid}/task").glob("*/schedstat")
    backends = (
        child.pid
        for child in psutil.Process(service.postmaster).children()
        if "autovacuum" not in title(child)
    )
    return (
        {int(thread.parent.name): nanoseconds(thread) for thread in threads},
        {pid: nanoseconds(Path(f"/proc/{pid}/schedstat")) for pid in backends},
    )


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended
        return ""


def grown(before: dict[int, int], after: dict[int, int]) -> int:
    """The sum of what each has grown by. One that has ended meanwhile is not counted."""
    return sum(value - before.get(key, 0) for key, value in after.items() if value > before.get(key, 0))


def nanoseconds(schedstat: Path) -> int:
    with suppress(OSError, ValueError):  # the thread or process has ended
        return int(schedstat.read_text().partition(" ")[0])
    return 0


if __name__ == "__main__":
    main()
