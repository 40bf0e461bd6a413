"""The report as one HTML page that needs no other file: tables, and the lift over time as SVG."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from app.experiments.assignment import Arm, Experiment, Status
from app.experiments.measures import Metric
from app.experiments.report import ArmResult, Comparison, Look, Report
from app.experiments.sequential import MIN_MEMBERS

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 220, 64, 12, 12, 28  # of a chart, in pixels
HOW_TO_READ = (
    "The 95 % interval and p are for one look at the planned end. The interval at all times holds however "
    "often one looks. An interval without 0 is a difference, and its numbers are bold. A smaller number of "
    "lists until the first watch is better; a larger value of each other metric is better. – stands for too "
    "little data."
)
LEGEND = (
    "Line: the lift. Dark: its 95 % interval for one look. Light: the one that holds at all times, from "
    f"{MIN_MEMBERS} members on. Dashed: no difference. A chart cuts values beyond its scale."
)
TICKS = 4  # least number of steps on the scale of a chart
MOST = 10.0  # lift on a chart
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1f; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem } h3 { font-size: 1rem; margin: 1rem 0 0 }
table { border-collapse: collapse; width: 100% } th, td { padding: .3rem .6rem; text-align: right;
  border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums }
th:first-child, td:first-child, .text { text-align: left } .found { font-weight: 600 }
.warning { background: #fdecea; padding: .6rem 1rem;
  border-left: 4px solid #b3261e } .note { color: #555 } svg { width: 100%; height: auto }
.always { fill: #d7e3f7 } .once { fill: #9dbdec } .lift { fill: none; stroke: #1d4f9c; stroke-width: 2 }
.zero { stroke: #b3261e; stroke-dasharray: 4 3 } .grid { stroke: #e4e4e8 }
text { font: 11px system-ui, sans-serif; fill: #555 }
"""


class Significant(str):
    """The text of a cell with an interval that excludes 0."""

    __slots__ = ()


def page(experiment: Experiment, report: Report) -> str:
    """The HTML of the report."""
    title = f"Experiment {experiment.name}"
    status = experiment.status(report.made_at)
    ended = experiment.over_at(report.made_at)
    dates = f"{experiment.starts_at:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC"
    design = f"Layer {escape(experiment.layer)}, design {experiment.design.lower()}."
    made = f"Made {report.made_at:%Y-%m-%d %H:%M} UTC."
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{status.capitalize()}, {dates}. {design} {made}</p>',
        *_sample_ratio(report),
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in findings(report, status))}</ul>",
        "<h2>Arms</h2>",
        _table(
            ("Arm", "Sets", "Share", "Members", "Lists", *Metric),
            map(_arm, experiment.arms, report.arms),
        ),
        "<h2>Differences from the baseline</h2>",
        _table(
            ("Arm", "Metric", "Lift", "95 % interval", "p", "At all times", "With CUPED", "CUPED's interval"),
            map(_comparison, report.comparisons),
        ),
        f'<p class="note">{HOW_TO_READ}</p>',
        "<h2>Lift over time</h2>",
        f'<p class="note">{LEGEND}</p>',
        *_charts(report),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body>{''.join(body)}</body></html>\n"
    )


def _sample_ratio(report: Report) -> Iterator[str]:
    ratio = report.sample_ratio
    if ratio is None:
        return
    if ratio.mismatch:
        yield (
            '<p class="warning">The arms do not have their shares of the members (p = '
            f"{ratio.p_value:.2g}): the comparisons are not to be trusted.</p>"
        )
    else:
        yield f"<p>The numbers of members fit the shares (p = {ratio.p_value:.2g}).</p>"


def findings(report: Report, status: Status) -> Iterator[str]:
    """A sentence on each arm: the metrics in which it differs. A running experiment takes the interval at all
    times, another the 95 % interval.
    """
    running = status in (Status.SCHEDULED, Status.RUNNING)
    name = "interval at all times" if running else "95 % interval"
    for arm in dict.fromkeys(found.arm for found in report.comparisons):
        of_arm = [found for found in report.comparisons if found.arm == arm]
        ends = [(found, found.always if running else (found.low, found.high)) for found in of_arm]
        differ = [
            f"{readable(found.metric).lower()} {percent(found.lift)} ({between(*both)})"
            for found, both in ends
            if excludes_zero(*both)
        ]
        if differ:
            finding = f"{'; '.join(differ)}, by the {name}."
        elif any(None not in both for _, both in ends):
            finding = f"no {name} excludes 0."
        elif running:
            finding = f"too little data for the {name}, which begins with {MIN_MEMBERS} members."
        else:
            finding = f"too little data for the {name}."
        yield f"{arm} – {of_arm[0].baseline}: {finding}"


def excludes_zero(low: float | None, high: float | None) -> bool:
    """Whether an interval has both ends on one side of 0."""
    return low is not None and high is not None and not low <= 0 <= high


def _table(names: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    head = "".join(f"<th{_text(name)}>{escape(readable(name))}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(_cell(name, cell) for name, cell in zip(names, row, strict=True))}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(name: str) -> str:
    return ' class="text"' if name in ("Metric", "Sets") else ""


def _cell(name: str, cell: str) -> str:
    attributes = ' class="found"' if isinstance(cell, Significant) else _text(name)
    return f"<td{attributes}>{escape(cell)}</td>"


def readable(name: str) -> str:
    return name.replace("_", " ").capitalize() if name.isupper() else name


def sets(arm: Arm) -> str:
    """The parameters that an arm sets, such as `diversity 0.4`."""
    given = (("model", arm.model_version), ("diversity", arm.diversity), ("exploration", arm.exploration))
    named = [f"{name} {value}" for name, value in given if value is not None]
    return ", ".join(named) or "nothing"


def _arm(planned: Arm, arm: ArmResult) -> list[str]:
    means = [arm.metrics.get(metric) for metric in Metric]
    return [
        arm.name,
        sets(planned),
        f"{arm.share:.1%}",
        f"{arm.users:,}",
        f"{arm.lists:,}",
        *("–" if mean is None else f"{mean.value:.3f}" for mean in means),
    ]


def _comparison(found: Comparison) -> list[str]:
    return [
        found.arm,
        readable(found.metric),
        percent(found.lift),
        _marked(found.low, found.high),
        chance(found.p_value),
        _marked(*found.always),
        percent(found.cuped_lift),
        _marked(found.cuped_low, found.cuped_high),
    ]


def _marked(low: float | None, high: float | None) -> str:
    text = between(low, high)
    return Significant(text) if excludes_zero(low, high) else text


def chance(p_value: float | None) -> str:
    if p_value is None:
        return "–"
    return "<.001" if p_value < 0.001 else f"{p_value:.3f}"  # noqa: PLR2004 - digits shown


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1%}"


def between(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:+.1%} to {high:+.1%}"


def _charts(report: Report) -> Iterator[str]:
    for arm in dict.fromkeys(found.arm for found in report.comparisons):
        for metric in Metric:
            looks = [
                look
                for look in report.looks
                if (look.comparison.arm, look.comparison.metric) == (arm, metric)
            ]
            if len(looks) > 1:
                yield f"<h3>{escape(arm)}: {escape(readable(metric).lower())}</h3>{chart(looks)}"


def chart(looks: Sequence[Look]) -> str:
    """The lift of each look with both intervals, as SVG. The scale is that of the later looks."""
    times = [look.at.timestamp() for look in looks]
    found = [look.comparison for look in looks]
    last = found[len(found) // 4 :]
    ends = [value for each in last for value in (each.low, each.high) if value is not None]
    bottom, top = max(1.2 * min(-0.01, *ends), -MOST), min(1.2 * max(0.01, *ends), MOST)

    def x(time: float) -> float:
        return LEFT + (time - times[0]) / (times[-1] - times[0]) * (WIDTH - LEFT - RIGHT)

    def y(lift: float) -> float:
        return TOP + (top - min(top, max(bottom, lift))) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    def band(ends: Sequence[tuple[float, float | None, float | None]], name: str) -> str:
        shown = [(x(time), low, high) for time, low, high in ends if low is not None and high is not None]
        there = [f"{left:.1f},{y(high):.1f}" for left, _, high in shown]
        back = [f"{left:.1f},{y(low):.1f}" for left, low, _ in reversed(shown)]
        return f'<polygon class="{name}" points="{" ".join(there + back)}"/>'

    line = " ".join(
        f"{x(time):.1f},{y(each.lift):.1f}"
        for time, each in zip(times, found, strict=True)
        if each.lift is not None
    )
    scale = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(lift):.1f}" y2="{y(lift):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y(lift) + 4:.1f}" text-anchor="end">{tick}</text>'
        for lift, tick in ticks(bottom, top)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Lift over time">{scale}'
        + band(
            [(t, f.sequential_low, f.sequential_high) for t, f in zip(times, found, strict=True)], "always"
        )
        + band([(t, f.low, f.high) for t, f in zip(times, found, strict=True)], "once")
        + f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>'
        + f'<polyline class="lift" points="{line}"/>{_days(looks[0].at, looks[-1].at)}</svg>'
    )


def ticks(bottom: float, top: float) -> list[tuple[float, str]]:
    """Round lifts from `bottom` to `top` with their labels, in TICKS steps or more."""
    wanted = (top - bottom) / TICKS
    unit = 10.0 ** math.floor(math.log10(wanted))
    step = unit * max(part for part in (1, 2, 5) if part * unit <= wanted)
    digits = max(0, -math.floor(math.log10(step)) - 2)
    places = range(math.ceil(bottom / step), math.floor(top / step) + 1)
    return [(n * step, f"{n * step:+.{digits}%}" if n else "0%") for n in places]


def _days(first: datetime, last: datetime) -> str:
    ends = ((LEFT, "start", first), (WIDTH - RIGHT, "end", last))
    return "".join(
        f'<text x="{at}" y="{HEIGHT - 8}" text-anchor="{anchor}">{time:%Y-%m-%d %H:%M}</text>'
        for at, anchor, time in ends
    )
