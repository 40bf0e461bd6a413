"""Train a model on files: read ratings and movie features, fit, and write the model."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from app.ingest.loads.scale import Scale
from app.offline import movie_files, rating_files
from app.offline.rating_files import Reading
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model import artifact
from recommender.model.hybrid import HYBRID, Hybrid
from recommender.model.sentence_embeddings import SentenceModel, SentenceModelError
from recommender.progress import Progress
from recommender.scorers.kinds import TorchMissing
from recommender.training.blocks import IN_PROCESS, Workers
from recommender.training.checkpoint import Checkpoint
from recommender.training.config import Config
from recommender.training.train_arm import train_model
from seeds.files.archives import open_source
from seeds.files.report import Report, SourceError


@dataclass(frozen=True, slots=True)
class DataSet:
    """Ratings and movies of a data set.

    report: rows and folders of movie files that were not used. texts: text ids of users and movies, by the
    numbers that stand for them.
    """

    interactions: Interactions
    movies: ItemFeatures
    scale: Scale
    report: Report
    texts: Mapping[int, str] = field(default_factory=dict)


def read_data(
    path: Path, content: Sequence[Path], progress: Progress, reading: Reading | None = None
) -> DataSet:
    """Read the ratings at `path`, and movie features from their folder and the folders `content`.

    Raises SourceError if there are no ratings or one is invalid; the message has the file, line and rule.
    """
    file = rating_files.rating_file(path)
    reading = reading or Reading()
    rows, scale = rating_files.read_ratings(file, progress, reading=reading)
    if not len(rows):
        raise SourceError(f"{file} has no ratings")
    report = Report(dataset=file.name, notes=reading.notes)
    folders = [open_source(folder) for folder in content]
    beside: Traversable = file.parent  # type: ignore[attr-defined] # of a path on disk or inside a zip
    facts = movie_files.read_movies(beside, folders, report, progress, reading.ids)
    interactions = rating_files.interactions(rows, np.array(sorted(facts), np.int64))
    movies = movie_files.columns(interactions.item_ids, facts)
    return DataSet(interactions, movies, scale, report, reading.ids.texts)


def read_sentence_model(folder: Path | None) -> SentenceModel | None:
    """Open a sentence model. Raises SourceError if the folder is not one."""
    try:
        return None if folder is None else SentenceModel.open(folder)
    except SentenceModelError as error:
        raise SourceError(str(error)) from None


def train(
    data: DataSet,
    out: Path,
    config: Config,
    progress: Progress,
    sentences: SentenceModel | None = None,
    kind: str = HYBRID,
    workers: Workers = IN_PROCESS,
) -> Hybrid:
    """Fit on all ratings and write the model atomically to `out`; a model that is there is replaced.

    Checkpoints are kept in a hidden folder beside `out` until the model is written, so the same training
    resumes after it was killed. workers: see `train_hybrid`. Raises SourceError if `out` exists
    and is not a model.
    """
    out = out.resolve()
    check_model_folder(out)
    checkpoint = Checkpoint(out.with_name(f".{out.name}.checkpoint"))
    try:
        model = train_model(
            kind, data.interactions, data.movies, config, progress, checkpoint, sentences, workers=workers
        )
    except TorchMissing as error:
        raise SourceError(str(error)) from None
    except np.linalg.LinAlgError as error:
        raise SourceError(f"no model can be fitted with these settings: {error}") from None
    manifest = {**model.manifest, "scale": data.scale, "item_texts": item_texts(model.item_ids, data.texts)}
    model = dataclasses.replace(model, manifest=manifest)
    progress("writing", 0.0)
    replace(out, model)
    if checkpoint.folder is not None:
        shutil.rmtree(checkpoint.folder, ignore_errors=True)
    return model


def item_texts(item_ids: NDArray[np.int64], texts: Mapping[int, str]) -> dict[str, str]:
    """The text ids of the model's movies, by the numbers that stand for them."""
    return {str(item_id): texts[item_id] for item_id in item_ids.tolist() if item_id in texts}


def replace(out: Path, model: Hybrid) -> None:
    """Write the model to `out`. A former model stays in place until the new one is written."""
    aside = out.with_name(f".{out.name}.{uuid4().hex}")
    try:
        model.save(aside / out.name)
        former = aside / "former"
        if out.exists():
            out.rename(former)
        try:
            (aside / out.name).rename(out)
        except BaseException:
            if former.exists():
                former.rename(out)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_model_folder(out: Path) -> None:
    """Raise SourceError if `out` holds something other than a model, which would be overwritten."""
    if out.exists() and not (out / artifact.MANIFEST).exists() and (not out.is_dir() or any(out.iterdir())):
        raise SourceError(f"{out} exists and is not a model; name another folder")
