"""The recommender on files alone: train on a data set, then lists and predictions for users in batches."""

import dataclasses
import json
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app import film_folders, rating_tables
from app.rating_tables import Scale, column
from app.terminal import Progress
from recommender import artifact
from recommender.batch import recommend_all
from recommender.checkpoint import Checkpoint
from recommender.config import Config
from recommender.content import Films
from recommender.hybrid import Hybrid
from recommender.interactions import History, Interactions, positions
from recommender.sentences import SentenceModel, SentenceModelError
from seeds.files import open_source
from seeds.rating_files import RatingRows
from seeds.report import Report, SourceError

LISTS = pa.schema(
    {
        "user_id": pa.int64(),
        "movie_id": pa.int64(),
        "rank": pa.int32(),
        "score": pa.float32(),
        "match_percent": pa.float32(),
        "predicted_stars": pa.float32(),
    }
)
PREDICTIONS = pa.schema(
    {
        "user_id": pa.int64(),
        "movie_id": pa.int64(),
        "stars": pa.float32(),
        "low": pa.float32(),
        "high": pa.float32(),
        "match_percent": pa.float32(),
    }
)
BLOCK_USERS = 512  # whose lists are written at once
TYPICAL = 256  # films that together stand for one of which nothing is known


@dataclass(frozen=True, slots=True)
class DataSet:
    """Ratings and films of a data set; `report` has what its content files could not tell."""

    interactions: Interactions
    films: Films
    scale: Scale
    report: Report


@dataclass(frozen=True, slots=True)
class Histories:
    """Users int64 (n_users,) ascending, and what is known of each in the model's indices."""

    user_ids: NDArray[np.int64]
    ratings: Interactions
    n_unknown: int  # ratings of films that the model does not know

    def of(self, user_id: int) -> History:
        """Empty for a user without a rating."""
        row = int(positions(self.ratings.user_ids, [user_id])[0])
        return self.ratings.history(row) if row >= 0 else History.of([])


def read_data(path: Path, content: Sequence[Path], progress: Progress) -> DataSet:
    """The ratings at `path` and what files beside them, and in the folders of `content`, say of films.

    Raises:
        SourceError: no ratings are there, or one cannot be used; the message has file, line and rule.
    """
    file = rating_tables.rating_file(path)
    rows, scale = rating_tables.read_ratings(file, progress)
    if not len(rows):
        raise SourceError(f"{file} has no ratings")
    report = Report(dataset=file.name)
    folders = [open_source(folder) for folder in content]
    beside: Traversable = file.parent  # type: ignore[attr-defined] # of a path on disk or inside a zip
    facts = film_folders.read_films(beside, folders, report, progress)
    interactions = _interactions(rows, np.array(sorted(facts), np.int64))
    return DataSet(interactions, film_folders.columns(interactions.item_ids, facts), scale, report)


def read_settings(path: Path) -> Config:
    """Settings for training from TOML or JSON, such as `marquee tune` writes; SourceError for one unknown."""
    try:
        text = path.read_text(encoding="utf-8")
        settings = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        config = Config(**settings)
    except (OSError, ValueError, TypeError) as error:
        raise SourceError(f"{path}: {error}") from None
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SourceError(f"{path}: {name} is not a number")
    return config


def read_sentence_model(folder: Path | None) -> SentenceModel | None:
    """Raises SourceError for a folder that holds none."""
    try:
        return None if folder is None else SentenceModel.open(folder)
    except SentenceModelError as error:
        raise SourceError(str(error)) from None


def train(
    data: DataSet, out: Path, config: Config, progress: Progress, sentences: SentenceModel | None = None
) -> Hybrid:
    """Fit on all ratings and write the model, whole or not at all, in the place of a model that is there.

    What is fitted so far lies in a hidden folder beside `out` until the model is written: the same training,
    begun again after it was killed, goes on from there. Raises SourceError when something else is at `out`.
    """
    check_model_folder(out)
    checkpoint = Checkpoint(out.with_name(f".{out.name}.checkpoint"))
    model = Hybrid.fit(data.interactions, data.films, config, progress, checkpoint, sentences)
    model = dataclasses.replace(model, manifest={**model.manifest, "scale": data.scale})
    progress("writing", 0.0)
    former = out.with_name(f".{out.name}.{uuid4().hex}")
    if out.exists():
        out.rename(former)
    try:
        model.save(out)
    except BaseException:
        if former.exists():
            former.rename(out)
        raise
    shutil.rmtree(former, ignore_errors=True)
    if checkpoint.folder is not None:
        shutil.rmtree(checkpoint.folder, ignore_errors=True)
    return model


def check_model_folder(out: Path) -> None:
    """Raises SourceError where writing a model would destroy what is none."""
    if out.exists() and not (out / artifact.MANIFEST).exists() and (not out.is_dir() or any(out.iterdir())):
        raise SourceError(f"{out} is there and is no model: name another folder")


def load(folder: Path) -> Hybrid:
    """Raises SourceError when the folder is no model."""
    try:
        return Hybrid.load(folder)
    except artifact.ArtifactError as error:
        raise SourceError(str(error)) from None


def read_histories(model: Hybrid, file: Path | None, users: Path | None, progress: Progress) -> Histories:
    """The ratings in `file`, and users without any from `users`; either may be missing."""
    rows = _rows_of_none()
    if file is not None:
        scale = model.manifest.get("scale")
        rows, _ = rating_tables.read_ratings(
            rating_tables.rating_file(file), progress, scale=Scale(scale) if scale else None
        )
    more = rating_tables.read_ids(users, "userId", progress) if users else np.empty(0, np.int64)
    known = positions(model.item_ids, rows.item_ids) >= 0
    ratings = _interactions(rows.take(known), model.item_ids)
    return Histories(np.union1d(rows.user_ids, more), ratings, int((~known).sum()))


def recommend(
    model: Hybrid,
    histories: Histories,
    out: Path,
    *,
    k: int,
    diversity: float = 0.0,
    allowed: NDArray[np.bool_] | None = None,
    progress: Progress,
) -> int:
    """Write each user's list, users ascending; the number of rows. allowed: bool (n_items,)."""

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(histories.user_ids), BLOCK_USERS):
            users = histories.user_ids[start : start + BLOCK_USERS]
            progress("lists", start / len(histories.user_ids))
            yield _lists(model, histories, users, k=k, diversity=diversity, allowed=allowed)

    return rating_tables.write_table(out, LISTS, batches())


def predict(model: Hybrid, pairs: RatingRows, histories: Histories, out: Path, progress: Progress) -> int:
    """Write a row for each pair, in the order of the pairs; the number of rows."""
    item_idx = positions(model.item_ids, pairs.item_ids)
    judged = np.full((4, len(pairs)), np.nan, np.float32)
    typical = _typical(model)
    order = np.argsort(pairs.user_ids, kind="stable")
    starts = np.flatnonzero(np.diff(pairs.user_ids[order], prepend=pairs.user_ids[order][:1] - 1))
    for n_done, rows in enumerate(np.split(order, starts[1:])):
        if n_done % BLOCK_USERS == 0:
            progress("predictions", n_done / len(starts))
        if len(rows):
            history = histories.of(int(pairs.user_ids[rows[0]]))
            judged[:, rows] = _judge(model, history, item_idx[rows], typical)
    columns = [column(values) for values in (pairs.user_ids, pairs.item_ids, *judged)]
    return rating_tables.write_table(out, PREDICTIONS, [pa.record_batch(columns, schema=PREDICTIONS)])


def allowed_films(model: Hybrid, candidates: Path, progress: Progress) -> tuple[NDArray[np.bool_], int]:
    """bool (n_items,) of the films in the file, and how many of them the model does not know."""
    found = positions(model.item_ids, rating_tables.read_ids(candidates, "movieId", progress))
    allowed = np.zeros(model.n_items, bool)
    allowed[found[found >= 0]] = True
    return allowed, int((found < 0).sum())


def _interactions(rows: RatingRows, catalogue: NDArray[np.int64]) -> Interactions:
    stars = rows.half_stars.astype(np.float32) / 2
    return Interactions.from_arrays(rows.user_ids, rows.item_ids, stars, rows.timestamps, catalogue=catalogue)


def _rows_of_none() -> RatingRows:
    none = np.empty(0, np.int64)
    return RatingRows(none, none, none.astype(np.int16), none, none.astype(np.uint32))


def _lists(model: Hybrid, histories: Histories, user_ids: NDArray[np.int64], **how: Any) -> pa.RecordBatch:
    of_users = [histories.of(int(user)) for user in user_ids]
    rankings = list(recommend_all(model, of_users, **how))
    judged = [model.judge(one, ranking.item_idx) for one, ranking in zip(of_users, rankings, strict=True)]
    lengths = [len(ranking.item_idx) for ranking in rankings]
    columns = [
        np.repeat(user_ids, lengths),
        model.item_ids[np.concatenate([ranking.item_idx for ranking in rankings])],
        np.concatenate([np.arange(1, length + 1, dtype=np.int32) for length in lengths]),
        np.concatenate([ranking.scores for ranking in rankings]),
        np.concatenate([one.match_percent for one in judged]),
        np.concatenate([one.stars for one in judged]),
    ]
    return pa.record_batch([column(values) for values in columns], schema=LISTS)


def _typical(model: Hybrid) -> NDArray[np.int32]:
    """Films spread evenly over those of which something is known."""
    everything = np.arange(model.n_items, dtype=np.int32)
    known = everything[np.isfinite(model.judge(History.of([]), everything).stars)]
    return known[np.linspace(0, len(known) - 1, min(TYPICAL, len(known))).astype(np.int64)]


def _judge(
    model: Hybrid, history: History, item_idx: NDArray[np.int32], typical: NDArray[np.int32]
) -> NDArray[np.float32]:
    """float32 (4, n): stars, low, high, match; of a film of which nothing is known, what films get.

    item_idx: -1 for a film that the model does not know. nan where the model knows nothing of any film.
    """
    judgement = model.judge(history, np.maximum(item_idx, 0))
    judged = np.stack([judgement.stars, judgement.low, judgement.high, judgement.match_percent])
    unknown = (item_idx < 0) | np.isnan(judged[0])
    if unknown.any() and len(typical):
        usual = model.judge(history, typical)
        means = [part.mean() for part in (usual.stars, usual.low, usual.high, usual.match_percent)]
        judged[:, unknown] = np.array(means, np.float32)[:, None]
    return judged
