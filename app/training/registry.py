"""The model registry: read, paginate and activate trained models."""

import asyncio
import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Select, func, select, tuple_

from app.db.engine import Sessions
from app.db.training_tables import ModelVersion, ShadowRun, TrainingData
from app.training import publish
from app.training.vectors import make_active
from recommender.model.artifact import ArtifactError
from recommender.model.hybrid import HYBRID
from recommender.scorers import kinds

NOT_FOUND = "There is no model of this version."
ANOTHER = "Another model is active."
OF_PART = re.compile(r"_of_(?P<part>[a-z_]+)_at_(?P<ratings>\d+)")
SAID = {  # metrics without lists
    "rmse": "RMSE in stars",
    "interval_coverage": "stars within their interval",
    "match_calibration_error": "calibration error of match",
    "match_auc": "AUC of match",
}
FORMER = """
SELECT version FROM model_versions WHERE status = 'RETIRED'
ORDER BY retired_at DESC NULLS LAST, version DESC LIMIT 1
"""


class ModelNotFound(Exception):
    """No model has this version. The message is for the client."""


class NothingToRollBack(Exception):
    """No model was active before the active one, or another one is active. The message is for the client."""


class ModelUnreadable(Exception):
    """The files of a model are missing or cannot be read. The message is for the client."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric measured in training. `low` and `high`: 95 % interval of one that is a mean over users.

    `label`: as people say it, such as `ndcg@20`. `measured_on`: the ratings, and what ranked them.
    """

    name: str
    k: int | None
    value: float
    low: float | None
    high: float | None
    label: str
    measured_on: str


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model. `training` and `data` are None for models of earlier releases.

    `training`: see `publish.described`. `data`: the row of its version of the training data. `shadow`: its
    last run in shadow mode.
    """

    version: str
    status: str
    trained_at: datetime
    dataset_version: str
    metrics: dict[str, Any]
    training: dict[str, Any] | None
    data: TrainingData | None
    shadow: ShadowRun | None

    @property
    def kind(self) -> str:
        """The kind of scorer that makes its lists; see `Hybrid.kind`."""
        return str((self.training or {}).get("kind", HYBRID))

    @property
    def gate(self) -> dict[str, Any] | None:
        """The verdict of the gate as JSON, see `gate.Verdict`; None for a model trained without it."""
        return (self.training or {}).get("gate")

    def figures(self) -> list[Figure]:
        """The metrics, first those with an interval, which measure lists."""
        figures = [figure_of(name, value) for name, value in self.metrics.items()]
        return sorted(figures, key=lambda figure: (figure.low is None, figure.name, figure.k or 0))


Key = tuple[datetime, str]


def models() -> Select[Any, Any, Any, Any, Any, Any, Any, Any]:
    last = select(func.max(ShadowRun.id)).group_by(ShadowRun.version)
    selected: Select[Any, Any, Any, Any, Any, Any, Any, Any] = select(
        ModelVersion.version,
        ModelVersion.status,
        ModelVersion.trained_at,
        ModelVersion.dataset_version,
        ModelVersion.metrics,
        ModelVersion.training,
        TrainingData,
        ShadowRun,
    )
    selected = selected.outerjoin(TrainingData, TrainingData.version == ModelVersion.dataset_version)
    of_model = ShadowRun.version == ModelVersion.version
    return selected.outerjoin(ShadowRun, of_model & ShadowRun.id.in_(last))


async def active(sessions: Sessions) -> Trained | None:
    async with sessions() as session:
        row = (await session.execute(models().where(ModelVersion.status == "ACTIVE"))).one_or_none()
    return None if row is None else Trained(*row)


async def by_version(sessions: Sessions, versions: Collection[str]) -> dict[str, Trained]:
    async with sessions() as session:
        rows = await session.execute(models().where(ModelVersion.version.in_(versions)))
        return {row.version: Trained(*row) for row in rows}


async def newest(sessions: Sessions, count: int, key: Key | None, *, backward: bool = False) -> list[Trained]:
    """Return at most `count` models, newest first, after the one with this key; `backward`: before it."""
    place = tuple_(ModelVersion.trained_at, ModelVersion.version)
    statement = models().limit(count)
    if backward:
        statement = statement.order_by(ModelVersion.trained_at, ModelVersion.version)
        if key is not None:
            statement = statement.where(place > tuple_(*key))
    else:
        statement = statement.order_by(ModelVersion.trained_at.desc(), ModelVersion.version.desc())
        if key is not None:
            statement = statement.where(place < tuple_(*key))
    async with sessions() as session:
        found = [Trained(*row) for row in await session.execute(statement)]
    return found[::-1] if backward else found


async def count(sessions: Sessions) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(ModelVersion)) or 0


async def activate(sessions: Sessions, models: Path, version: str) -> Trained:
    """Make a trained model the active one and write its movies' vectors, in one transaction.

    A cancelled activation changes nothing. Raises ModelNotFound or ModelUnreadable.
    """
    if not version.isprintable():  # Postgres accepts neither NUL nor lone surrogates
        raise ModelNotFound(NOT_FOUND)
    return await _changed(sessions, lambda connection: _activate(connection, models, version))


async def roll_back(sessions: Sessions, models: Path, of: str | None = None) -> Trained:
    """Activate the model that was active last.

    `of`: only if this version is active. A second call returns to the model of before the first. Raises
    NothingToRollBack or ModelUnreadable.
    """
    if of is not None and not of.isprintable():
        raise NothingToRollBack(ANOTHER)
    return await _changed(sessions, lambda connection: _roll_back(connection, models, of))


async def _changed(sessions: Sessions, change: Callable[[psycopg.Connection], str]) -> Trained:
    """Change the active model in a thread, in one transaction; return that model."""
    stopped = threading.Event()
    address = sessions.address
    connection = await asyncio.to_thread(lambda: psycopg.connect(address))

    def changed() -> str:
        with connection:  # one transaction, rolled back by any error
            connection.execute(publish.LOCK)
            version = change(connection)
            if stopped.is_set():
                connection.rollback()
        return version

    try:
        version = await asyncio.to_thread(changed)
    except asyncio.CancelledError:
        stopped.set()
        connection.cancel()
        raise
    return (await by_version(sessions, [version]))[version]


def _roll_back(connection: psycopg.Connection, models: Path, of: str | None) -> str:
    active = connection.execute("SELECT version FROM model_versions WHERE status = 'ACTIVE'").fetchone()
    if of is not None and (active is None or active[0] != of):
        raise NothingToRollBack(ANOTHER)
    row = connection.execute(FORMER).fetchone()
    if row is None:
        raise NothingToRollBack("There is no earlier model whose files are kept.")
    return _activate(connection, models, row[0])


def _activate(connection: psycopg.Connection, models: Path, version: str) -> str:
    row = connection.execute(
        "SELECT status, trained_at FROM model_versions WHERE version = %s", (version,)
    ).fetchone()
    if row is None:
        raise ModelNotFound(NOT_FOUND)
    status, trained_at = row
    if status == "REMOVED":
        raise ModelUnreadable("The files of this model have been removed.")
    try:
        model = kinds.load(models / version)
    except (ArtifactError, OSError) as error:
        raise ModelUnreadable("The files of this model cannot be read here.") from error
    make_active(connection, model, trained_at)
    return version


def figure_of(name: str, value: float | dict[str, float]) -> Figure:
    """Parse a name such as `ndcg@20`, or `ndcg@20_of_items_at_50`: of a part, by members of 50 ratings."""
    measure, _, rest = name.partition("@")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    k = int(digits) if digits else None
    low, high = (value["low"], value["high"]) if isinstance(value, dict) else (None, None)
    return Figure(
        name=measure + rest[len(digits) :],
        k=k,
        value=value["value"] if isinstance(value, dict) else value,
        low=low,
        high=high,
        label=SAID.get(measure, measure) if k is None else f"{measure}@{k}",
        measured_on=measured_on(rest[len(digits) :], k),
    )


def measured_on(suffix: str, k: int | None) -> str:
    """The data that a metric was measured on, from the suffix of its name and the length of its lists."""
    if k is None:
        return "held-out ratings"
    members, ranked = "held-out members", "the whole model"
    if found := OF_PART.fullmatch(suffix):
        members += f" with about {found['ratings']} ratings"
        if found["part"] != "blend":
            ranked = f"its {found['part']} alone"
    return f"the newest ratings of {members}, ranked by {ranked}"


def has_active_model(database_url: str, models: Path) -> bool:
    """Whether there is one that this release can read."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT version FROM model_versions WHERE status = 'ACTIVE'").fetchone()
    if row is None:
        return False
    try:
        kinds.load(models / row[0])
    except (ArtifactError, OSError):
        return False
    return True
