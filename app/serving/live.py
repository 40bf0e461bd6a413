"""The catalog snapshot and model this process serves, kept in step with the database."""

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import Row, func, select, text

from app.db.engine import Sessions
from app.db.movie_features import MOVIES, movies_of
from app.db.outages import FaultLog
from app.db.training_tables import ModelVersion
from app.serving import memory
from app.serving import snapshot as catalog
from app.serving.model import Model
from app.serving.online_updates import Arrivals
from app.serving.rating_updates import RatingUpdates
from app.serving.snapshot import Snapshot
from app.telemetry import metrics
from app.training.vectors import LONGEST_EDIT
from recommender.model.artifact import ArtifactError

RETRY_SECONDS = 30.0  # before an unreadable model is tried again
FORMER_SECONDS = 600.0  # for which the former model is kept after an activation
MOST_ARMS = 4  # models that are served beside the active one
KEPT_STATES = 4  # earlier states of the active model, before online updates
MAX_NEW_MOVIES = 2_000
NEW_MOVIES = """
WHERE id = ANY(:missing) OR id IN (SELECT movie_id FROM catalog_changes WHERE changed_at >= :since)
ORDER BY id
"""

log = logging.getLogger("marquee.live")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A model whose files cannot be served, with the reason and the attempt's monotonic time."""

    version: str
    reason: str
    tried_at: float


@dataclass(frozen=True, slots=True)
class ServingState:
    """A consistent state of catalog and model. A request uses one state from beginning to end.

    `former`: the model before this one, for FORMER_SECONDS after `activated_at`, a monotonic time. `earlier`:
    the active model before its online updates, latest first. Both are kept so that lists can be paginated on
    the model they began with. `unreadable`: the active model, if another one or none is served in its place.
    `arms`: models that are served beside the active one, and `broken`: those of them that cannot be.
    """

    snapshot: Snapshot
    model: Model | None = None
    former: Model | None = None
    earlier: tuple[Model, ...] = ()
    unreadable: Unreadable | None = None
    arms: tuple[Model, ...] = ()
    broken: tuple[Unreadable, ...] = ()
    activated_at: float = 0.0

    def of_version(self, version: str) -> Model | None:
        """The model of a version; None if this process does not have it."""
        kept = (self.model, *self.arms, self.former)
        return next((model for model in kept if model and model.version == version), None)

    def model_of(self, version: str | None, shown_at: datetime | None = None) -> Model | None:
        """The model with which to continue a list; the active one if `version` is no longer kept.

        `shown_at`: when the list began. Selects the state of the active model at that time, or the oldest
        kept one.
        """
        if arm := next((arm for arm in self.arms if arm.version == version), None):
            return arm
        if self.former is not None and self.former.version == version:
            return self.former
        if self.model is None or self.model.version != version or shown_at is None:
            return self.model
        states = (self.model, *self.earlier)
        return next((state for state in states if state.since <= shown_at), states[-1])


async def load(sessions: Sessions, models: Path, public_url: str = "") -> ServingState:
    """Load the catalog and the active model from the folder `models`."""
    return await refreshed(ServingState(await catalog.load(sessions, public_url)), sessions, models)


async def refreshed(
    served: ServingState, sessions: Sessions, models: Path, wanted: Collection[str] = ()
) -> ServingState:
    """The state as of now; the same object if nothing has changed. `wanted`: versions of arms."""
    snapshot = await catalog.refreshed(sessions, served.snapshot)
    model, former, earlier, activated_at = served.model, served.former, served.earlier, served.activated_at
    if time.monotonic() > activated_at + FORMER_SECONDS:
        former = None
    active = await active_version(sessions)
    unreadable = None
    if active is not None and (model is None or active.version != model.version):
        loaded = await load_model(models / active.version, active.trained_at, served.unreadable)
        if isinstance(loaded, Unreadable):
            unreadable = loaded
        else:
            model, former, earlier, activated_at = loaded, model, (), time.monotonic()
            log.info("serving model %s", active.version)
    if model is not None and (model is not served.model or snapshot.revision != served.snapshot.revision):
        model = (await with_new_movies(model, sessions, snapshot)).aligned(snapshot)
        await asyncio.to_thread(model.hybrid.warm)
        former = former and former.aligned(snapshot)
        earlier = tuple(state.aligned(snapshot) for state in earlier)
    others = [version for version in wanted if model is None or version != model.version]
    arms, broken = await arms_of(served, sessions, models, others, snapshot)
    if (snapshot, model, former, unreadable, arms, broken) == (
        served.snapshot,
        served.model,
        served.former,
        served.unreadable,
        served.arms,
        served.broken,
    ):
        return served
    return ServingState(snapshot, model, former, earlier, unreadable, arms, broken, activated_at)


async def arms_of(
    served: ServingState, sessions: Sessions, models: Path, versions: Collection[str], snapshot: Snapshot
) -> tuple[tuple[Model, ...], tuple[Unreadable, ...]]:
    """The models of these versions that can be served, aligned with the snapshot, and the others."""
    arms: list[Model] = []
    broken: list[Unreadable] = []
    loaded = {arm.version: arm for arm in served.arms}
    failed = {arm.version: arm for arm in served.broken}
    times = await trained_at(sessions, set(versions) - set(loaded))
    for version in versions:
        arm: Model | Unreadable | None = loaded.get(version)
        if arm is None and version in times:
            arm = await load_model(models / version, times[version], failed.get(version))
        if isinstance(arm, Unreadable):
            broken.append(arm)
        elif arm is not None:
            if version not in loaded or snapshot.revision != served.snapshot.revision:
                arm = (await with_new_movies(arm, sessions, snapshot)).aligned(snapshot)
                await asyncio.to_thread(arm.hybrid.warm)
            arms.append(arm)
    return tuple(arms), tuple(broken)


async def load_model(folder: Path, learnt_at: datetime, before: Unreadable | None) -> Model | Unreadable:
    """Load the model in `folder`; Unreadable if it cannot be served. A failure is logged once per reason.

    `before`: the last failed attempt. It is returned instead of a new attempt within RETRY_SECONDS.
    """
    retried = before is not None and before.version == folder.name
    if before is not None and retried and time.monotonic() < before.tried_at + RETRY_SECONDS:
        return before
    try:
        return await asyncio.to_thread(Model.load, folder, learnt_at)
    except (ArtifactError, OSError) as error:
        reason = str(error)
    if before is None or not retried or before.reason != reason:
        log.error("model %s cannot be served: %s", folder.name, reason)
    return Unreadable(folder.name, reason, time.monotonic())


async def active_version(sessions: Sessions) -> Row[str, datetime] | None:
    async with sessions() as session:
        query = select(ModelVersion.version, ModelVersion.trained_at).where(ModelVersion.status == "ACTIVE")
        return (await session.execute(query)).one_or_none()


async def trained_at(sessions: Sessions, versions: Collection[str]) -> dict[str, datetime]:
    """The times of training of those of these versions that exist."""
    if not versions:
        return {}
    async with sessions() as session:
        query = select(ModelVersion.version, ModelVersion.trained_at)
        rows = await session.execute(query.where(ModelVersion.version.in_(versions)))
        return {row.version: row.trained_at for row in rows}


async def with_new_movies(model: Model, sessions: Sessions, snapshot: Snapshot) -> Model:
    """Add the movies to the model that were added or edited since `model.learnt_at`.

    More than MAX_NEW_MOVIES added movies are ignored: they come from a bulk load and need a training.
    """
    missing = np.setdiff1d(snapshot.movie_ids, model.hybrid.item_ids)
    if missing.size > MAX_NEW_MOVIES:
        log.warning("%d movies are missing in model %s: train a new one", missing.size, model.version)
        missing = missing[:0]
    async with sessions() as session:
        params = {"missing": missing.tolist(), "since": model.learnt_at - LONGEST_EDIT}
        now = await session.scalar(select(func.now()))
        rows = (await session.execute(text(MOVIES + NEW_MOVIES), params)).all()
    assert now is not None
    if not rows:
        return replace(model, learnt_at=now)
    return await asyncio.to_thread(model.with_new_movies, movies_of([tuple(row) for row in rows]), now)


@dataclass(slots=True)
class Live:
    """Holds the current serving state and updates it in the background."""

    sessions: Sessions
    models: Path
    served: ServingState
    arrivals: Arrivals = field(default_factory=Arrivals)
    ratings: RatingUpdates = field(default_factory=RatingUpdates)
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)
    batching: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by a batch of edits
    refreshed_at: float = field(default_factory=time.monotonic)  # when `served` was last up to date
    wanted: tuple[str, ...] = ()
    shadow: str | None = None  # a model to have beside those, for shadow mode

    def want(self, versions: Collection[str]) -> None:
        """Serve these models beside the active one, from the next refresh on, and no others.

        At most MOST_ARMS: further ones are ignored.
        """
        self.wanted = tuple(sorted(set(versions)))[:MOST_ARMS]

    async def refresh(self) -> None:
        """Replace the served state by that of the database now."""
        async with self.refreshing:
            began, before = time.monotonic(), self.served
            others = self.wanted if self.shadow is None else tuple(dict.fromkeys((*self.wanted, self.shadow)))
            self.served = await refreshed(self.served, self.sessions, self.models, others)
            self.refreshed_at = began
            dropped = before.former is not None and self.served.former is None
            if dropped or self.served.activated_at != before.activated_at:
                await asyncio.to_thread(memory.settle)

    async def follow(self, poll_seconds: float, learning_seconds: float) -> None:
        """Refresh and learn in a loop, forever. During a database outage the last state is served."""
        faults = FaultLog(log, "cannot refresh the catalog and model, serving the last state")
        while True:
            await asyncio.sleep(poll_seconds)
            try:
                await self.refresh()
                await self._learn(timedelta(seconds=learning_seconds))
            except Exception as error:  # noqa: BLE001 - a fault of one refresh does not end the next ones
                metrics.refresh_failures.inc()
                faults.note(error)
            else:
                faults.end()

    async def _learn(self, rest: timedelta) -> None:
        """Update the model from new ratings, at most once per interval `rest`."""
        if self.served.model is None:
            return
        await self.arrivals.follow(self.sessions, self.served.model, self.served.snapshot)
        await self.ratings.follow(self.sessions, self.served.model, self.served.snapshot)
        async with self.refreshing:  # held only to serve the update: refreshes wait for it
            served = self.served
            if served.model is None or datetime.now(UTC) < served.model.since + rest:
                return
            moved = served.model
            for updates in (self.arrivals, self.ratings):
                if updates.unserved and updates.version == moved.version:
                    moved = await asyncio.to_thread(updates.applied, moved)
            if moved is not served.model:
                moved = replace(moved, since=datetime.now(UTC))  # the time it is first served
                self.served = replace(
                    served, model=moved, earlier=(served.model, *served.earlier)[:KEPT_STATES]
                )
