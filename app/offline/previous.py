"""Compare an evaluation with a previous model, paired by user.

The previous model is known by the report of an earlier evaluation of the same ratings, or by its folder. A
model in a folder may have learned the held-out ratings. So its kind and settings are fitted again, on the
training set of the evaluation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.offline.evaluation import Task
from app.training.gate import config_of
from recommender import metrics
from recommender.evaluation.compare import Outcome
from recommender.evaluation.entrants import OURS, PREVIOUS, Previous
from recommender.evaluation.pooling import PerUser, interval, rmse_draws
from recommender.metrics import Estimate
from recommender.model.artifact import ArtifactError
from recommender.scorers import kinds
from seeds.files.report import SourceError, shown

COMPARED = ("ndcg@10", "ndcg@100", "recall@20", "recall@50", "map@10", "diversity@10", "novelty@10")
MAX_REPORT_BYTES = 256 << 20
MAX_USERS = 1_000_000  # of one trial of a report

# Ours minus the previous model's, by label of a trial and by figure.
Differences = Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True, slots=True)
class Earlier:
    """The report of an earlier evaluation: the figures of its model by user, by label of a trial."""

    file: Path
    users: Mapping[str, PerUser]


def model_of(folder: Path) -> Previous:
    """The kind and settings of a model. Raises SourceError if it cannot be read or fitted here."""
    try:
        model = kinds.load(folder)
        return Previous(kinds.check(model.kind), config_of(model))
    except (ArtifactError, kinds.TorchMissing) as error:
        raise SourceError(str(error)) from None


def report_of(file: Path, task: Task) -> Earlier:
    """Read the report that `marquee evaluate --json` wrote. Raises SourceError if it is of another task."""
    if file.stat().st_size > MAX_REPORT_BYTES:
        raise SourceError(f"{file} is larger than {MAX_REPORT_BYTES >> 20} MiB; name a report of --json")
    try:
        report = orjson.loads(file.read_bytes())
        made = tuple(report[name] for name in ("protocol", "ratings", "seeds", "max_users"))
        users = {str(trial["label"]): _users_of(trial["users"]) for trial in report["trials"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{file} is not a report of `marquee evaluate --json` of this release: {shown(repr(error))}"
        ) from None
    here = (task.protocol.value, task.fingerprint, list(task.seeds), task.max_users)
    for name, there, wanted in zip(("protocol", "ratings", "seeds", "max users"), made, here, strict=True):
        if there != wanted:
            raise SourceError(
                f"{file} has other {name}: {shown(repr(there))}, not {wanted!r}. "
                "Evaluate both models with the same options."
            )
    return Earlier(file, users)


def differences_from(earlier: Earlier, outcomes: Sequence[Outcome]) -> Differences:
    """Raises SourceError if the report is about other users."""
    found = {}
    for outcome in outcomes:
        before, now = earlier.users.get(outcome.label), outcome.users
        if before is None or not _same_users(now, before):
            raise SourceError(
                f"{earlier.file} is about other users than this evaluation; write it again with the previous "
                "model and this release's protocols"
            )
        found[outcome.label] = _paired(now, before)
    return found


def differences_of_models(outcomes: Sequence[Outcome]) -> Differences:
    """The differences from the model that was fitted again, which is PREVIOUS in the outcomes."""
    found = {}
    for outcome in outcomes:
        lists, stars = ({}, {})
        if outcome.evaluation.ranking:
            lists = outcome.evaluation.ranking[OURS].against[PREVIOUS]
        if outcome.evaluation.ratings:
            stars = outcome.evaluation.ratings[OURS].against[PREVIOUS]
        found[outcome.label] = {name: lists[name] for name in COMPARED if name in lists} | dict(stars)
    return found


def _users_of(stored: Mapping[str, Any]) -> PerUser:
    """Raises ValueError if the arrays are too long or do not belong together."""
    ids, rated = (np.asarray(stored[name], np.int64) for name in ("ids", "rated_ids"))
    figures = {name: np.asarray(values, np.float64) for name, values in stored["figures"].items()}
    counts, squares = (np.asarray(stored[name], np.float64) for name in ("counts", "squares"))
    if max(ids.size, rated.size) > MAX_USERS:
        raise ValueError(f"more than {MAX_USERS} users")
    if any(values.shape != ids.shape for values in figures.values()):
        raise ValueError("its figures do not fit its users")
    if not counts.shape == squares.shape == rated.shape:
        raise ValueError("its errors do not fit its users")
    return PerUser(ids, figures, rated, counts, squares)


def _same_users(now: PerUser, before: PerUser) -> bool:
    return (
        np.array_equal(now.ids, before.ids)
        and np.array_equal(now.rated_ids, before.rated_ids)
        and np.array_equal(now.counts, before.counts)
    )


def _paired(now: PerUser, before: PerUser) -> dict[str, Estimate]:
    rng = np.random.default_rng(0)
    names = [name for name in COMPARED if name in now.figures and name in before.figures]
    found: dict[str, Estimate] = {}
    if names:
        columns = np.stack([now.figures[name] - before.figures[name] for name in names], axis=1)
        found = dict(zip(names, metrics.bootstrap_columns(columns, rng), strict=True))
    if now.rated_ids.size:
        values, draws = rmse_draws(np.stack((now.squares, before.squares), axis=1), now.counts, rng)
        found["rmse"] = interval(values[0] - values[1], draws[:, 0] - draws[:, 1])
    return found
