"""From joining to an undone mark by the keyboard alone."""

import re
from uuid import uuid4

from playwright.sync_api import Locator, Page, expect

from tests.app.web.site.conftest import PASSWORD, SECONDS, Visitor

expect.set_options(timeout=SECONDS)
FIRST = 24
MOST_STOPS = 150


def go_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the element has the focus."""
    element = wanted.element_handle()
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if page.evaluate("(element) => element === document.activeElement", element):
            return
    raise AssertionError(f"{wanted} is not reached with {MOST_STOPS} tabs")


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, level=1)).to_be_focused()


def test_from_joining_to_an_undone_mark_by_keys_alone(visitor: Visitor) -> None:
    page, keys = visitor.page, visitor.page.keyboard
    visitor.open("/", "Movies that match you.")
    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    keys.press("Enter")
    heading(page, "Movies that match you.")
    go_to(page, page.get_by_role("main").get_by_role("link", name="Join", exact=True))
    keys.press("Enter")
    heading(page, "Join Marquee")
    go_to(page, page.get_by_label("Name"))
    keys.type(f"keys-{uuid4().hex[:10]}")
    go_to(page, page.get_by_label("Password", exact=True))
    keys.type(PASSWORD)
    keys.press("Enter")
    heading(page, "What do you like to watch?")
    for place in range(5):
        go_to(page, page.get_by_role("checkbox").nth(place))
        keys.press("Space")
    go_to(page, page.get_by_role("button", name="Go on"))
    keys.press("Enter")
    heading(page, "Rate what you have seen")
    groups = page.get_by_role("group", name=re.compile("^Your rating of"))
    expect(groups).to_have_count(FIRST)
    for place in range(5):
        go_to(page, page.get_by_role("button", name=re.compile("^(Not seen|Clear)")).nth(place))
        keys.press("Shift+Tab")  # the stars are before it
        for _ in range(7):
            keys.press("ArrowRight")
        expect(groups.nth(place).get_by_label("4 stars", exact=True)).to_be_checked()
        keys.press("Tab")
    go_to(page, page.get_by_role("link", name="Show my list"))
    keys.press("Enter")
    heading(page, "For you")
    titles = page.locator(".card-title a")
    expect(titles).to_have_count(FIRST)
    title = titles.first.inner_text()
    go_to(page, titles.first)
    keys.press("Enter")
    heading(page, title)
    listed = page.locator(".own").get_by_role("button", name=re.compile("atchlist"))
    go_to(page, listed)
    keys.press("Space")
    expect(page.get_by_text(f"{title} is on your watchlist.")).to_be_visible()
    keys.press("Control+z")
    expect(listed).to_have_attribute("aria-pressed", "false")
    expect(listed).to_be_focused()
    visitor.open("/", "Home")
    go_to(page, titles.first)
    keys.press("ArrowRight")
    expect(titles.nth(1)).to_be_focused()
