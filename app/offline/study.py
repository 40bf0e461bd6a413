"""Hyper-parameter search that can be interrupted and resumed: `marquee tune`."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from sqlalchemy.exc import DatabaseError
from threadpoolctl import threadpool_limits

from recommender.evaluation import tuning
from recommender.evaluation.protocols import Protocol
from recommender.evaluation.tuning import SPACE, Task
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.progress import Progress
from recommender.training.config import Config

STUDY = "marquee"
GAIN, SETTINGS, DATA = "gain", "settings", "data"


class TuningError(Exception):
    """The search cannot start or resume. The message is for the user."""


def tune(
    data: Sequence[tuple[Interactions, ItemFeatures]],
    protocol: Protocol,
    out: Path,
    *,
    storage: Path,
    trials: int | None,
    minutes: float | None,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Search until `storage` has `trials` or `minutes` have passed; write the best settings to `out`.

    The objective is NDCG@10 on validation relative to that of the defaults, averaged over the data sets. The
    defaults are the first trial. `storage` keeps every trial, so the same call resumes an interrupted search.
    Raises TuningError if `storage` belongs to other data or is not a file of trials, or if there are too few
    ratings.
    """
    study = _study(storage, seed)
    _require_same(study, {DATA: _fingerprint(data), "protocol": protocol.value, "seed": seed}, storage)
    progress("reading movies", 0.0)
    try:
        tasks = [tuning.task(protocol, *one, seed=seed) for one in data]
    except ValueError as error:
        raise TuningError(str(error)) from None
    with threadpool_limits(limits=1, user_api="blas"):  # figures must not depend on the number of threads
        default = _default(study, tasks, progress)
        left = None if trials is None else trials - len(_finished(study))
        if left is None or left > 0:
            study.optimize(
                lambda trial: _objective(trial, tasks, default, progress),
                n_trials=left,
                timeout=None if minutes is None else 60 * minutes,
                callbacks=[lambda study, _trial: write_settings(out, study)],
            )
    write_settings(out, study)
    return summary(study)


def summary(study: optuna.Study) -> dict[str, Any]:
    """The number of trials and the best of them."""
    best = study.best_trial
    return {
        "trials": len(_finished(study)),
        "gain": best.user_attrs[GAIN],
        "ndcg@10": best.user_attrs["reached"],
        "settings": best.user_attrs[SETTINGS],
    }


def write_settings(out: Path, study: optuna.Study) -> None:
    """Write the best settings atomically, as JSON if the name ends in .json, else as TOML."""
    best = summary(study)
    settings = best["settings"]
    if out.suffix == ".json":
        text = json.dumps(settings, indent=1) + "\n"
    else:
        heading = f"Best of {best['trials']} trials: {best['gain']:.4f} times the NDCG@10 of the defaults."
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        text = "\n".join([f"# {heading}", *lines, ""])
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".{out.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(out)


def _study(storage: Path, seed: int) -> optuna.Study:
    """Open the study in `storage`, or create it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage.parent.mkdir(parents=True, exist_ok=True)
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{storage}", study_name=STUDY, direction="maximize", load_if_exists=True
        )
    except DatabaseError as error:
        raise TuningError(f"trials cannot be kept in {storage}: {error.orig}") from None
    # A resumed search must not draw the same settings again.
    n_drawn = len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed + n_drawn, multivariate=True)
    return study


def _require_same(study: optuna.Study, source: dict[str, Any], storage: Path) -> None:
    """Raise TuningError if the trials in `storage` are of another source."""
    if study.user_attrs.setdefault("of", source) != source:
        raise TuningError(
            f"{storage} holds trials of other data, another protocol or seed; name another --storage"
        )
    study.set_user_attr("of", source)


def _default(study: optuna.Study, tasks: Sequence[Task], progress: Progress) -> list[float]:
    """NDCG@10 of the defaults on each task, from the first trial, which is run if it is missing."""
    if not (finished := _finished(study)):
        reached = tuning.reached(tasks, Config(), progress)
        if not min(reached) > 0:
            raise TuningError("there are too few liked movies to compare settings")
        attributes = {GAIN: 1.0, "reached": reached, SETTINGS: {}}
        study.add_trial(optuna.trial.create_trial(value=1.0, user_attrs=attributes))
        return reached
    first: list[float] = finished[0].user_attrs["reached"]
    return first


def _objective(trial: optuna.Trial, tasks: Sequence[Task], default: list[float], progress: Progress) -> float:
    """Draw settings and return their gain over the defaults."""
    settings: dict[str, Any] = {}
    for name, where in SPACE.items():
        if where.whole:
            settings[name] = trial.suggest_int(name, int(where.low), int(where.high), log=where.log)
        else:
            settings[name] = float(f"{trial.suggest_float(name, where.low, where.high, log=where.log):.4g}")
    reached = tuning.reached(
        tasks, Config(**settings), lambda stage, done: progress(f"trial {trial.number}: {stage}", done)
    )
    gain = float(np.mean(np.array(reached) / np.array(default)))
    for name, value in ((GAIN, gain), ("reached", reached), (SETTINGS, settings)):
        trial.set_user_attr(name, value)
    return gain


def _finished(study: optuna.Study) -> list[Any]:
    """Trials that were neither interrupted nor failed."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if GAIN in trial.user_attrs and trial.value is not None
    ]


def _fingerprint(data: Sequence[tuple[Interactions, ItemFeatures]]) -> list[str]:
    """A hash of each data set's ratings."""
    prints = []
    for interactions, _ in data:
        digest = hashlib.sha256()
        for array in (interactions.user_ids, interactions.item_ids, interactions.user_items.data):
            digest.update(np.ascontiguousarray(array).tobytes())
        prints.append(digest.hexdigest()[:16])
    return prints
