"""The catalog snapshot and model this process serves, kept in step with the database."""

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import Row, func, select, text

from app.db.engine import Sessions
from app.db.movie_features import MOVIES, movies_of
from app.db.training_tables import ModelVersion
from app.serving import snapshot as catalogue
from app.serving.model import Model
from app.serving.online_updates import Arrivals
from app.serving.snapshot import Snapshot
from app.training.vectors import LONGEST_EDIT
from recommender.model.artifact import ArtifactError

RETRY_SECONDS = 30.0  # until the files of a model that could not be read are looked at again
KEPT_STATES = 4  # of the active model, each with factors of its own
MAX_NEW_MOVIES = 2_000
NEW_MOVIES = """
WHERE id = ANY(:missing) OR id IN (SELECT movie_id FROM catalog_changes WHERE changed_at >= :since)
ORDER BY id
"""

log = logging.getLogger("marquee.live")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The active model whose files this process cannot serve, why, and the monotonic time of the attempt."""

    version: str
    reason: str
    tried_at: float


@dataclass(frozen=True, slots=True)
class Served:
    """One consistent view; a request holds the one it started with.

    `former` is the model before this one, and `earlier` the active one before its factors were updated, the
    latest first: both are kept so that lists begun on them can be continued. `unreadable` is the active model
    while another one, or none, is served in its place.
    """

    snapshot: Snapshot
    model: Model | None = None
    former: Model | None = None
    earlier: tuple[Model, ...] = ()
    unreadable: Unreadable | None = None

    def model_of(self, version: str | None, shown_at: datetime | None = None) -> Model | None:
        """The model of a list begun earlier; the active one when that is gone.

        `shown_at`: as it was then, or as near to that as this process still has.
        """
        if self.former is not None and self.former.version == version:
            return self.former
        if self.model is None or self.model.version != version or shown_at is None:
            return self.model
        states = (self.model, *self.earlier)
        return next((state for state in states if state.since <= shown_at), states[-1])


async def load(sessions: Sessions, models: Path) -> Served:
    return await refreshed(Served(await catalogue.load(sessions)), sessions, models)


async def refreshed(served: Served, sessions: Sessions, models: Path) -> Served:
    snapshot = await catalogue.refreshed(sessions, served.snapshot)
    model, former, earlier = served.model, served.former, served.earlier
    active = await active_version(sessions)
    unreadable = None
    if active is not None and (model is None or active.version != model.version):
        loaded = await load_model(models / active.version, active.trained_at, served.unreadable)
        if isinstance(loaded, Unreadable):
            unreadable = loaded
        else:
            model, former, earlier = loaded, model, ()
            log.info("serving model %s", active.version)
    if model is not None and (model is not served.model or snapshot.revision != served.snapshot.revision):
        model = (await with_new_movies(model, sessions, snapshot)).aligned(snapshot)
        await asyncio.to_thread(model.hybrid.warm)
        former = former and former.aligned(snapshot)
        earlier = tuple(state.aligned(snapshot) for state in earlier)
    if (snapshot, model, former, unreadable) == (
        served.snapshot,
        served.model,
        served.former,
        served.unreadable,
    ):
        return served
    return Served(snapshot, model, former, earlier, unreadable)


async def load_model(folder: Path, learnt_at: datetime, before: Unreadable | None) -> Model | Unreadable:
    """The model of `folder`; why not, where it cannot be served. A failure is logged when its reason changes.

    `before`: the failed attempt before this one, which stands for RETRY_SECONDS.
    """
    known = before is not None and before.version == folder.name
    if before is not None and known and time.monotonic() < before.tried_at + RETRY_SECONDS:
        return before
    try:
        return await asyncio.to_thread(Model.load, folder, learnt_at)
    except (ArtifactError, OSError) as error:
        reason = str(error)
    if before is None or not known or before.reason != reason:
        log.error("model %s is active but cannot be served: %s", folder.name, reason)
    return Unreadable(folder.name, reason, time.monotonic())


async def active_version(sessions: Sessions) -> Row[str, datetime] | None:
    async with sessions() as session:
        query = select(ModelVersion.version, ModelVersion.trained_at).where(ModelVersion.status == "ACTIVE")
        return (await session.execute(query)).one_or_none()


async def with_new_movies(model: Model, sessions: Sessions, snapshot: Snapshot) -> Model:
    """The model with the movies that came or were changed one by one since it learnt them.

    More than MAX_NEW_MOVIES are a load of data, which a training should follow.
    """
    missing = np.setdiff1d(snapshot.movie_ids, model.hybrid.item_ids)
    if missing.size > MAX_NEW_MOVIES:
        log.warning("%d movies are not in model %s: train one that knows them", missing.size, model.version)
        missing = missing[:0]
    async with sessions() as session:
        asked = {"missing": missing.tolist(), "since": model.learnt_at - LONGEST_EDIT}
        now = await session.scalar(select(func.now()))
        rows = (await session.execute(text(MOVIES + NEW_MOVIES), asked)).all()
    assert now is not None
    if not rows:
        return replace(model, learnt_at=now)
    return await asyncio.to_thread(model.with_new_movies, movies_of([tuple(row) for row in rows]), now)


@dataclass(slots=True)
class Live:
    sessions: Sessions
    models: Path
    served: Served
    arrivals: Arrivals = field(default_factory=Arrivals)
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self) -> None:
        """What is there now is served from now on."""
        async with self.refreshing:
            self.served = await refreshed(self.served, self.sessions, self.models)

    async def follow(self, poll_seconds: float, learning_seconds: float) -> None:
        """Refresh for ever; an outage of the database leaves what was served before."""
        while True:
            await asyncio.sleep(poll_seconds)
            try:
                await self.refresh()
                await self._learn(timedelta(seconds=learning_seconds))
            except Exception:
                log.exception("cannot read the catalogue's changes; serving what was read before")

    async def _learn(self, rest: timedelta) -> None:
        """Let movies move with the ratings that have arrived, with a rest between."""
        if self.served.model is None:
            return
        await self.arrivals.follow(self.sessions, self.served.model, self.served.snapshot)
        async with self.refreshing:  # only to serve what was worked out: others wait for a refresh meanwhile
            served = self.served
            if served.model is None or served.model.version != self.arrivals.version:
                return
            if self.arrivals.unsaid and datetime.now(UTC) >= served.model.since + rest:
                moved = await asyncio.to_thread(self.arrivals.applied, served.model)
                moved = replace(moved, since=datetime.now(UTC))  # not before it is served
                self.served = replace(
                    served, model=moved, earlier=(served.model, *served.earlier)[:KEPT_STATES]
                )
