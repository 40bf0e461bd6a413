"""The web app: pages at `/`, and their modules and styles in `/static/<hash>/`.

The browser runs the files of `app/web/static` as they are. docs/web.md describes them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.web.site import documents, files
from app.web.site.files import File

FOLDER = Path(__file__).parent.parent / "static"
NAME = "Marquee"
MAIN = "main.js"
MANIFEST = "manifest.js"  # written here: routes, documents, and what the settings allow
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: https:",  # a poster may be at any https address
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
PAGE_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Site:
    """The files and documents of the web app, read once."""

    documents: list[documents.Document]
    routes: list[dict[str, str]]
    files: dict[str, bytes]

    @classmethod
    def of(cls, demo: tuple[str, str] | None, *, explored: bool) -> "Site":
        """`demo`: username and password of an account to look around with. `explored`: GraphiQL is served."""
        operations = documents.read(FOLDER / "documents")
        routes: list[dict[str, str]] = json.loads((FOLDER / "routes.json").read_text())
        manifest = {
            "routes": routes,
            "documents": {each.name: each.sha256 for each in operations},
            "demo": demo,
            "explored": explored,
        }
        lines = (f"export const {name} = {json.dumps(value)};\n" for name, value in manifest.items())
        return cls(operations, routes, {**files.read(FOLDER), MANIFEST: "".join(lines).encode()})

    @property
    def texts(self) -> dict[str, str]:
        """The texts of the documents by SHA-256, for the API."""
        return {each.sha256: each.text for each in self.documents}

    def served(self, *, compressed: bool) -> list[BaseRoute]:
        """The routes of the pages and files. `compressed`: as `Accept-Encoding` allows."""
        base = f"/static/{files.hash_of(self.files)}"
        packed = {name: File.of(name, body) for name, body in self.files.items()}

        async def file(request: Request) -> Response:
            found = packed.get(request.path_params["name"])
            if found is None:
                return Response("There is no such file.", 404, {"Cache-Control": "no-store"}, "text/plain")
            return found.response(request, FOREVER, compressed=compressed)

        pages = [page(each["path"], self.html(base, each), compressed=compressed) for each in self.routes]
        return [*pages, Route(f"{base}/{{name:path}}", file)]

    def html(self, base: str, route: Mapping[str, str]) -> File:
        """The page of a route. The browser requests all its modules at once, before it has read one."""
        modules = dict.fromkeys(
            [*files.imported(MAIN, self.files), *files.imported(f"pages/{route['page']}.js", self.files)]
        )
        styles = [name for name in self.files if name.endswith(".css")]
        filled = Template((FOLDER / "index.html").read_text()).substitute(
            base=base,
            title=escape(route["title"] if route["title"] == NAME else f"{route['title']} · {NAME}"),
            styles="\n".join(f'<link rel="stylesheet" href="{base}/{name}">' for name in styles),
            preloads="\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in modules),
        )
        return File.of("index.html", filled.encode())


def page(path: str, html: File, *, compressed: bool) -> Route:
    async def answer(request: Request) -> Response:
        return html.response(request, PAGE_HEADERS, compressed=compressed)

    return Route(path, answer)
