"""The GraphiQL page renders, runs operations, signs in, and needs no other host."""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from app.web import graphiql
from app.web.graphiql.fetch import sri
from tests.services import StartServer

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
VENDOR = Path(graphiql.__file__).parent / "vendor"

expect.set_options(timeout=60_000)  # milliseconds that a busy machine may take for a page


def test_a_browser_gets_the_page_and_a_program_the_api(server: str) -> None:
    page = httpx.get(f"{server}/graphql", headers=BROWSER)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    query = {"query": "{ __typename }"}
    for answer in (
        httpx.get(f"{server}/graphql", params=query, headers=BROWSER),
        httpx.get(f"{server}/graphql", params=query),
        httpx.post(f"{server}/graphql", json=query, headers=BROWSER),
    ):
        assert answer.json()["data"] == {"__typename": "Query"}
    hashed = {"extensions": '{"persistedQuery": {"version": 1, "sha256Hash": "0"}}'}
    assert (
        "html" not in httpx.get(f"{server}/graphql", params=hashed, headers=BROWSER).headers["content-type"]
    )


def test_it_can_be_disabled(start_server: StartServer, database_url: str) -> None:
    server = start_server(database_url, GRAPHIQL="false").url
    assert "html" not in httpx.get(f"{server}/graphql", headers=BROWSER).headers["content-type"]
    assert httpx.get(f"{server}/graphiql/start.js").status_code == 404


def test_every_file_of_the_page_exists(server: str) -> None:
    html = httpx.get(f"{server}/graphql", headers=BROWSER).text
    own = re.findall(r'(?:src|href)="(/[^"]+)"', html)
    assert "/graphiql/start.js" in own
    for path in own:
        assert httpx.get(server + path).status_code == 200, path
    assert httpx.get(f"{server}/graphiql/../__init__.py").status_code == 404
    assert httpx.get(f"{server}/graphiql/%2e%2e/__init__.py").status_code == 404


@pytest.mark.skipif(not VENDOR.is_dir(), reason="GraphiQL was not fetched: npm was missing at install time")
def test_the_cdn_serves_the_vendored_files() -> None:
    assets = json.loads((VENDOR.parent / "assets.json").read_text())
    for name, integrity in assets.items():
        assert sri((VENDOR / name).read_bytes()) == integrity
    packages = json.loads((VENDOR.parent / "package-lock.json").read_text())["packages"]
    for name in assets:
        package, version = re.match(r"(.[^@]*)@([^/]+)/", name).groups()  # type: ignore[union-attr]
        assert packages[f"node_modules/{package}"]["version"] == version
        assert "resolved" not in packages[f"node_modules/{package}"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    if not VENDOR.is_dir():
        pytest.skip("GraphiQL was not fetched: npm was missing at install time")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """GraphiQL, opened. A request to another host or a violation of the policy fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 850})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith((server, "data:")) else complaints.append(request.url),
    )
    page.goto(f"{server}/graphql")
    yield page
    context.close()
    assert complaints == []


def choose(page: Page, group: str) -> None:
    """Show the examples of a group."""
    page.get_by_role("navigation", name="Examples").get_by_role("button", name=group, exact=True).click()
    first = next(each for each in graphiql.examples() if each["group"] == group)
    name = re.search(r"^(?:query|mutation|subscription) (\w+)", first["query"], re.MULTILINE)
    assert name is not None
    expect(page.get_by_role("tab", name=name[1])).to_be_visible()


def test_the_answer_of_the_first_example_is_there_at_once(page: Page) -> None:
    expect(page.locator(".result-window")).to_contain_text('"strategy": "POPULAR"')
    page.reload()
    expect(page.locator(".result-window")).to_contain_text('"strategy": "POPULAR"')


def test_examples_are_in_groups_and_keep_their_edits(page: Page) -> None:
    groups = list(dict.fromkeys(each["group"] for each in graphiql.examples()))
    assert groups == ["Start", "Browse", "Rate", "Together", "Operate"]
    buttons = page.get_by_role("navigation", name="Examples").get_by_role("button")
    expect(buttons).to_have_text(groups)
    choose(page, "Together")
    expect(page.get_by_role("tab", name="SimilarMembers")).to_be_visible()
    expect(page.get_by_role("tab", name="Popular")).to_be_hidden()
    expect(page.locator(".graphiql-editor-tool .CodeMirror").first).to_contain_text("usernames")
    page.get_by_role("button", name="New tab").click()
    tabs = page.get_by_role("tab")
    count = 1 + sum(each["group"] == "Together" for each in graphiql.examples())
    expect(tabs).to_have_count(count)
    page.wait_for_timeout(700)  # GraphiQL stores its tabs once typing has paused
    choose(page, "Start")
    choose(page, "Together")
    expect(tabs).to_have_count(count)


def test_every_example_is_in_a_group() -> None:
    named = json.loads((graphiql.FOLDER / "examples" / "groups.json").read_text())
    files = sorted(path.stem for path in (graphiql.FOLDER / "examples").glob("*.graphql"))
    assert sorted(name for names in named.values() for name in names) == files


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_signs_in_as_demo_with_one_click_on_a_phone(browser: Browser, server: str, scheme: str) -> None:
    demo = (f"demo-{scheme}", "a-long-password")
    sign_up = "mutation ($i: SignUpInput!) { signUp(input: $i) { __typename } }"
    given = {"i": {"username": demo[0], "password": demo[1]}}
    answer = httpx.post(f"{server}/graphql", json={"query": sign_up, "variables": given}).json()
    assert answer["data"]["signUp"]["__typename"] == "AuthPayload"
    with ThreadPoolExecutor() as pool:  # this thread's event loop is Playwright's
        offering = graphiql.GraphiqlOrApi(PlainTextResponse("the API"), demo)
        html = pool.submit(asyncio.run, get(offering)).result()
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()

    def with_demo(route: Route) -> None:
        if route.request.method == "GET":
            route.fulfill(body=html.text, headers=dict(html.headers))
        else:
            route.continue_()

    page.route(f"{server}/graphql", with_demo)
    page.goto(f"{server}/graphql")
    page.get_by_role("button", name=f"Sign in as {demo[0]}").click()
    expect(page.locator("#signed-in")).to_contain_text(demo[0])
    expect(page.get_by_role("button", name="Execute query")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    editor, result = (page.locator(name).bounding_box() for name in (".graphiql-editors", ".result-window"))
    assert editor is not None
    assert result is not None
    assert min(editor["width"], result["width"]) > 300
    assert result["y"] >= editor["y"] + editor["height"]
    lightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(lightness) / 3 < 80) == (scheme == "dark")
    context.close()


def test_without_a_demo_account_none_is_offered(page: Page) -> None:
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#demo")).to_be_hidden()


def test_runs_an_operation_and_shows_the_answer(page: Page) -> None:
    page.get_by_role("button", name="Execute query").click()
    expect(page.locator(".result-window")).to_contain_text('"strategy": "POPULAR"')
    expect(page.locator(".result-window")).to_contain_text('"rank": 1')


def test_offers_an_explorer_and_the_headers(page: Page) -> None:
    page.get_by_role("button", name="GraphiQL Explorer").click()
    expect(page.locator(".docExplorerWrap")).to_contain_text("recommendations")
    page.get_by_role("button", name="Headers", exact=True).click()
    expect(page.locator(".graphiql-editor-tool")).to_be_visible()


def test_signs_up_rates_and_shows_personal_recommendations(page: Page) -> None:
    page.get_by_label("username").fill("browser-test")
    page.get_by_label("password").fill("a-long-password")
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator("#signed-in")).to_contain_text("browser-test")
    results = page.locator(".result-window")
    choose(page, "Rate")
    for example, answer in (("Rate", "RateMoviePayload"), ("ForMe", '"strategy": "PERSONALIZED"')):
        page.get_by_role("tab", name=re.compile(f"^{example}( |$)")).click()
        page.wait_for_timeout(500)  # GraphiQL reads the operation's name once typing has paused
        page.get_by_role("button", name="Execute query").click()
        expect(results).to_contain_text(answer)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#sign-in")).to_be_visible()


def test_shows_events_of_a_subscription_until_it_is_stopped(page: Page, server: str) -> None:
    page.get_by_label("username").fill("browser-subscriber")
    page.get_by_label("password").fill("a-long-password")
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator("#signed-in")).to_contain_text("browser-subscriber")
    choose(page, "Rate")
    page.get_by_role("tab", name="Changes").click()
    page.wait_for_timeout(500)  # GraphiQL reads the operation's name once typing has paused
    with page.expect_response(
        lambda response: response.headers["content-type"].startswith("text/event-stream")
    ):
        page.get_by_role("button", name="Execute query").click()
    token = json.loads(page.evaluate("sessionStorage.getItem('marquee:session')"))["accessToken"]

    def ask(query: str) -> httpx.Response:
        return httpx.post(
            f"{server}/graphql", json={"query": query}, headers={"Authorization": f"Bearer {token}"}
        )

    (movie,) = re.findall(r'"id": ?"([^"]+)"', ask("{ movies(first: 1) { edges { node { id } } } }").text)
    results = page.locator(".result-window")
    for stars in (5, 4, 3):  # the first may precede the subscription
        ask(f'mutation {{ rateMovie(input: {{ movieId: "{movie}", stars: {stars} }}) {{ __typename }} }}')
        page.wait_for_timeout(500)
    expect(results).to_contain_text('"recommendationsChanged"')
    page.get_by_role("button", name="Stop query").click()
    expect(page.get_by_role("button", name="Execute query")).to_be_visible()


def test_menus_comply_with_the_policy(page: Page) -> None:
    for name in ("Open settings dialog", "Open short keys dialog"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
    for name in ("Show Documentation Explorer", "Show History"):
        page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="Prettify query").click()


async def get(app: ASGIApp) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        return await client.get("http://marquee/graphql", headers=BROWSER)


def test_without_vendored_files_the_cdn_is_used(
    browser: Browser, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(graphiql.FOLDER, tmp_path / "graphiql", ignore=shutil.ignore_patterns("vendor"))
    monkeypatch.setattr(graphiql, "FOLDER", tmp_path / "graphiql")
    with ThreadPoolExecutor() as pool:  # this thread's event loop is Playwright's
        bare = pool.submit(asyncio.run, get(graphiql.GraphiqlOrApi(PlainTextResponse("the API")))).result()

    def from_cdn(route: Route) -> None:
        file = VENDOR / route.request.url.removeprefix(f"{graphiql.CDN}/npm/")
        route.fulfill(path=file, headers={"Access-Control-Allow-Origin": "*"})

    context = browser.new_context()
    page = context.new_page()
    page.route(f"{graphiql.CDN}/**", from_cdn)
    page.route(
        f"{server}/graphql",
        lambda route: (
            route.fulfill(body=bare.text, headers=dict(bare.headers))
            if route.request.method == "GET"
            else route.continue_()
        ),
    )
    page.goto(f"{server}/graphql")
    page.get_by_role("button", name="Execute query").click()
    expect(page.locator(".result-window")).to_contain_text('"strategy": "POPULAR"')
    context.close()
