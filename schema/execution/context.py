"""The request context: viewer, loaders, budget, and the catalog and model pinned at its start."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import jwt
import orjson
import strawberry
from strawberry.dataloader import DataLoader

from app.accounts import access_tokens, api_keys, authentication
from app.accounts.access_tokens import Claims
from app.accounts.api_keys import ApiKey
from app.accounts.exports import Export, Exports
from app.accounts.viewer import Viewer
from app.db.engine import Sessions
from app.db.notifications import Changes
from app.experiments.assignment import Subject, Treatment
from app.experiments.running import Running
from app.provenance.recorder import Recorder
from app.recommendations.history import UserHistory, history_of
from app.recommendations.recommend import Match, matches
from app.serving.live import Live, ServingState
from app.serving.model import Model
from app.serving.snapshot import Snapshot
from app.settings import Settings
from app.web.budget import Budget
from app.web.client import Client
from schema.core.errors import CallerError, ErrorCode
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
    settings: Settings
    sessions: Sessions
    served: ServingState
    access_token: str | None
    live: Live | None = None  # the serving state over time; a subscription outlives `served`
    changes: Changes | None = None
    client: Client = Client()  # noqa: RUF009 - it is frozen
    budget: Budget | None = None
    costed: CostedOperation | None = None  # under execution
    exports: Exports = field(default_factory=Exports)
    recorder: Recorder = field(default_factory=Recorder)
    running: Running = field(default_factory=Running)
    clock: Clock = field(default_factory=Clock)
    spliced: bool = False  # whether the answer can hold an export of any size
    pinned_at: datetime = field(init=False)  # the time of `served`
    loaders: Loaders = field(init=False)
    _matches: DataLoader[int, Match | None] = field(init=False)
    _actor: "asyncio.Future[Viewer | ApiKey | None] | None" = field(default=None)
    _claims: Claims | jwt.InvalidTokenError | None = None
    _history: "asyncio.Future[UserHistory] | None" = field(default=None)
    _export: "asyncio.Future[Export | orjson.Fragment] | None" = field(default=None)
    _made: Export | None = None

    def __post_init__(self) -> None:
        self.pinned_at = datetime.now(UTC)
        self.loaders = Loaders(self.sessions)
        self._matches = DataLoader(self._match)

    def renew(self) -> None:
        """Drop the cached reads, as if the request arrived now."""
        self.__post_init__()
        self._actor = self._history = self._claims = None
        if self.live is not None:
            self.served = self.live.served

    @property
    def snapshot(self) -> Snapshot:
        return self.served.snapshot

    @property
    def model(self) -> Model | None:
        return self.served.model

    @property
    def cursor_key(self) -> bytes:
        """The key that signs cursors, 32 bytes."""
        return hashlib.sha256(access_tokens.secret_key(self.settings).encode()).digest()

    async def actor(self) -> Viewer | ApiKey | None:
        """The member or API key of the request, read once; None when signed out.

        Raises CallerError(UNAUTHENTICATED) for a token that is not valid or whose session has ended, and for
        a key that is not valid.
        """
        if self._actor is None:
            self._actor = asyncio.ensure_future(self._authenticate())
        return await self._actor

    async def viewer(self) -> Viewer | None:
        """The member of the request; None for an API key and when signed out. Raises as `actor` does."""
        actor = await self.actor()
        return actor if isinstance(actor, Viewer) else None

    async def history(self) -> UserHistory:
        """The viewer's history as it is now, read once a request."""
        if self._history is None:
            self._history = asyncio.ensure_future(self._read_history())
        return await self._history

    async def _read_history(self) -> UserHistory:
        viewer = await self.require_viewer()
        return await history_of(self.sessions, viewer.id)

    def treatment(self, viewer: Viewer | None, ratings: int | None = None) -> Treatment | None:
        """What experiments make of a list that begins now; None for a visitor and outside experiments.

        `ratings`: the number of the viewer's ratings; None as long as they are not read.
        """
        if viewer is None:
            return None
        subject = Subject(viewer.id, viewer.role, viewer.created_at, ratings)
        return self.running.treatment(subject, self.pinned_at)

    async def match(self, movie_id: int) -> Match | None:
        """The match of a movie and the viewer; one thread predicts all movies of a page."""
        return await self._matches.load(movie_id)

    async def _match(self, movie_ids: list[int]) -> list[Match | None]:
        assert self.model is not None
        return await asyncio.to_thread(matches, self.model, await self.history(), movie_ids)

    async def export(self) -> Export | orjson.Fragment:
        """The export of the viewer's personal data, made once: for splicing into the answer, or its JSON.

        Raises ExportTooLarge, and as `Exports.make` does.
        """
        if self._export is None:
            self._export = asyncio.ensure_future(self._make_export())
        return await self._export

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

    def claims(self) -> Claims:
        """The claims of the access token, verified once a request.

        Raises jwt.InvalidTokenError for a token with another signature or past its expiry.
        """
        if self._claims is None:
            try:
                self._claims = access_tokens.claims_of(self.settings, self.access_token or "")
            except jwt.InvalidTokenError as invalid:
                self._claims = invalid
        if isinstance(self._claims, jwt.InvalidTokenError):
            raise self._claims
        return self._claims

    async def payer(self) -> str:
        """The client that the operation is charged to: a member, an API key, or a network address.

        Takes one statement for a key, which `actor` needs anyway, and none for a member.
        """
        address = self.client.network
        if self.access_token is None:
            return address
        if not api_keys.is_api_key(self.access_token):
            try:
                return f"member {self.claims().user_id}"
            except jwt.InvalidTokenError:
                return address
        try:
            actor = await self.actor()
        except CallerError:
            return address
        return f"key {actor.id}" if isinstance(actor, ApiKey) else address

    async def require_viewer(self) -> Viewer:
        actor = await self.actor()
        if actor is None:
            raise CallerError(
                "Sign in first: send `Authorization: Bearer <accessToken>`.", ErrorCode.UNAUTHENTICATED
            )
        if not isinstance(actor, Viewer):
            raise CallerError("An API key has no account: sign in as a member.", ErrorCode.FORBIDDEN)
        return actor

    async def _authenticate(self) -> Viewer | ApiKey | None:
        if self.access_token is None:
            return None
        if api_keys.is_api_key(self.access_token):
            key = await api_keys.identify(self.sessions, self.access_token)
            if key is None:
                raise CallerError("The API key is not valid.", ErrorCode.UNAUTHENTICATED)
            return key
        try:
            viewer = await authentication.viewer_of(self.sessions, self.claims())
        except jwt.InvalidTokenError:
            viewer = None
        if viewer is None:
            raise CallerError(
                "The access token is not valid or its session has ended.", ErrorCode.UNAUTHENTICATED
            )
        return viewer


Info = strawberry.Info[Context, None]
