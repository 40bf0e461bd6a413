"""Serve one path without the router."""

from starlette.types import ASGIApp, Receive, Scope, Send


class AtPath:
    """Serves a path without Starlette's router, by an application that answers its own exceptions."""

    def __init__(self, app: ASGIApp, path: str, endpoint: ASGIApp) -> None:
        self.app, self.path, self.endpoint = app, path, endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.endpoint if scope.get("path") == self.path else self.app)(scope, receive, send)
