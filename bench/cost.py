"""What each field of the schema costs, announced and measured.

    python -m bench.cost [--only TEXT] [--json FILE] [--page FILE]

A service is started for it on the bundled catalogue, without limits on rates. A member with hundreds of
ratings and thousands of events asks an operation for each field that works, again and again. Measured is
the processor time of the service and of its Postgres.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from app.settings import Settings
from bench.cost_member import EVENTS, RATINGS, Client, Rig
from bench.cost_operations import OPERATIONS, Asked, Operation
from bench.figures import Figure, commit, hardware, write
from bench.start_service import Service, started
from schema import schema
from schema.execution.documents import CostedOperation, Document, DocumentCache

MOST = 10**9
UNLIMITED = {
    "REQUESTS_PER_MINUTE": "0",
    "OPERATIONS_PER_MINUTE": "0",
    "COST_PER_MINUTE": "0",
    "MAX_COST": str(MOST),
    "EXECUTION_SECONDS": "120",
    "POLL_SECONDS": "60",  # so that little else is done
}
SECONDS = 1.0  # for each operation
REFERENCE = OPERATIONS["plain fields"]
WARM_UPS = 2
LEAST = 3  # times
RATIO = 3.0  # of the most to the least processor time that a unit buys
DATA = f"the bundled catalogue; a member with {RATINGS} ratings and {EVENTS:,} events"


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of one request: other work of the process falls into few of them.

    `price` in units, times in microseconds. `reference` is what an operation that never changes took at the
    same time, which says how fast the machine was.
    """

    name: str
    price: float
    service: float
    postgres: float
    reference: float
    times: int

    @property
    def per_unit(self) -> float:
        return (self.service + self.postgres) / self.price


def leveled(found: list[Measured]) -> list[Measured]:
    """As if the machine had been equally fast all the time."""
    usual = median(each.reference for each in found)
    return [
        replace(
            each,
            service=each.service * usual / each.reference,
            postgres=each.postgres * usual / each.reference,
            reference=usual,
        )
        for each in found
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="operations whose name has this text")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--page", type=Path, help="where to write them to be read, in Markdown")
    options = parser.parse_args()
    found = []
    with started(**UNLIMITED) as service:
        for measured in measurements(service, options.only):
            found.append(measured)
            print(row(measured), flush=True)  # noqa: T201 - it is a command
    found = leveled(found)
    for figure in figures(found):
        print(f"{figure.key}: {figure.value:.1f} {figure.unit}")  # noqa: T201 - it is a command
    if options.json:
        write(options.json, DATA, figures(found))
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(page(found), encoding="utf-8")


def measurements(service: Service, only: str = "") -> Iterator[Measured]:
    rig = Rig(service)
    documents = DocumentCache(schema._schema, Settings())  # noqa: SLF001 - graphql-core's
    assert rig.member
    for name, operation in OPERATIONS.items():
        if only in name:
            yield measured(rig, documents, name, operation)


def price(document: Document, variables: Mapping[str, Any], *, signed_in: bool) -> int:
    return CostedOperation.of(document, None, variables, MOST, signed_in=signed_in).requested


def measured(rig: Rig, documents: DocumentCache, name: str, operation: Operation) -> Measured:
    """Raises AssertionError for an operation that fails."""
    begun = time.perf_counter()
    for _ in range(min(WARM_UPS, operation.times)):
        ask(rig, operation, operation.make(rig), check=True)
    seconds = (time.perf_counter() - begun) / WARM_UPS
    times = max(LEAST, min(operation.times, int(SECONDS / seconds)))
    asked = [operation.make(rig) for _ in range(times)]
    document = documents.read(operation.document)
    prices = [price(document, each.variables, signed_in=each.member is not None) for each in asked]
    if operation.besides:
        besides = price(documents.read(operation.besides), {}, signed_in=True)
        prices = [each + besides for each in prices]
    spent, reference = [], []
    for each in asked:
        spent.append(microseconds(rig, operation, each))
        reference.append(sum(microseconds(rig, REFERENCE, Asked())))
    service, postgres = (median(column) for column in zip(*spent, strict=True))
    return Measured(name, median(prices), service, postgres, median(reference), times)


def microseconds(rig: Rig, operation: Operation, asked: Asked) -> list[float]:
    """That one request takes of the service and of its Postgres."""
    before = processor_time(rig.service)
    ask(rig, operation, asked)
    after = processor_time(rig.service)
    return [(then - now) / 1_000 for now, then in zip(before, after, strict=True)]


def ask(rig: Rig, operation: Operation, asked: Asked, *, check: bool = False) -> None:
    if operation.streams:
        Client(rig.service.url).first_event(operation.document, asked.variables, asked.member)
        return
    answer = rig.client.ask(operation.document, asked.variables, asked.member)
    assert not check or "errors" not in answer, (operation.document, answer["errors"])


def processor_time(service: Service) -> tuple[int, int]:
    """Nanoseconds that the threads of the service and the processes of its Postgres have run."""
    threads = Path(f"/proc/{service.pid}/task").glob("*/schedstat")
    backends = (
        Path(f"/proc/{child.pid}/schedstat") for child in psutil.Process(service.postmaster).children()
    )
    return sum(map(nanoseconds, threads)), sum(map(nanoseconds, backends))


def nanoseconds(schedstat: Path) -> int:
    with suppress(OSError, ValueError):  # it has ended
        return int(schedstat.read_text().partition(" ")[0])
    return 0


def figures(found: list[Measured]) -> list[Figure]:
    """What is followed from one commit to the next."""
    per_unit = [each.per_unit for each in found]
    return [
        *(Figure(f"{each.name}/us per unit", each.per_unit, "us") for each in found),
        Figure("median/us per unit", median(per_unit), "us"),
        Figure("ratio of largest to smallest", max(per_unit) / min(per_unit), "", RATIO, at_most=True),
    ]


def row(measured: Measured) -> str:
    return (
        f"| {measured.name} | {measured.price:,.0f} | {measured.service / 1_000:.2f} ms | "
        f"{measured.postgres / 1_000:.2f} ms | {measured.per_unit:.1f} | {measured.times} |"
    )


def page(found: list[Measured]) -> str:
    """Markdown: each field, what a unit buys there, and the ratio."""
    by_key = {figure.key: figure for figure in figures(found)}
    ratio = by_key["ratio of largest to smallest"]
    lines = [
        "# What fields cost",
        "",
        f"`make bench-cost` at {commit()} on {hardware()}, with {DATA}.",
        "",
        "Each field that works is asked in an operation of its own. Price: what the operation is charged",
        "before it is executed. Times are medians of one request. They are longer on a machine with other",
        "work, and leveled by what one page (`plain fields`) took at the same time. What counts is that a",
        "unit buys about the same everywhere.",
        "",
        "| operation | price | service | Postgres | us per unit | times |",
        "|---|---|---|---|---|---|",
        *map(row, sorted(found, key=lambda each: -each.per_unit)),
        "",
        (
            f"Median: {by_key['median/us per unit'].value:.1f} us. Largest to smallest: {ratio.value:.2f} "
            f"(target: {RATIO:g} at most; {'holds' if ratio.holds else 'missed'})."
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
