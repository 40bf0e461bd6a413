"""What one request holds: pinned at its start, so that a response speaks of one catalogue and one model."""

import asyncio
from dataclasses import dataclass, field

import jwt
import strawberry
from starlette.requests import HTTPConnection

from app import accounts
from app.accounts import Viewer
from app.changes import Changes
from app.db import Sessions
from app.live import Live, Served
from app.recommendations import Model, Taste, taste_of
from app.settings import Settings
from app.snapshot import Snapshot
from schema.errors import CallerError, ErrorCode
from schema.loaders import Loaders


@dataclass(slots=True)
class Context:
    settings: Settings
    sessions: Sessions
    served: Served
    access_token: str | None
    live: Live | None = None  # what is served later on; a subscription outlives what it began with
    changes: Changes | None = None
    loaders: Loaders = field(init=False)
    _viewer: "asyncio.Future[Viewer | None] | None" = field(default=None)
    _taste: "asyncio.Future[Taste] | None" = field(default=None)

    def __post_init__(self) -> None:
        self.loaders = Loaders(self.sessions)

    def renew(self) -> None:
        """Forget what was read, as if the request came now."""
        self.__post_init__()
        self._viewer = self._taste = None
        if self.live is not None:
            self.served = self.live.served

    @property
    def snapshot(self) -> Snapshot:
        return self.served.snapshot

    @property
    def model(self) -> Model | None:
        return self.served.model

    async def viewer(self) -> Viewer | None:
        """Who asks, read once a request; None when signed out.

        Raises CallerError(UNAUTHENTICATED) for a token that is not valid or whose session has ended.
        """
        if self._viewer is None:
            self._viewer = asyncio.ensure_future(self._authenticate())
        return await self._viewer

    async def taste(self) -> Taste:
        """The viewer's taste as it is now, read once a request."""
        if self._taste is None:
            self._taste = asyncio.ensure_future(self._read_taste())
        return await self._taste

    async def _read_taste(self) -> Taste:
        viewer = await self.require_viewer()
        return await taste_of(self.sessions, viewer.id)

    async def require_viewer(self) -> Viewer:
        viewer = await self.viewer()
        if viewer is None:
            raise CallerError(
                "Sign in first: send `Authorization: Bearer <accessToken>`.", ErrorCode.UNAUTHENTICATED
            )
        return viewer

    async def _authenticate(self) -> Viewer | None:
        if self.access_token is None:
            return None
        try:
            viewer = await accounts.viewer_of(self.sessions, self.settings, self.access_token)
        except jwt.InvalidTokenError:
            viewer = None
        if viewer is None:
            raise CallerError(
                "The access token is not valid or its session has ended.", ErrorCode.UNAUTHENTICATED
            )
        return viewer


Info = strawberry.Info[Context, None]


def bearer_token(connection: HTTPConnection) -> str | None:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
