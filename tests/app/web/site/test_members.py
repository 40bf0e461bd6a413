"""What members do in the web app, in a browser."""

import re
from uuid import uuid4

from playwright.sync_api import Page, Route, expect

from tests.app.web.site.conftest import NARROW, PASSWORD, SECONDS, NewVisitor, Visitor

expect.set_options(timeout=SECONDS)
MAX_BYTES = 60_000  # of the first load, compressed, without posters
FIRST = 24
MAX_SHIFT = 0.01  # of the layout while a page loads
SHIFT = """() => new Promise((resolve) => {
  const sum = (list) => resolve(list.getEntries().reduce((all, { value }) => all + value, 0));
  new PerformanceObserver(sum).observe({ type: "layout-shift", buffered: true });
  setTimeout(resolve, 300, 0);
})"""


def heading(page: Page, name: str) -> None:
    """Wait for a page, whose heading has the focus."""
    expect(page.get_by_role("heading", name=name, level=1)).to_be_focused()


def test_from_joining_to_a_list_of_ones_own_on_a_phone(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(viewport=NARROW, has_touch=True)
    page = visitor.page
    visitor.open("/", "Movies that match you.")
    page.get_by_role("banner").get_by_role("link", name="Join").click()
    heading(page, "Join Marquee")
    password = page.get_by_label("Password", exact=True)
    page.get_by_label("Name").fill(f"join-{uuid4().hex[:10]}")
    password.fill("short")
    expect(page.get_by_text("At least 8 characters: 3 more.")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(password).to_be_focused()
    expect(password).to_have_attribute("aria-invalid", "true")
    password.fill(PASSWORD)
    expect(page.get_by_text("This password is fine.")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    heading(page, "What do you like to watch?")
    boxes = page.get_by_role("checkbox")
    for place in range(4):
        boxes.nth(place).check()
    expect(page.get_by_text("4 of 5 chosen")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("Choose 1 more genre.")).to_be_visible()
    boxes.nth(4).check()
    page.get_by_role("button", name="Go on").click()
    heading(page, "Rate what you have seen")
    groups = page.get_by_role("group", name=re.compile("^Your rating of"))
    expect(groups).to_have_count(FIRST)
    page.get_by_role("button", name=re.compile("^Not seen")).nth(5).click()
    page.get_by_role("button", name="Show more").click()
    expect(groups).to_have_count(2 * FIRST)
    for place in range(5):
        expect(page.get_by_role("link", name="Show my list")).to_be_hidden()
        groups.nth(place).get_by_label(f"{5 - place / 2:g} stars", exact=True).check()
    page.get_by_role("link", name="Show my list").click()
    heading(page, "For you")
    expect(page.locator("article.card")).to_have_count(FIRST)
    expect(page.get_by_text(re.compile(r"^\d+% match$"))).to_have_count(FIRST)
    expect(page.get_by_text(re.compile(r"^Expected ★ \d\.\d · \d\.\d–\d\.\d$"))).to_have_count(FIRST)
    expect(page.locator(".reason")).to_have_count(FIRST)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_first_load_is_small_and_the_second_is_from_the_cache(visitor: Visitor) -> None:
    visitor.join()
    network = visitor.context.new_cdp_session(visitor.page)
    network.send("Network.enable")
    kinds: dict[str, str] = {}
    received: dict[str, float] = {}
    network.on("Network.responseReceived", lambda e: kinds.update({e["requestId"]: e["response"]["url"]}))
    network.on("Network.loadingFinished", lambda e: received.update({e["requestId"]: e["encodedDataLength"]}))
    visitor.open("/for-you", "For you")
    expect(visitor.page.locator("article.card")).to_have_count(FIRST)
    visitor.page.wait_for_load_state("networkidle")
    own = {kinds[each]: size for each, size in received.items() if "/poster/" not in kinds[each]}
    assert sum(own.values()) < MAX_BYTES, own
    assert visitor.requests.count("POST /graphql") == 1
    assert visitor.requests.count("POST /session") == 1
    assert visitor.page.evaluate(SHIFT) < MAX_SHIFT
    visitor.page.reload()
    expect(visitor.page.locator("article.card")).to_have_count(FIRST)
    scripts = "performance.getEntriesByType('resource').filter(e => e.name.includes('/static/'))"
    assert visitor.page.evaluate(f"{scripts}.every(e => e.transferSize === 0)")


def test_more_movies_a_movie_and_back_to_the_same_place(visitor: Visitor) -> None:
    page = visitor.page
    visitor.join()
    visitor.open("/for-you", "For you")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("article.card")).to_have_count(2 * FIRST)
    title = page.locator(".card-title a").nth(30)
    name = title.inner_text()
    expect(page.locator(".card-title a").nth(FIRST)).to_be_focused()
    title.click()
    heading(page, name)
    expect(page).to_have_title(f"{name} · Marquee")
    for section in ("Ratings", "Similar movies"):
        expect(page.get_by_role("heading", name=section)).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d+% match$"))).to_be_visible()
    asked = list(visitor.requests)
    page.go_back()
    expect(page.locator("article.card")).to_have_count(2 * FIRST)
    expect(page.locator(".card-title a").nth(30)).to_be_in_viewport()
    assert visitor.requests[len(asked) :] == []
    choice = page.get_by_role("checkbox", name=re.compile("^Comedy"))
    choice.check()
    expect(page).to_have_url(re.compile("genre=Comedy"))
    expect(page.locator("article.card")).to_have_count(FIRST)
    page.reload()
    expect(page.get_by_role("checkbox", name=re.compile("^Comedy"))).to_be_checked()


def test_marks_are_undone_and_a_failure_is_taken_back(visitor: Visitor) -> None:
    page = visitor.page
    visitor.join()
    visitor.open("/", "Home")
    card = page.locator("article.card").first
    bookmark = card.get_by_role("button", name=re.compile("^Watchlist"))
    bookmark.click()
    expect(bookmark).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Undo").click()
    expect(bookmark).to_have_attribute("aria-pressed", "false")
    hidden = card.get_by_role("button", name=re.compile("^Not interested"))
    hidden.click()
    expect(hidden).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Undo").click()
    expect(hidden).to_have_attribute("aria-pressed", "false")
    card.get_by_role("button", name=re.compile("^Rate")).click()
    card.get_by_label("4.5 stars", exact=True).click()
    expect(card.get_by_role("button", name=re.compile("^Rated 4.5"))).to_be_visible()
    page.get_by_role("button", name="Undo").last.click()
    expect(card.get_by_role("button", name=re.compile("^Rate:"))).to_be_visible()

    def fail(route: Route) -> None:
        route.abort()

    page.route(f"{visitor.server}/graphql", fail)
    bookmark.click()
    expect(page.get_by_text("The service cannot be reached")).to_be_visible()
    expect(bookmark).to_have_attribute("aria-pressed", "false")
    page.unroute(f"{visitor.server}/graphql", fail)
    page.get_by_role("button", name="Try again").click()
    expect(bookmark).to_have_attribute("aria-pressed", "true")
    expected = [each for each in visitor.complaints if "ERR_FAILED" in each]
    assert len(expected) == 1
    visitor.complaints.clear()


def test_two_tabs_share_the_sign_in_and_the_list(visitor: Visitor) -> None:
    first = visitor.page
    name = visitor.join()
    visitor.open("/for-you", "For you")
    second = visitor.follow(visitor.context.new_page())
    second.goto(f"{visitor.server}/mine")
    expect(second.get_by_role("heading", name="My ratings")).to_be_visible()
    second.locator("article.card").first.get_by_label("1 star", exact=True).check()
    first.get_by_role("button", name="Your list has changed").click()
    expect(first.get_by_role("button", name="Your list has changed")).to_have_count(0)
    for page in (first, second):  # both at once
        page.reload(wait_until="commit")
    for page in (first, second):
        expect(page.get_by_label(f"Menu of {name}")).to_be_visible()
        page.wait_for_load_state("networkidle")  # each tab draws its menu anew when the other has refreshed
    second.get_by_label(f"Menu of {name}").click()
    second.get_by_role("button", name="Sign out").click()
    expect(first).to_have_url(f"{visitor.server}/sign-in?next=%2Ffor-you")
    first.get_by_label("Name").fill(name)
    first.get_by_label("Password", exact=True).fill("a wrong password")
    first.get_by_role("button", name="Sign in").click()
    expect(first.get_by_text("The username or the password is wrong.")).to_be_visible()
    first.get_by_label("Password", exact=True).fill(PASSWORD)
    first.get_by_role("button", name="Sign in").click()
    heading(first, "For you")
    expect(second.get_by_label(f"Menu of {name}")).to_be_visible()


def test_search_suggests_while_typing_and_is_used_by_keys(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/", "Movies that match you.")
    box = page.get_by_role("combobox", name="Search")
    box.press_sequentially("the godf", delay=20)
    expect(page.get_by_role("option", name=re.compile("^The Godfather 1972"))).to_be_visible()
    box.press("ArrowDown")
    expect(page.get_by_role("option", selected=True)).to_have_count(1)
    box.press("Escape")
    expect(page.get_by_role("listbox", name="Suggestions")).to_be_hidden()
    box.press("Enter")
    heading(page, "Results for “the godf”")
    expect(page.get_by_role("link", name="The Godfather", exact=True)).to_be_visible()
    box.fill("coppola")
    expect(page.get_by_role("option", name=re.compile("^Francis Ford Coppola"))).to_be_visible()
    page.get_by_role("option", name=re.compile("^Francis Ford Coppola")).click()
    heading(page, "Francis Ford Coppola")
    expect(page.get_by_text("Director").first).to_be_visible()


def test_a_night_of_two_by_a_link(new_visitor: NewVisitor) -> None:
    host, guest = new_visitor(), new_visitor()
    hosting, visiting = host.join(discoverable=False), guest.join(8, discoverable=False)
    host.open("/night", "Movie night")
    host.page.get_by_role("button", name="Make the link").click()
    link = host.page.get_by_label("The invitation").input_value()
    guest.open(link.removeprefix(host.server), "You are invited to a movie night")
    expect(guest.page.get_by_text(hosting)).to_have_count(0)
    guest.page.get_by_role("button", name="Join the night").click()
    for visitor, names in ((guest, (visiting, hosting)), (host, (hosting, visiting))):
        expect(visitor.page.locator("article.card")).to_have_count(FIRST)  # the host's page finds out itself
        matches = visitor.page.get_by_role("list", name="Match of each").first.get_by_role("listitem")
        expect(matches).to_have_text([re.compile(rf"{name}\d+%") for name in names])
    host.page.get_by_label("Add a member who can be found by name").fill("nobody-of-this-name")
    host.page.get_by_role("button", name="Add").click()
    expect(host.page.get_by_text("The name nobody-of-this-name cannot be used")).to_be_visible()
    guest.page.get_by_role("button", name="Leave the night").click()
    expect(guest.page.get_by_role("button", name="Make the link")).to_be_visible()


def test_a_page_that_does_not_load_says_so_and_loads_again(visitor: Visitor) -> None:
    page = visitor.page
    page.route(f"{visitor.server}/graphql", lambda route: route.abort())
    visitor.open("/search", "This page did not load")
    expect(page.get_by_text("The service cannot be reached")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("article.card")).to_have_count(FIRST)
    visitor.complaints.clear()
    visitor.open("/movie/TW92aWU6OTk5OTk5", "There is no such movie")
