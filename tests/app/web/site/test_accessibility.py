"""No page of the web app has a violation that axe finds, in both schemes, on a screen and on a phone."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import expect

from tests import npm
from tests.app.web.site.conftest import NARROW, SECONDS, WIDE, NewVisitor, Visitor

# axe reads 26 pages at each size: that takes minutes of a busy machine.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

FOLDER = Path(__file__).parent
VISITORS = {"/": "Movies that match you.", "/join": "Join Marquee", "/sign-in": "Sign in"}
MEMBERS = {
    "/": "Home",
    "/join/genres": "What do you like to watch?",
    "/join/rate": "Rate what you have seen",
    "/for-you": "For you",
    "/search?q=love": "Results for “love”",
    "/mine": "My ratings",
    "/mine/watchlist": "My watchlist",
    "/mine/history": "My history",
    "/mine/taste": "My taste",
    "/night": "Movie night",
    "/import": "Import ratings",
    "/settings": "Settings",
}
OPERATORS = {
    "/operate": "Operate",
    "/operate/models": "Models",
    "/operate/lists": "Trace a list",
    "/operate/streams": "Ingestion",
    "/operate/experiments": "Experiments",
    "/operate/movies?q=heat": "Movies",
    "/operate/keys": "API keys",
    "/operate/audit": "Audit",
    "/operate/members": "Members",
}
RUN = "() => axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)"

expect.set_options(timeout=SECONDS)


@pytest.fixture(scope="session")
def axe(run_folder: Path) -> str:
    """The source of axe-core."""
    npm.install(FOLDER, run_folder)
    return (FOLDER / "node_modules" / "axe-core" / "axe.min.js").read_text()


def violations(visitor: Visitor, axe: str) -> list[str]:
    visitor.page.evaluate(axe)
    found: list[dict[str, Any]] = visitor.page.evaluate(RUN)
    return [f"{each['id']}: {each['help']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize(("viewport", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide", "narrow"])
def test_axe_finds_nothing(
    new_visitor: NewVisitor, server_database_url: str, axe: str, viewport: dict[str, int], scheme: str
) -> None:
    options = {"viewport": viewport, "color_scheme": scheme}
    stranger, member, operator = (new_visitor(**options) for _ in range(3))
    member.join()
    name = operator.join(ratings=0)
    with psycopg.connect(server_database_url) as connection:
        connection.execute("UPDATE users SET role = 'ADMIN' WHERE username = %s", (name,))
    faults: dict[str, list[str]] = {}
    for visitor, pages in ((stranger, VISITORS), (member, MEMBERS), (operator, OPERATORS)):
        for path, heading in pages.items():
            visitor.open(path, heading)
            faults[path] = violations(visitor, axe)
            assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    member.open("/for-you", "For you")
    member.page.locator(".card-title a").first.click()
    expect(member.page.get_by_role("heading", name="Similar movies")).to_be_visible()
    faults["movie"] = violations(member, axe)
    assert {path: found for path, found in faults.items() if found} == {}
