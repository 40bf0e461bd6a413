"""GraphiQL: a page for browsers at the API's own address, its files from here or else from a CDN."""

import json
from pathlib import Path
from string import Template

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER = Path(__file__).parent
CDN = "https://cdn.jsdelivr.net"
# What a GraphQL request may say in its address; the page answers none of these.
REQUEST_PARAMETERS = {"query", "operationName", "variables", "extensions", "documentId"}


def page_or(graphql: ASGIApp) -> ASGIApp:
    """The API, and for a browser that asks for a page at its address, GraphiQL."""
    page = _page()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (page if _asks_for_page(scope) else graphql)(scope, receive, send)

    return answer


def files() -> Mount:
    """The page's own files, its examples, and the vendored ones, all below `/graphiql`."""
    return Mount(
        "/graphiql",
        routes=[
            Route("/examples.json", _examples),
            Mount("/vendor", StaticFiles(directory=FOLDER / "vendor", check_dir=False)),
            Mount("/", StaticFiles(directory=FOLDER / "page")),
        ],
    )


def _asks_for_page(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and "text/html" in Headers(scope=scope).get("accept", "")
        and REQUEST_PARAMETERS.isdisjoint(QueryParams(scope["query_string"]))
    )


def _page() -> HTMLResponse:
    assets: dict[str, str] = json.loads((FOLDER / "assets.json").read_text())
    vendored = all((FOLDER / "vendor" / name).is_file() for name in assets)
    base, allowed = ("/graphiql/vendor", "'self'") if vendored else (f"{CDN}/npm", f"'self' {CDN}")
    link = '<link rel="stylesheet" href="{}/{}" integrity="{}" crossorigin="anonymous">'
    script = '<script defer src="{}/{}" integrity="{}" crossorigin="anonymous"></script>'
    tags = [
        (link if name.endswith(".css") else script).format(base, name, sri) for name, sri in assets.items()
    ]
    policy = {
        "default-src": "'none'",
        "script-src": allowed,
        "style-src": f"{allowed} 'unsafe-inline'",  # its editor and menus place themselves by style elements
        "img-src": "'self' data: https:",  # posters in answers
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return HTMLResponse(
        Template((FOLDER / "page" / "index.html").read_text()).substitute(assets="\n".join(tags)),
        headers={
            "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
            "Vary": "Accept",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        },
    )


def _examples(_: Request) -> JSONResponse:
    return JSONResponse(examples())


def examples() -> list[dict[str, str]]:
    """The operations that open as tabs, in order. The page fills in `FILM_n` and `NEW_USER`."""
    return [
        {
            "query": path.read_text(),
            "variables": variables.read_text() if (variables := path.with_suffix(".json")).exists() else "",
        }
        for path in sorted((FOLDER / "examples").glob("*.graphql"))
    ]
