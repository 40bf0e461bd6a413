"""The page reports what members see and open in their lists."""

import time

import psycopg
from playwright.sync_api import Request, expect

from tests.app.web.site.conftest import SECONDS, Visitor

expect.set_options(timeout=SECONDS)
IN_VIEW = """() => [...document.querySelectorAll("article.card")].filter((card) => {
  const { top, bottom, height } = card.getBoundingClientRect();
  return Math.min(bottom, innerHeight) - Math.max(top, 0) >= height / 2;
}).length"""
EVENTS = """
SELECT kind, position, count(*) OVER (PARTITION BY request_id) FROM feedback JOIN users ON users.id = user_id
WHERE username = %s AND kind IN ('IMPRESSION', 'CLICK') ORDER BY kind, position
"""


def events(url: str, name: str, count: int) -> list[tuple[str, int, int]]:
    """A member's clicks and impressions, once there are `count`: kind, position, events of the same list."""
    with psycopg.connect(url, autocommit=True) as connection:
        end = time.monotonic() + SECONDS / 1000
        while time.monotonic() < end:
            found = connection.execute(EVENTS, (name,)).fetchall()
            if len(found) >= count:
                return found
            time.sleep(0.1)
    raise AssertionError(found)


def reports(request: Request) -> bool:
    return "IMPRESSION" in (request.post_data or "")


def test_impressions_go_in_one_request_and_a_click_outlives_the_page(
    visitor: Visitor, server_database_url: str
) -> None:
    name, page = visitor.join(), visitor.page
    with page.expect_request(reports):
        visitor.open("/for-you", "For you")
        seen = page.evaluate(IN_VIEW)
    assert 0 < seen < 24
    impressions = [("IMPRESSION", place, seen) for place in range(seen)]
    assert events(server_database_url, name, seen) == impressions
    assert len(visitor.reports) == 1

    title = page.locator(".card-title a").nth(2)
    text = title.inner_text()
    title.click()
    expect(page.get_by_role("heading", name=text, level=1)).to_be_focused()
    page.goto(f"{visitor.server}/healthz")  # before the click was sent
    kept = [(kind, place, seen + 1) for kind, place, _ in [("CLICK", 2, 0), *impressions]]
    assert events(server_database_url, name, seen + 1) == kept


def test_what_was_seen_is_sent_again_after_a_failure(visitor: Visitor, server_database_url: str) -> None:
    name, page = visitor.join(), visitor.page
    page.route(
        f"{visitor.server}/graphql",
        lambda route: route.abort() if reports(route.request) else route.fallback(),
    )
    with page.expect_event("requestfailed", reports):
        visitor.open("/for-you", "For you")
    page.unroute_all()
    page.evaluate("dispatchEvent(new Event('online'))")
    seen = page.evaluate(IN_VIEW)
    assert len(events(server_database_url, name, seen)) == seen
    assert all("ERR_FAILED" in each for each in visitor.complaints)
    visitor.complaints.clear()
