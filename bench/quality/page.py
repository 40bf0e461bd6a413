"""The Markdown page: the data, the targets, the kinds of models, then each command with all models."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import Figure, commit_subject, hardware
from bench.quality.runs import OURS, STARS, Run

SHOWN = ("ndcg@10", "ndcg@100", "recall@20", "recall@50", "diversity@10", "coverage@10")
BEGIN = "<!-- kinds of models: python -m bench.quality --arms -->"
END = "<!-- end of the kinds of models -->"


def page(data: Path, runs: Sequence[Run], found: Sequence[Figure], fold_figures: Sequence[Figure]) -> str:
    """The whole page."""
    lines = [
        "# Quality",
        "",
        "Written by `make bench-quality`.",
        "Each table shows the command above it. Lists rank the whole catalog; a rating of four stars or more",
        "is relevant. Intervals are 95 % bootstrap intervals over users. The last column is ours minus the",
        "model of the row, paired by user. Baselines are tuned on a validation part of the training set;",
        "ours has its default settings. Current vote counts are features only with --votes. The",
        "calibration error that correct match percents would show by chance stands beside the measured one.",
        "",
        *kinds(data, [run for run in runs if run.of_kinds]),
        "",
        "## Baselines",
        "",
        *_origin(data, [run for run in runs if not run.of_kinds]),
        *_targets(found),
    ]
    for run in runs:
        if not run.of_kinds:
            lines += _section(run)
    if fold_figures:
        lines += _folds(fold_figures)
    return "\n".join(lines) + "\n"


def with_kinds(text: str, data: Path, runs: Sequence[Run]) -> str:
    """The page with the part about the kinds of models made anew, or added; the rest stays."""
    part = "\n".join(kinds(data, runs))
    if BEGIN in text and END in text:
        return text[: text.index(BEGIN)] + part + text[text.index(END) + len(END) :]
    head, middle, rest = text.partition("\n## ")
    return f"{head}\n{part}\n{middle}{rest}" if middle else f"{text}\n{part}\n"


def kinds(data: Path, runs: Sequence[Run]) -> Iterator[str]:
    """One table of all kinds of models on each data set, then the other figures of each command."""
    yield from (BEGIN, "## Kinds of models", "")
    yield from _origin(data, runs)
    yield from (
        "",
        "NDCG@10 of each [kind](../models.md#kinds-of-models), with its default settings, as it is served.",
        "In brackets are 95 % intervals over users; the second line of a cell is the hybrid minus the kind,",
        "paired by user.",
        "",
        _row("kind", *(f"{run.report['data']}, {run.report['protocol']}" for run in runs)),
        "|---" * (len(runs) + 1) + "|",
    )
    rankings = [run.report["trials"][0]["ranking"] for run in runs]
    for name in dict.fromkeys(name for ranking in rankings for name in ranking):
        if name == OURS or name.endswith(" arm"):
            kind = "hybrid" if name == OURS else name.removesuffix(" arm")
            yield _row(kind, *(_kind(ranking, name) for ranking in rankings))
    if runs and not any("autoencoder arm" in ranking for ranking in rankings):
        yield from ("", "The autoencoder is left out: it needs the extra `neural`.")
    for run in runs:
        yield from _section(run)
    yield END


def _kind(ranking: dict[str, Any], name: str) -> str:
    if name not in ranking:
        return ""
    cell = _cell(ranking[name], "ndcg@10")
    against = ranking[OURS]["against"].get(name)
    return f"{cell}<br>{_interval(against['ndcg@10'], '+')}" if against else cell


def _origin(data: Path, runs: Sequence[Run]) -> Iterator[str]:
    """The date, machine and commit of the runs."""
    yield from (
        f"Measured at the commit \u201c{commit_subject()}\u201d, {datetime.now(UTC):%Y-%m-%d}, on",
        f"{hardware()}.",
        "",
        "| data | ratings, SHA-256 |",
        "|---|---|",
    )
    for name in dict.fromkeys(run.report["data"] for run in runs):
        file = next(f for f in sorted((data / name).iterdir()) if "ratings" in f.name or f.name == "u.data")
        yield f"| {name} | `{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}` {file.name} |"


def _section(run: Run) -> Iterator[str]:
    yield from ("", f"## {run.key}", "", "```sh", run.command, "```")
    for trial in run.report["trials"]:
        yield from _tables(trial)


def _folds(figures: Sequence[Figure]) -> Iterator[str]:
    yield from ("", "## ml-100k/u1-u5", "", "```sh", "python -m bench.ml100k_folds $DATA/ml-100k", "```", "")
    yield from (_row("fold", "RMSE"), "|---|---|")
    yield from (_row(figure.key.split("/")[1], f"{figure.value:.4f}") for figure in figures)


def _targets(found: Sequence[Figure]) -> Iterator[str]:
    yield from ("", "### Targets", "", "| figure | value | target | holds |", "|---|---|---|---|")
    for figure in found:
        if figure.target is not None:
            holds = "yes" if figure.holds else "no"
            bound = f"{'≤' if figure.at_most else '≥'} {figure.target:g}"
            yield f"| {figure.key} | {figure.value:.4f} | {bound} | {holds} |"


def _tables(trial: dict[str, Any]) -> Iterator[str]:
    counts = f"{trial['n_users']} users, {trial['n_train']} training ratings, {trial['n_held_out']} held out."
    yield from ("", f"{trial['label']}: {counts}" if trial["label"] else counts)
    if trial["ranking"]:
        yield from ("", _row("model", *SHOWN, "ours, NDCG@10"), "|---" * (len(SHOWN) + 2) + "|")
    for name, report in trial["ranking"].items():
        against = trial["ranking"][OURS]["against"].get(name, {}).get("ndcg@10")
        yield _row(name, *(_cell(report, key) for key in SHOWN), _interval(against, "+") if against else "")
    yield from ("", _row("stars", *STARS), "|---" * (len(STARS) + 1) + "|")
    for name, report in trial["ratings"].items():
        yield _row(name, *(_cell(report, key) for key in STARS))


def _cell(report: dict[str, Any], key: str) -> str:
    if key in report["figures"]:
        return _interval(report["figures"][key])
    value = report["totals"].get(key)
    return "" if value is None else f"{value:.4f}"


def _interval(estimate: dict[str, float], sign: str = "") -> str:
    return f"{estimate['value']:{sign}.4f} [{estimate['low']:{sign}.4f}, {estimate['high']:{sign}.4f}]"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
