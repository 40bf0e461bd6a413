"""GraphiQL: a page for browsers at the URL of the API, with vendored files or else files of a CDN."""

import json
import secrets
from html import escape
from pathlib import Path
from string import Template

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER = Path(__file__).parent
CDN = "https://cdn.jsdelivr.net"
LONGEST_QUERY_STRING = 2_000  # of a URL of the page; a longer one is not parsed here
# The parameters of a GraphQL request; the API answers a URL with one of them.
REQUEST_PARAMETERS = {"query", "operationName", "variables", "extensions", "documentId"}


class GraphiqlOrApi:
    """Serves GraphiQL to browsers that request a page, and the API to all others."""

    def __init__(self, graphql: ASGIApp, demo: tuple[str, str] | None = None) -> None:
        """`demo`: username and password of an account to which the page offers to sign in."""
        self.graphql = graphql
        self.html, self.policy = _page(demo)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _requests_page(scope):
            await self.graphql(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        headers = {
            "Content-Security-Policy": self.policy.substitute(nonce=nonce),
            "Cache-Control": "no-store",
            "Vary": "Accept",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }
        await HTMLResponse(self.html.substitute(nonce=nonce), headers=headers)(scope, receive, send)


def routes(*, at_root: bool) -> list[BaseRoute]:
    """Routes of the page's files, examples and vendored files in `/graphiql`.

    `at_root`: also redirect from `/`, where there is no web app.
    """
    files = [
        Route("/examples.json", _examples),
        Mount("/vendor", StaticFiles(directory=FOLDER / "vendor", check_dir=False)),
        Mount("/", StaticFiles(directory=FOLDER / "page")),
    ]
    root = [Route("/", _to_page)] if at_root else []
    return [Mount("/graphiql", routes=files), *root]


def _requests_page(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and "text/html" in Headers(scope=scope).get("accept", "")
        and len(scope["query_string"]) < LONGEST_QUERY_STRING
        and REQUEST_PARAMETERS.isdisjoint(QueryParams(scope["query_string"]))
    )


def _page(demo: tuple[str, str] | None) -> tuple[Template, Template]:
    """Templates of the page and its policy, to fill in the nonce for the style elements of its dialogs."""
    assets: dict[str, str] = json.loads((FOLDER / "assets.json").read_text())
    vendored = all((FOLDER / "vendor" / name).is_file() for name in assets)
    base, allowed = ("/graphiql/vendor", "'self'") if vendored else (f"{CDN}/npm", f"'self' {CDN}")
    link = '<link rel="stylesheet" href="{}/{}" integrity="{}" crossorigin="anonymous">'
    script = '<script defer src="{}/{}" integrity="{}" crossorigin="anonymous"></script>'
    tags = [
        (link if name.endswith(".css") else script).format(base, name, integrity)
        for name, integrity in assets.items()
    ]
    html = Template((FOLDER / "page" / "index.html").read_text()).safe_substitute(
        assets="\n".join(tags), demo=escape(json.dumps(demo))
    )
    policy = {
        "default-src": "'none'",
        "script-src": allowed,
        "style-src": f"{allowed} 'nonce-$nonce'",
        "img-src": "'self' data: https:",  # posters in responses
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return Template(html), Template("; ".join(f"{name} {value}" for name, value in policy.items()))


def _to_page(_: Request) -> RedirectResponse:
    return RedirectResponse("/graphql")


def _examples(_: Request) -> JSONResponse:
    return JSONResponse(examples())


def examples() -> list[dict[str, str]]:
    """The operations that open as tabs, in order. The page replaces `MOVIE_n` and `NEW_USER`.

    `groups.json` has the groups and their examples; one that it does not name is in the last group.
    """
    groups: dict[str, list[str]] = json.loads((FOLDER / "examples" / "groups.json").read_text())
    places = {name: (group, place) for group in groups for place, name in enumerate(groups[group])}
    order, last = list(groups), (list(groups)[-1], len(places))
    named = [(places.get(path.stem, last), path) for path in sorted((FOLDER / "examples").glob("*.graphql"))]
    return [
        {
            "group": group,
            "query": path.read_text(),
            "variables": variables.read_text() if (variables := path.with_suffix(".json")).exists() else "",
        }
        for (group, _), path in sorted(named, key=lambda each: (order.index(each[0][0]), each[0][1]))
    ]
