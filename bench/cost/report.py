"""Figures and the page of `bench.cost`: what one charged unit buys in processor time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench.cost.accounts import EVENTS, RATINGS
from bench.figures import Figure, commit, hardware

RATIO = 3.0  # target: the largest over the smallest processor time per unit
DATA = f"the bundled catalog; a member with {RATINGS} ratings and {EVENTS:,} events"


@dataclass(frozen=True, slots=True)
class Measurement:
    """Medians over the requests of one operation, which other work of the process affects little.

    price: the static cost in units. charged: units in the end. service, postgres: processor time in
    microseconds. reference: that of an operation that never changes, measured in turn with this one; it
    shows the speed of the machine then.
    """

    name: str
    price: float
    charged: float
    service: float
    postgres: float
    reference: float
    times: int

    @property
    def per_unit(self) -> float:
        return (self.service + self.postgres) / self.charged


def leveled(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Scale all times to the median speed of the machine, and the charges above the static cost.

    Such a charge is the actual cost, a time in units. It does not go below the static cost.
    """
    usual = median(each.reference for each in measurements)
    return [
        replace(
            each,
            charged=max(each.price, each.charged * usual / each.reference)
            if each.charged > each.price
            else each.charged,
            service=each.service * usual / each.reference,
            postgres=each.postgres * usual / each.reference,
            reference=usual,
        )
        for each in measurements
    ]


def figures(measurements: Sequence[Measurement]) -> list[Figure]:
    per_unit = [each.per_unit for each in measurements]
    return [
        *(Figure(f"{each.name}/us per unit", each.per_unit, "us") for each in measurements),
        Figure("median/us per unit", median(per_unit), "us"),
        Figure("ratio of largest to smallest", max(per_unit) / min(per_unit), "", RATIO, at_most=True),
    ]


def row(measurement: Measurement) -> str:
    return (
        f"| {measurement.name} | {measurement.price:,.0f} | {measurement.charged:,.0f} | "
        f"{measurement.service / 1_000:.2f} ms | {measurement.postgres / 1_000:.2f} ms | "
        f"{measurement.per_unit:.1f} | {measurement.times} |"
    )


def page(measurements: Sequence[Measurement]) -> str:
    """Markdown: a row for each operation, the most expensive unit first, and the ratio."""
    by_key = {figure.key: figure for figure in figures(measurements)}
    ratio = by_key["ratio of largest to smallest"]
    lines = [
        "# What fields cost",
        "",
        f"`make bench-cost` at {commit()} on {hardware()}, with {DATA}.",
        "",
        "Each field with a resolver is measured in an operation of its own. Price: the units charged before",
        "execution. Charged: those in the end, by the actual cost. Times are medians over the requests, in",
        "processor time. Times, and charges above the price, are scaled by the time of a reference operation",
        "(`plain fields`), measured in turn, because other work slows the machine. The target is that a",
        "charged unit buys about the same processor time everywhere.",
        "",
        "| operation | price | charged | service | Postgres | us per unit | times |",
        "|---|---|---|---|---|---|---|",
        *map(row, sorted(measurements, key=lambda each: -each.per_unit)),
        "",
        (
            f"Median: {by_key['median/us per unit'].value:.1f} us. Largest to smallest: {ratio.value:.2f} "
            f"(target: {RATIO:g} at most; {'holds' if ratio.holds else 'missed'})."
        ),
        "",
    ]
    return "\n".join(lines)
