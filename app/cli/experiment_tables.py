"""Experiments and their reports as text of 80 columns."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from app.experiments.assignment import Experiment
from app.experiments.measures import Metric
from app.experiments.page import between, chance, percent, readable
from app.experiments.report import Report
from app.provenance.logged_choices import Value

NAME_WIDTH = 16
FEW = 30  # effective lists below which an interval by a normal distribution is too narrow


def cut(name: str, width: int = NAME_WIDTH) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"


def list_of(experiments: Sequence[Experiment], statuses: Sequence[str]) -> str:
    lines = [f"{'name':24} {'status':10} {'layer':12} {'start'}"]
    for experiment, status in zip(experiments, statuses, strict=True):
        arms = ", ".join(f"{arm.name} {arm.share:g}" for arm in experiment.arms)
        name, layer = cut(experiment.name, 24), cut(experiment.layer, 12)
        started = f"{experiment.starts_at:%Y-%m-%d %H:%M}"
        lines.append(f"{name:24} {status:10} {layer:12} {started}")
        lines += wrap(arms, 80, initial_indent="  arms: ", subsequent_indent="  ")
    return "\n".join(lines) if experiments else "No experiments."


def report_of(experiment: Experiment, report: Report) -> str:
    return "\n".join(_lines(experiment, report))


def _lines(experiment: Experiment, report: Report) -> Iterator[str]:
    status = experiment.status(report.made_at)
    yield f"{experiment.name}: {status}, {experiment.design}, from {experiment.starts_at:%Y-%m-%d %H:%M} UTC"
    yield ""
    yield (
        f"{'arm':{NAME_WIDTH}} {'share':>6} {'members':>9} {'lists':>9} {'clicks':>8} {'watches':>8} "
        f"{'stars':>6}"
    )
    for arm in report.arms:
        shown = [
            arm.metrics[metric].value if metric in arm.metrics else None
            for metric in (Metric.CLICK_RATE, Metric.WATCH_RATE, Metric.MEAN_STARS)
        ]
        clicks, watches, stars = ("–" if value is None else f"{value:.3f}" for value in shown)
        yield (
            f"{cut(arm.name):{NAME_WIDTH}} {arm.share:>6.1%} {arm.users:>9,} {arm.lists:>9,} {clicks:>8} "
            f"{watches:>8} {stars:>6}"
        )
    for arm_name in dict.fromkeys(found.arm for found in report.comparisons):
        yield ""
        names = cut(f"{arm_name} – {experiment.arms[0].name}", 19)
        yield f"{names:19} {'lift':>7} {'95 % interval':>18} {'p':>6} {'at all times':>18} {'CUPED':>7}"
        for found in report.comparisons:
            if found.arm == arm_name:
                once, always = between(found.low, found.high), between(*found.always)
                yield (
                    f"{readable(found.metric).lower():19} {percent(found.lift):>7} {once:>18} "
                    f"{chance(found.p_value):>6} {always:>18} {percent(found.cuped_lift):>7}"
                )
    yield ""
    if report.sample_ratio is not None:
        p_value = f"p = {report.sample_ratio.p_value:.3g}"
        yield (
            f"The numbers of members fit the shares ({p_value})."
            if not report.sample_ratio.mismatch
            else (f"The numbers of members do NOT fit the shares ({p_value}): trust nothing.")
        )
    yield "Decide by the 95 % interval at the planned end, by the other at any time."


def value_table(version: str, found: Value) -> str:
    """The estimates of a model from logged lists."""
    lines = [
        f"{found.lists:,} lists of {found.members:,} members with exploration, first place, {found.reward}.",
        f"{cut(version, 40)} would choose the same movie in {found.agreement:.1%} of them.",
    ]
    if found.left_out:
        lines.append(f"{found.left_out:,} more lists cannot be made again.")
    lines += ["", f"{'':20} {'mean':>8} {'95 % interval':>20} {'lists that carry it':>20}"]
    lines.append(f"{'as served':20} {found.served:8.4f}")
    for name, of in found.estimates.items():
        between = f"{of.low:.4f} to {of.high:.4f}"
        lines.append(f"{name:20} {of.value:8.4f} {between:>20} {of.effective:20,.0f}")
    if min(of.effective for of in found.estimates.values()) < FEW:
        lines += ["", "Too few lists carry the estimates: do not trust these intervals. Log more lists."]
    return "\n".join(lines)
