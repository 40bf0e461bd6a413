"""Operators in the web app: a training watched to its activation, a list traced, movies, keys and members."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from tests.app.web.site.conftest import PASSWORD, SECONDS, Visitor, visiting
from tests.conftest import keep_few_members
from tests.services import StartServer

expect.set_options(timeout=SECONDS)
TRAINING_MS = 120_000
START = """mutation { startExperiment(input: { name: "variety", arms: [
    { name: "plain", share: 0.5 }, { name: "varied", share: 0.5, diversity: 0.4 }
] }) { __typename } }"""
LETTER = """
INSERT INTO dead_letters (stream, partition, position, reason, rule, raw_line, is_whole, default_source)
VALUES ('kafka:logs', 2, 5, 'VALUE', 'The rating is outside 1 to 5.', 'line 5', true, 'tv')
"""


@pytest.fixture
def service(start_server: StartServer, seeded_database_url: str, model_dir: Path, tmp_path: Path) -> str:
    """A service of its own: a training makes another model active."""
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute(LETTER)
    keep_few_members(seeded_database_url)
    shutil.copytree(model_dir, tmp_path / "models")
    return start_server(seeded_database_url, MODEL_DIR=str(tmp_path / "models")).url


@pytest.fixture
def operator(browser: Browser, service: str, seeded_database_url: str) -> Iterator[Visitor]:
    with visiting(browser, service) as visitor:
        name = visitor.join(ratings=1)
        with psycopg.connect(seeded_database_url) as connection:
            connection.execute("UPDATE users SET role = 'ADMIN' WHERE username = %s", (name,))
        visitor.post("/session", {"action": "logIn", "username": name, "password": PASSWORD})
        yield visitor


def ask(visitor: Visitor, query: str) -> dict[str, object]:
    token = visitor.post("/session", {"action": "refresh"})["session"]["accessToken"]
    data: dict[str, object] = visitor.post("/graphql", {"query": query}, Authorization=f"Bearer {token}")[
        "data"
    ]
    return data


def test_an_operator_trains_traces_and_edits(operator: Visitor) -> None:
    page = operator.page
    listed = ask(operator, "{ recommendations(first: 5) { requestId } }")["recommendations"]
    operator.open("/operate", "Operate")
    expect(page.get_by_role("term").filter(has_text="Requests")).to_be_visible()
    expect(page.get_by_text("1 dead letter", exact=True)).to_be_visible()
    page.get_by_role("link", name="Models").click()
    active = page.get_by_role("region", name=re.compile("^Model 2")).first
    before = active.get_attribute("aria-label")
    expect(page.get_by_role("button", name="Roll back")).to_be_disabled()
    page.get_by_role("button", name="Train a model").click()
    expect(page.get_by_role("progressbar", name="Training")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Model \S+ is trained"))).to_be_visible(timeout=TRAINING_MS)
    expect(page.get_by_role("region", name=re.compile("^Model 2"))).to_have_count(2)
    if page.get_by_text("not active").count():  # the gate may refuse it: the operator decides
        page.get_by_role("button", name=re.compile("^Activate ")).click()
    expect(active).to_contain_text("Active")
    assert active.get_attribute("aria-label") != before
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("button", name="Serve the model before?").click()
    expect(page.get_by_role("region", name=str(before))).to_contain_text("Active")

    assert isinstance(listed, dict)
    operator.open(f"/operate/lists?request={listed['requestId']}", "Trace a list")
    expect(page.get_by_text("Made again: the same list")).to_be_visible()
    operator.open("/operate/streams", "Ingestion")
    expect(page.get_by_text("The rating is outside 1 to 5.")).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("0 stored, 0 known before, 1 refused again.")).to_be_visible()


def test_an_operator_sees_to_movies_keys_members_and_experiments(operator: Visitor) -> None:
    page = operator.page
    operator.open("/operate/movies", "Movies")
    page.locator("summary", has_text="Add a movie").click()
    page.get_by_label("Title", exact=True).fill("The Lighthouse Keeper's Train")
    page.get_by_label("Genres").fill("Drama, Comedy")
    page.get_by_role("button", name="Add the movie").click()
    page.get_by_role("button", name="Edit The Lighthouse Keeper's Train").click()
    editor = page.locator(".picker")
    editor.get_by_label("Year").fill("2001")
    editor.get_by_text("More facts").click()
    editor.get_by_label("Cast").fill("Robert Downey, Jr.\nSetsuko Hara")
    editor.get_by_label("Further facts").fill("[1]")
    page.get_by_role("button", name="Store the changes").click()
    expect(editor.get_by_text("Enter an object of JSON")).to_be_visible()
    editor.get_by_label("Further facts").fill('{"shelf": "A3"}')
    page.get_by_role("button", name="Store the changes").click()
    expect(page.get_by_role("listitem").filter(has_text="Lighthouse").first).to_contain_text("2001")
    page.get_by_role("button", name="Edit The Lighthouse Keeper's Train").click()
    editor.get_by_text("More facts").click()
    expect(editor.get_by_label("Cast")).to_have_value("Robert Downey, Jr.\nSetsuko Hara")
    expect(editor.get_by_label("Further facts")).to_have_value('{\n  "shelf": "A3"\n}')
    page.get_by_role("button", name="Hide The Lighthouse Keeper's Train").click()
    expect(page.get_by_text("Hidden", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).first.click()
    page.get_by_role("button", name="Delete The Lighthouse Keeper's Train?").click()
    expect(page.get_by_text("The Lighthouse Keeper's Train is deleted.")).to_be_visible()

    operator.open("/operate/keys", "API keys")
    page.get_by_label("Name", exact=True).fill("newsletter")
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_label("The key newsletter")).to_have_value(re.compile("^mq_"))
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Revoke newsletter?").click()
    expect(page.get_by_text("Revoked", exact=True)).to_be_visible()
    operator.open("/operate/keys", "API keys")
    expect(page.get_by_label("The key newsletter")).to_have_count(0)  # shown once
    operator.open("/operate/audit", "Audit")
    expect(page.get_by_text("createApiKey", exact=True)).to_be_visible()

    assert ask(operator, START)["startExperiment"] == {"__typename": "StartExperimentPayload"}
    operator.open("/operate/experiments", "Experiments")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Stop variety?").click()
    expect(page.get_by_text("Stopped", exact=True)).to_be_visible()

    operator.open("/operate/members?name=nobody-at-all", "Members")
    expect(page.get_by_label("Name of a member")).to_have_attribute("aria-invalid", "true")
