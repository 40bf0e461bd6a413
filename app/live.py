"""What this process serves now: the catalogue and the model, followed from the database."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from app import snapshot as catalogue
from app.db import Sessions
from app.recommendations import Model
from app.snapshot import Snapshot
from app.tables import ModelVersion
from recommender.artifact import ArtifactError

log = logging.getLogger("marquee.live")


@dataclass(frozen=True, slots=True)
class Served:
    """One consistent view; a request holds the one it started with. `former` is the model before this one,
    kept so that lists begun on it can be continued."""

    snapshot: Snapshot
    model: Model | None = None
    former: Model | None = None

    def model_of(self, version: str) -> Model | None:
        """The model of a list begun earlier; the active one when that is gone."""
        if self.former is not None and self.former.version == version:
            return self.former
        return self.model


async def load(sessions: Sessions, models: Path) -> Served:
    return await refreshed(Served(await catalogue.load(sessions)), sessions, models)


async def refreshed(served: Served, sessions: Sessions, models: Path) -> Served:
    snapshot = await catalogue.refreshed(sessions, served.snapshot)
    model, former = served.model, served.former
    version = await active_version(sessions)
    if version is not None and (model is None or version != model.version):
        try:
            fresh = await asyncio.to_thread(Model.load, models / version, snapshot)
        except (ArtifactError, OSError):
            log.exception("model %s cannot be read from %s; serving goes on with the former", version, models)
        else:
            model, former = fresh, model
            log.info("serving model %s", version)
    if snapshot.movie_ids is not served.snapshot.movie_ids:
        model = model and model.aligned(snapshot)
        former = former and former.aligned(snapshot)
    if (snapshot, model, former) == (served.snapshot, served.model, served.former):
        return served
    return Served(snapshot, model, former)


async def active_version(sessions: Sessions) -> str | None:
    async with sessions() as session:
        return await session.scalar(select(ModelVersion.version).where(ModelVersion.status == "ACTIVE"))


@dataclass(slots=True)
class Live:
    sessions: Sessions
    models: Path
    served: Served

    async def follow(self, poll_seconds: float) -> None:
        """Refresh for ever; an outage of the database leaves what was served before."""
        while True:
            await asyncio.sleep(poll_seconds)
            try:
                self.served = await refreshed(self.served, self.sessions, self.models)
            except Exception:
                log.exception("cannot read the catalogue's changes; serving what was read before")
