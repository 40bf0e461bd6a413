"""Batch inference on files: the histories of users, and predictions of ratings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from app.ingest.loads.scale import Scale
from app.offline import rating_files
from app.offline.rating_files import Reading, column, interactions
from recommender.interactions import History, Interactions, positions
from recommender.model import artifact
from recommender.model.hybrid import Hybrid
from recommender.progress import Progress
from recommender.scorers import kinds
from seeds.files.column_roles import MOVIE, USER
from seeds.files.rating_cells import TEXT_IDS
from seeds.files.rating_rows import RatingRows
from seeds.files.report import SourceError

PREDICTIONS = pa.schema(
    {
        "stars": pa.float32(),
        "low": pa.float32(),
        "high": pa.float32(),
        "match_percent": pa.float32(),
    }
)
BLOCK_PAIRS = 1 << 16  # of one user, predicted at once
PROGRESS_USERS = 500  # between two reports of progress
TYPICAL = 256  # movies whose mean prediction is that of an unknown movie


@dataclass(frozen=True, slots=True)
class Histories:
    """Users, int64 (n_users,) ascending, and their ratings by item index of the model."""

    user_ids: NDArray[np.int64]
    ratings: Interactions
    n_unknown: int  # ratings of movies that are not in the model
    texts: Mapping[int, str] = field(default_factory=dict)  # text ids by the numbers that stand for them

    def rows(self, user_ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Rows of users in `ratings`, int32 (n,); -1 for a user without ratings."""
        return positions(self.ratings.user_ids, user_ids)

    def at(self, row: int) -> History:
        """The history in a row; empty for -1."""
        return self.ratings.history(row) if row >= 0 else History.of([])


def load(folder: Path) -> Hybrid:
    """Load a model. Raises SourceError if the folder is not a model."""
    try:
        return kinds.load(folder)
    except artifact.ArtifactError as error:
        raise SourceError(str(error)) from None


def model_texts(model: Hybrid) -> dict[int, str]:
    """The text ids of the model's movies, by the numbers that stand for them."""
    return {int(number): str(text) for number, text in model.manifest.get("item_texts", {}).items()}


def read_histories(
    model: Hybrid, file: Path | None, users: Path | None, progress: Progress, reading: Reading | None = None
) -> Histories:
    """Read ratings from `file` and additional user ids from `users`; both are optional."""
    reading = reading or Reading()
    rows = _rows_of_none()
    if file is not None:
        scale = model.manifest.get("scale")
        rows, _ = rating_files.read_ratings(
            rating_files.rating_file(file),
            progress,
            reading=reading,
            scale=Scale(scale) if scale else None,
        )
    more = np.empty(0, np.int64)
    if users is not None:
        more = rating_files.read_ids(users, USER, progress, reading=reading)
    in_model = positions(model.item_ids, rows.item_ids) >= 0
    ratings = interactions(rows.take(in_model), model.item_ids)
    return Histories(np.union1d(rows.user_ids, more), ratings, int((~in_model).sum()), reading.ids.texts)


def predict(model: Hybrid, pairs: RatingRows, histories: Histories, out: Path, progress: Progress) -> int:
    """Write the prediction of each pair, in the order of the pairs; return the number of rows."""
    item_idx = positions(model.item_ids, pairs.item_ids)
    judged = np.full((4, len(pairs)), np.nan, np.float32)
    with threadpool_limits(limits=1, user_api="blas"):  # as above
        typical = typical_items(model)
        for done, (row, which) in enumerate(blocks := _by_history(histories.rows(pairs.user_ids))):
            if done % PROGRESS_USERS == 0:
                progress("predictions", done / len(blocks))
            judged[:, which] = judge(model, histories.at(row), item_idx[which], typical)
    ids = Ids.of(pairs.user_ids, pairs.item_ids, histories.texts)
    schema = ids.schema(PREDICTIONS)
    columns = [*ids.columns(pairs.user_ids, pairs.item_ids), *map(column, judged)]
    return rating_files.write_table(out, schema, [pa.record_batch(columns, schema=schema)])


def allowed_movies(
    model: Hybrid, candidates: Path, progress: Progress, reading: Reading | None = None
) -> tuple[NDArray[np.bool_], int]:
    """Read ids of candidates; return a mask, bool (n_items,), and the number of ids not in the model."""
    ids = rating_files.read_ids(candidates, MOVIE, progress, reading=reading or Reading())
    found = positions(model.item_ids, ids)
    allowed = np.zeros(model.n_items, bool)
    allowed[found[found >= 0]] = True
    return allowed, int((found < 0).sum())


@dataclass(frozen=True, slots=True)
class Ids:
    """The form of written ids: integers, or text for the whole column if one of its ids is a text."""

    texts: Mapping[int, str]
    user_type: pa.DataType
    item_type: pa.DataType

    @classmethod
    def of(cls, user_ids: NDArray[np.int64], item_ids: NDArray[np.int64], texts: Mapping[int, str]) -> Self:
        def written_as(ids: NDArray[np.int64]) -> pa.DataType:
            return pa.string() if (ids >= TEXT_IDS).any() else pa.int64()

        return cls(texts, written_as(user_ids), written_as(item_ids))

    def schema(self, rest: pa.Schema) -> pa.Schema:
        return pa.schema([("user_id", self.user_type), ("movie_id", self.item_type), *rest])

    def ordered(self, user_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sort ids by the form in which they are written."""
        if self.user_type == pa.int64():
            return user_ids
        return np.array(sorted(user_ids.tolist(), key=lambda number: self.texts.get(number, str(number))))

    def columns(self, user_ids: NDArray[np.int64], item_ids: NDArray[np.int64]) -> list[pa.Array]:
        return [self._column(user_ids, self.user_type), self._column(item_ids, self.item_type)]

    def _column(self, ids: NDArray[np.int64], kind: pa.DataType) -> pa.Array:
        if kind == pa.int64():
            return column(ids)
        return pa.array([self.texts.get(number) or str(number) for number in ids.tolist()], kind)


def _rows_of_none() -> RatingRows:
    none = np.empty(0, np.int64)
    return RatingRows(none, none, none.astype(np.int16), none, none.astype(np.uint32))


def _by_history(rows: NDArray[np.int32]) -> list[tuple[int, NDArray[np.int64]]]:
    """Group pairs by their row of histories: the row and indices of at most BLOCK_PAIRS pairs."""
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.diff(rows[order], prepend=-2))
    groups = np.split(order, starts[1:]) if len(order) else []
    return [
        (int(rows[group[0]]), group[start : start + BLOCK_PAIRS])
        for group in groups
        for start in range(0, len(group), BLOCK_PAIRS)
    ]


def typical_items(model: Hybrid) -> NDArray[np.int32]:
    """Choose movies spread evenly over the ratings of the training, so that well-known ones weigh more.

    Without ratings there are none.
    """
    if model.item_step is None:
        return np.empty(0, np.int32)
    rating = np.cumsum(model.item_step.counts, dtype=np.int64)
    n_ratings = int(rating[-1]) if len(rating) else 0
    spread = np.linspace(0, n_ratings - 1, min(TYPICAL, n_ratings)).astype(np.int64)
    return np.searchsorted(rating, spread, side="right").astype(np.int32)


def judge(
    model: Hybrid, history: History, item_idx: NDArray[np.int32], typical: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Predict stars, low, high and match percent, float32 (4, n).

    item_idx: -1 for a movie that is not in the model. Such a movie, and one without features, gets the mean
    prediction of the `typical` ones; nan if there are none.
    """
    predictions = model.predict(history, np.maximum(item_idx, 0))
    judged = np.stack([predictions.stars, predictions.low, predictions.high, predictions.match_percent])
    unknown = (item_idx < 0) | np.isnan(judged[0])
    if unknown.any() and len(typical):
        usual = model.predict(history, typical)
        means = [part.mean() for part in (usual.stars, usual.low, usual.high, usual.match_percent)]
        judged[:, unknown] = np.array(means, np.float32)[:, None]
    return judged
