"""The request context: viewer, loaders, budget, and the catalog and model pinned at its start."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

import orjson
import strawberry
from strawberry.dataloader import DataLoader

from app.accounts import access_tokens
from app.accounts.acting import Acting
from app.accounts.exports import Export, Exports
from app.accounts.oidc import Issuer
from app.accounts.viewer import Viewer
from app.db.engine import Sessions
from app.db.notifications import Changes
from app.db.replicas import Replicas
from app.experiments.assignment import ListOwner, Treatment
from app.experiments.running import Running
from app.ingest.member_batches.store import MemberBatches
from app.provenance.recorder import Recorder
from app.recommendations.history import UserHistory
from app.recommendations.recommend import Match, matches
from app.recommendations.shadow import Shadow
from app.recommendations.steering.promotions import Promotions
from app.serving.live import Live, ServingState
from app.serving.model import Model
from app.serving.snapshot import Snapshot
from app.settings import Settings
from app.web.budget import Budget
from app.web.client import Client
from schema.core.errors import CallerError, ErrorCode
from schema.execution.actor import HEADER, Actor, Authentication, Credentials
from schema.execution.documents import CostedOperation
from schema.execution.loaders import Loaders


@dataclass(slots=True)
class Clock:
    """The deadline of an operation, in event loop time; None for no deadline."""

    deadline: float | None = None
    step: asyncio.Timeout | None = None  # the time-out around the current step
    held_since: float = 0.0
    holders: int = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stop the clock during work that has its own limit."""
        now = asyncio.get_running_loop().time
        if not self.holders:
            self.held_since = now()
            self._expire(None)
        self.holders += 1
        try:
            yield
        finally:
            self.holders -= 1
            if not self.holders and self.deadline is not None:
                self.deadline += now() - self.held_since
                self._expire(self.deadline)

    def _expire(self, when: float | None) -> None:
        if self.step is not None:
            with suppress(RuntimeError):  # the step has ended
                self.step.reschedule(when)


@dataclass(slots=True)
class Context:
    """The state of a request. Reads that fields share are shielded: a field that is canceled, since the error
    of another one makes their object null, leaves them to the fields that wait for the same read.
    """

    settings: Settings
    sessions: Sessions
    served: ServingState
    credentials: Credentials
    live: Live | None = None  # the serving state over time; a subscription outlives `served`
    changes: Changes | None = None
    client: Client = Client()  # noqa: RUF009 - it is frozen
    budget: Budget | None = None
    costed: CostedOperation | None = None  # under execution
    exports: Exports = field(default_factory=Exports)
    recorder: Recorder = field(default_factory=Recorder)
    running: Running = field(default_factory=Running)
    acting: Acting = field(default_factory=Acting)
    issuer: Issuer | None = None
    promotions: Promotions = field(default_factory=Promotions)
    shadow: Shadow = field(default_factory=Shadow)
    member_batches: MemberBatches = field(default_factory=MemberBatches)
    clock: Clock = field(default_factory=Clock)
    spliced: bool = False  # whether the answer is written whole, and can hold exports and kept JSON
    pinned_at: datetime = field(init=False)  # the time of `served`
    authentication: Authentication = field(init=False)
    _loaders: Loaders | None = field(init=False)
    _matches: DataLoader[int, Match | None] | None = field(default=None)
    _history: "asyncio.Future[UserHistory] | None" = field(default=None)
    _export: "asyncio.Future[Export | orjson.Fragment] | None" = field(default=None)
    _made: Export | None = None

    def __post_init__(self) -> None:
        self.authentication = Authentication(
            self.settings, self.sessions, self.credentials, self.client, self.acting, self.issuer
        )
        self.pinned_at = datetime.now(UTC)
        self._loaders = self._matches = None

    def renew(self) -> None:
        """Drop the cached reads, as if the request arrived now."""
        self.__post_init__()
        self._history = None
        if self.live is not None:
            self.served = self.live.served

    def sign_in(self, access_token: str) -> None:
        """Continue as the member of a session that this request has begun."""
        self.credentials = Credentials(access_token)
        self.renew()

    async def read_replicas(self) -> None:
        """Let replicas answer the reads of a query. Raises as `Authentication.payer`."""
        self.sessions = self.sessions.of_query(await self.authentication.names())
        self.authentication.sessions = self.sessions
        self._loaders = None

    async def announce(self, replicas: Replicas) -> None:
        """Announce a mutation, so that each later query of the client reads what it wrote."""
        own, *_ = await self.authentication.names()
        await replicas.announce(own)

    @property
    def loaders(self) -> Loaders:
        if self._loaders is None:
            self._loaders = Loaders(self.sessions)
        return self._loaders

    @property
    def snapshot(self) -> Snapshot:
        return self.served.snapshot

    @property
    def model(self) -> Model | None:
        return self.served.model

    @property
    def cursor_key(self) -> bytes:
        """The key that signs cursors, 32 bytes."""
        return key_of_cursors(access_tokens.secret_key(self.settings))

    @property
    def is_signed_in(self) -> bool:
        """Whether the client sends a token or key, which may be invalid."""
        return self.credentials.token is not None

    async def actor(self) -> Actor | None:
        """The member or API key of the request; None when signed out. Raises as `Authentication.actor`."""
        return await self.authentication.actor()

    async def viewer(self) -> Viewer | None:
        """The member of the request; None for an API key and when signed out. Raises as `actor` does."""
        actor = await self.actor()
        return actor if isinstance(actor, Viewer) else None

    async def history(self) -> UserHistory:
        """The viewer's history as it is now, read once a request."""
        if self._history is None:
            self._history = asyncio.ensure_future(self._read_history())
        return await asyncio.shield(self._history)

    async def _read_history(self) -> UserHistory:
        _, found = await self.authentication.viewer_and_history(None, shown=False)
        if found is None:
            await self.require_viewer()  # raises
            raise AssertionError
        return found

    async def viewer_and_history(self, *, shown: bool = False) -> tuple[Viewer | None, UserHistory | None]:
        """The viewer and their history as of `pinned_at`, in one statement; see `Authentication`."""
        return await self.authentication.viewer_and_history(self.pinned_at, shown=shown)

    def treatment(
        self, viewer: Viewer | None, ratings: int | None = None, then: datetime | None = None
    ) -> Treatment | None:
        """The effect of experiments on a list of the viewer; None for a visitor and outside experiments.

        `ratings`: the number of the viewer's ratings; None as long as they are not read. `then`: when the
        list began; None for one that begins now.
        """
        if viewer is None:
            return None
        subject = ListOwner(viewer.id, viewer.role, viewer.created_at, ratings)
        if then is not None:
            return self.running.treatment_then(subject, then)
        return self.running.treatment(subject, self.pinned_at)

    async def match(self, movie_id: int) -> Match | None:
        """The match of a movie and the viewer; one thread predicts all movies of a page."""
        if self._matches is None:
            self._matches = DataLoader(self._match)
        return await asyncio.shield(self._matches.load(movie_id))

    async def _match(self, movie_ids: list[int]) -> list[Match | None]:
        assert self.model is not None
        return await asyncio.to_thread(matches, self.model, await self.history(), movie_ids)

    async def export(self) -> Export | orjson.Fragment:
        """The export of the viewer's personal data, made once: for splicing into the answer, or its JSON.

        Raises ExportTooLarge, and as `Exports.make` does.
        """
        if self._export is None:
            self._export = asyncio.ensure_future(self._make_export())
        return await asyncio.shield(self._export)

    async def _make_export(self) -> Export | orjson.Fragment:
        viewer = await self.require_viewer()
        self._made = await self.exports.make(self.sessions, viewer.id, self.clock.held())
        if self.spliced:
            return self._made
        try:
            return orjson.Fragment(self._made.whole())
        finally:
            self._made.close()

    def discard_export(self) -> None:
        """Close the export, if one was made."""
        if self._made is not None:
            self._made.close()

    async def require_viewer(self) -> Viewer:
        actor = await self.actor()
        if actor is None:
            raise CallerError(
                "Sign in first: send `Authorization: Bearer <accessToken>`.", ErrorCode.UNAUTHENTICATED
            )
        if not isinstance(actor, Viewer):
            raise CallerError(
                "An API key has no account: sign in as a member, or act for one with the header "
                f"{HEADER} and the scope MEMBERS.",
                ErrorCode.FORBIDDEN,
            )
        return actor


@lru_cache(10)
def key_of_cursors(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


Info = strawberry.Info[Context, None]
