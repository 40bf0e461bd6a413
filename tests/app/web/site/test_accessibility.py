"""No page of the web app has a violation that axe finds, in both schemes, on a screen and on a phone.

With WEB_SCREENSHOTS, the path of a folder, each page is kept there as a picture in all four.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from playwright.sync_api import ViewportSize, expect

from tests import npm
from tests.app.web.site.conftest import NARROW, SECONDS, WIDE, NewVisitor, Visitor

# axe reads 26 pages in four looks: that takes minutes of a busy machine.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

Scheme = Literal["light", "dark"]
FOLDER = Path(__file__).parent
SCREENSHOTS = os.environ.get("WEB_SCREENSHOTS")
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
RUN = "(options) => axe.run({ resultTypes: ['violations'], ...options }).then(({ violations }) => violations)"
# A page is loaded once. The other scheme differs in colors alone, so that only their rules run for it.
COLORS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
LOOKS: list[tuple[ViewportSize, Scheme, dict[str, Any]]] = [
    (WIDE, "light", {}),
    (WIDE, "dark", COLORS),
    (NARROW, "dark", {}),
    (NARROW, "light", COLORS),
]

expect.set_options(timeout=SECONDS)


@pytest.fixture(scope="session")
def axe(run_folder: Path) -> str:
    """The source of axe-core."""
    npm.install(FOLDER, run_folder)
    return (FOLDER / "node_modules" / "axe-core" / "axe.min.js").read_text()


def violations(visitor: Visitor, axe: str, name: str) -> list[str]:
    """What axe finds on the page in all looks, and what is wider than the screen."""
    page, found = visitor.page, []
    page.evaluate(axe)
    for size, scheme, options in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        look = f"{size['width']}-{scheme}"
        faults: list[dict[str, Any]] = page.evaluate(RUN, options)
        found += [
            f"{look} {each['id']}: {each['help']}: {node['html'][:200]}"
            for each in faults
            for node in each["nodes"]
        ]
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            found.append(f"{look}: wider than the screen")
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{look}.png", full_page=True)
    return found


def test_axe_finds_nothing(new_visitor: NewVisitor, server_database_url: str, axe: str) -> None:
    stranger, member, operator = (new_visitor() for _ in range(3))
    member.join()
    name = operator.join(ratings=0)
    with psycopg.connect(server_database_url) as connection:
        connection.execute("UPDATE users SET role = 'ADMIN' WHERE username = %s", (name,))
    faults: dict[str, list[str]] = {}
    for kind, visitor, pages in (
        ("visitor", stranger, VISITORS),
        ("member", member, MEMBERS),
        ("operator", operator, OPERATORS),
    ):
        for path, heading in pages.items():
            visitor.page.set_viewport_size(WIDE)
            visitor.open(path, heading)
            faults[path] = violations(visitor, axe, re.sub(r"\W+", "-", kind + path).strip("-"))
    member.page.set_viewport_size(WIDE)
    member.open("/for-you", "For you")
    member.page.locator(".card-title a").first.click()
    expect(member.page.get_by_role("heading", name="Similar movies")).to_be_visible()
    faults["movie"] = violations(member, axe, "member-movie")
    assert {path: found for path, found in faults.items() if found} == {}
