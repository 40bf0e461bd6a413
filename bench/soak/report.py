"""Figures and the page of the soak test."""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.figures import Figure, commit, hardware

LIMITS = frozenset({"RATE_LIMITED", "OVERLOADED"})
WARM_UP = 0.2  # the share of the time that is left out of the growth of memory
ENDS = 0.2  # the share of the samples after it, at each end, that are compared
MAX_GROWTH = 3.0  # percent
ROWS = 15


@dataclass(frozen=True, slots=True)
class Sample:
    """The state at a time. Memory (RSS) in megabytes; latency in milliseconds, since the sample before."""

    seconds: float
    answered: int
    p99: float
    service: float
    ingester: float
    lag: int
    stored: int
    dead: int


@dataclass(frozen=True, slots=True)
class Training:
    """The time of a request for a training, and the seconds until its model was active; None if never."""

    at: float
    took: float | None


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float
    rate: float
    events: float
    latencies: Mapping[str, Sequence[float]]
    errors: Counter[tuple[str, str]]
    samples: Sequence[Sample]
    training: Training


def growth(samples: Sequence[Sample]) -> float:
    """Growth of the service's memory after the warm-up, in percent, by medians of the two ends."""
    end = samples[-1].seconds
    warm = [sample.service for sample in samples if sample.seconds >= WARM_UP * end]
    n = max(1, round(ENDS * len(warm)))
    return 100 * (statistics.median(warm[-n:]) / statistics.median(warm[:n]) - 1)


def percentile(values: Sequence[float], percent: int) -> float:
    return (
        statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
        if len(values) > 1
        else sum(values)
    )


def figures(run: Run) -> list[Figure]:
    found = []
    for name, latencies in run.latencies.items():
        found += [
            Figure(f"{name}/answered", len(latencies)),
            Figure(f"{name}/p50", percentile(latencies, 50), "ms"),
            Figure(f"{name}/p99", percentile(latencies, 99), "ms"),
        ]
    faults = sum(count for (_, code), count in run.errors.items() if code not in LIMITS)
    last = run.samples[-1]
    return [
        *found,
        Figure("errors that are not limits", faults, target=0, at_most=True),
        Figure("limits", run.errors.total() - faults),
        Figure("growth of the service's memory", growth(run.samples), "%", MAX_GROWTH, at_most=True),
        Figure("events stored", last.stored),
        Figure("dead letters", last.dead),
        Figure("largest lag", max(sample.lag for sample in run.samples), "events"),
        Figure("training until active", run.training.took or 0.0, "s"),
        Figure("trainings activated", run.training.took is not None, target=1),
    ]


def page(run: Run, found: Sequence[Figure]) -> str:
    grown = next(figure for figure in found if "growth" in figure.key)
    lines = [
        "# Soak test",
        "",
        *introduction(run),
        "",
        "## Operations",
        "",
        "| operation | answered | p50 | p99 | slowest |",
        "|---|--:|--:|--:|--:|",
        *operations(run),
        "",
        *errors(run),
        "",
        "## Over time",
        "",
        *memory(grown),
        "",
        *over_time(run.samples),
        "",
        *picture(run.samples),
    ]
    return "\n".join(lines) + "\n"


def introduction(run: Run) -> Iterator[str]:
    yield f"Written by `python -m bench.soak --seconds {run.seconds:g}` at commit `{commit()}`,"
    yield f"{datetime.now(UTC):%Y-%m-%d}, on {hardware()},"
    yield "with load, service, Postgres, Kafka and ingester on one machine, one process of the service"
    yield "without rate limits, on the bundled catalog."
    yield ""
    yield f"{run.rate:g} operations a second are sent over HTTP at random times, whether or not earlier"
    yield f"ones are answered, and {run.events:g} events a second over Kafka, for {run.seconds:g} s."
    yield "Latencies count from the time when an operation was due."
    yield ""
    took = run.training.took
    active = "is not active at the end" if took is None else f"is active {took:.0f} s later"
    yield f"A training is requested after {run.training.at:.0f} s. Its model {active}."


def memory(grown: Figure) -> Iterator[str]:
    verdict = "met" if grown.holds else "missed"
    yield f"After the first {100 * WARM_UP:.0f} % of the time, the memory (RSS) of the service grows by"
    yield f"{grown.value:.1f} % (target: at most {MAX_GROWTH:.0f} %; {verdict}). The growth is that from the"
    yield f"first to the last {100 * ENDS:.0f} % of the samples, by medians."


def operations(run: Run) -> Iterator[str]:
    for name, times in sorted(run.latencies.items()):
        cells = (percentile(times, 50), percentile(times, 99), max(times))
        yield f"| {name} | {len(times):,} | {' | '.join(f'{cell:,.0f} ms' for cell in cells)} |"


def errors(run: Run) -> Iterator[str]:
    if not run.errors:
        yield "No operation failed, and none was refused."
        return
    yield from ("| operation | error | count |", "|---|---|--:|")
    for (name, code), count in sorted(run.errors.items()):
        yield f"| {name} | `{code}` | {count:,} |"


def over_time(samples: Sequence[Sample]) -> Iterator[str]:
    """Rows for some of the samples; the answers and the p99 are those of the sample's own period."""
    yield "| time | answered | p99 | memory: service | ingester | events stored | lag | dead letters |"
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|"
    step = -(-len(samples) // ROWS)
    for each in samples[step - 1 :: step]:
        yield (
            f"| {each.seconds:,.0f} s | {each.answered:,} | {each.p99:,.0f} ms | {each.service:,.0f} MB "
            f"| {each.ingester:,.0f} MB | {each.stored:,} | {each.lag:,} | {each.dead:,} |"
        )


def picture(samples: Sequence[Sample]) -> Iterator[str]:
    """A chart of memory over time, which GitHub draws."""
    yield from ("```mermaid", "xychart-beta", '    title "Memory of the service (MB) over time (s)"')
    yield f"    x-axis 0 --> {samples[-1].seconds:.0f}"
    yield f"    y-axis 0 --> {1.1 * max(sample.service for sample in samples):.0f}"
    yield f"    line [{', '.join(f'{sample.service:.0f}' for sample in samples)}]"
    yield "```"
