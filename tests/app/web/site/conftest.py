"""The web app in Debian's Chromium: one browser for each module, one context for each visitor."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

PASSWORD = "a long password"
WIDE: ViewportSize = {"width": 1400, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # no host but the service
SECONDS = 60_000  # milliseconds that a busy machine may take for a page


@dataclass
class Visitor:
    """A context of the browser with its first page, and what went wrong in all its pages."""

    context: BrowserContext
    page: Page
    server: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)  # "METHOD /path" of all but pictures and reports
    reports: list[str] = field(default_factory=list)  # bodies that say what was seen of lists

    def follow(self, page: Page) -> Page:
        """Note errors, violations of the policy and requests of a page."""
        page.set_default_timeout(SECONDS)
        page.on("console", lambda each: self.complaints.append(each.text) if each.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self.note)
        return page

    def note(self, request: Request) -> None:
        url = request.url
        if not url.startswith((self.server, "data:")):
            self.complaints.append(f"a request to another host: {url}")
        path = url.removeprefix(self.server)
        if "IMPRESSION" in (request.post_data or ""):
            self.reports.append(request.post_data or "")
        elif not path.endswith("icon.svg") and not path.startswith("/poster/"):
            self.requests.append(f"{request.method} {path}")

    def open(self, path: str, heading: str | None = None) -> None:
        self.page.goto(self.server + path)
        if heading is not None:
            expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_attached()

    def post(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        """Send JSON with the cookies of the context."""
        answer = self.context.request.post(
            self.server + path, data=body, headers={"Origin": self.server, **headers}
        )
        return answer.json()

    def join(self, ratings: int = 6, *, discoverable: bool = True) -> str:
        """Make a member with ratings, signed in on all pages that open from now on. Returns the name."""
        name = f"web-{uuid4().hex[:10]}"
        made = self.post("/session", {"action": "signUp", "username": name, "password": PASSWORD})
        authorization = f"Bearer {made['session']['accessToken']}"

        def ask(query: str) -> Any:
            return self.post("/graphql", {"query": query}, Authorization=authorization)["data"]

        movies = ask("{ onboarding(first: 24) { nodes { id } } }")["onboarding"]["nodes"]
        for place, movie in enumerate(movies[:ratings]):
            rating = f'movieId: "{movie["id"]}", stars: {5 - place % 4}'
            ask(f"mutation {{ rateMovie(input: {{ {rating} }}) {{ __typename }} }}")
        if discoverable:
            ask("mutation { setDiscoverable(input: { discoverable: true }) { __typename } }")
        self.context.add_init_script("localStorage.setItem('marquee:signed-in', '1')")
        return name


NewVisitor = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", NO_NETWORK])
        yield browser
        browser.close()


@pytest.fixture
def new_visitor(browser: Browser, server: str) -> Iterator[NewVisitor]:
    """Open contexts. An error, a violation of the policy or a request to another host fails the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(visiting(browser, server, **options))


@contextmanager
def visiting(browser: Browser, server: str, **options: Any) -> Iterator[Visitor]:
    context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options})
    context.set_default_timeout(SECONDS)
    visitor = Visitor(context, context.new_page(), server)
    visitor.follow(visitor.page)
    yield visitor
    context.close()
    assert visitor.complaints == []


@pytest.fixture
def visitor(new_visitor: NewVisitor) -> Visitor:
    return new_visitor()
