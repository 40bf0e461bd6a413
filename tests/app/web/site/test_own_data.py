"""Members bring their ratings, correct what was matched wrongly, and see to their account."""

import json
import re
from pathlib import Path

from playwright.sync_api import FilePayload, expect

from tests.app.web.site.conftest import PASSWORD, SECONDS, Visitor

expect.set_options(timeout=SECONDS)
LETTERBOXD = b"""Date,Name,Year,Letterboxd URI,Rating
2020-01-01,Heat,1996,https://boxd.it/a,4.5
2020-01-02,The Matrix,1999,https://boxd.it/b,5
2020-01-03,No Such Film,1999,https://boxd.it/c,3
"""
UNKNOWN_HEADER = b"what,when,note\nAlien,1979,8\nFargo,1996,6\n"
NEW_PASSWORD = "another long password"


def choose(visitor: Visitor, name: str, content: bytes) -> None:
    file: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": content}
    visitor.page.locator("input[type=file]").set_input_files(file)


def test_an_import_is_corrected(visitor: Visitor) -> None:
    visitor.join(ratings=0)
    page = visitor.page
    visitor.open("/import", "Import ratings")
    before = len(visitor.requests)
    choose(visitor, "large.csv", b"x" * 2_999_001)
    expect(page.get_by_text("at most 3 MB can be sent")).to_be_visible()
    assert visitor.requests[before:] == []  # refused before it is sent
    choose(visitor, "ratings.csv", LETTERBOXD)
    expect(page.get_by_role("heading", name="2 movies from Letterboxd")).to_be_focused()
    doubtful = page.get_by_role("region", name="1 row to check")
    expect(doubtful).to_contain_text("line 2: Heat (1996)")
    expect(page.get_by_role("region", name="1 row not imported", exact=True)).to_contain_text("No Such Film")
    page.get_by_role("button", name="Correct Heat (1996)").click()
    page.get_by_label("Which movie is “Heat (1996)”?").fill("White Heat")
    page.get_by_role("button", name="This one: White Heat, 1949").click()
    expect(doubtful.get_by_role("link", name="White Heat")).to_be_visible()
    page.get_by_role("button", name="Remove The Matrix").click()
    expect(page.get_by_text(re.compile("^The Matrix.* is removed"))).to_be_visible()
    visitor.open("/mine", "My ratings")
    expect(page.locator("h2.card-title")).to_have_text(["White Heat"])


def test_an_unknown_header_asks_for_the_columns(visitor: Visitor) -> None:
    visitor.join(ratings=0)
    page = visitor.page
    visitor.open("/import", "Import ratings")
    choose(visitor, "odd.csv", UNKNOWN_HEADER)
    expect(page.get_by_role("alert").first).to_contain_text("no known header")
    page.get_by_role("button", name="Import with these columns").click()
    expect(page.get_by_text("Choose the column with the title")).to_be_visible()
    for label, column in (("Title", "what"), ("Year", "when"), ("Rating", "note")):
        page.get_by_label(label, exact=True).select_option(column)
    page.get_by_role("button", name="Import with these columns").click()
    expect(page.get_by_text("2 rated")).to_be_visible()


def test_password_sessions_export_and_deletion(visitor: Visitor) -> None:
    name = visitor.join(ratings=2)
    page = visitor.page
    visitor.post("/session", {"action": "logIn", "username": name, "password": PASSWORD})
    visitor.open("/settings", "Settings")
    expect(page.get_by_role("button", name=re.compile("^Sign out "))).to_have_count(3)
    page.get_by_label("Current password").fill("not the password")
    page.get_by_label("New password").fill("short")
    expect(page.get_by_text("At least 8 characters: 3 more.")).to_be_visible()
    page.get_by_label("New password").fill(NEW_PASSWORD)
    change = page.get_by_role("button", name="Change the password")
    change.click()
    expect(page.get_by_text("This is not your current password.")).to_be_visible()
    page.get_by_label("Current password").fill(PASSWORD)
    change.click()
    expect(page.get_by_text("The password is changed. 1 other session ended.")).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download my data").click()
    exported = json.loads(Path(downloading.value.path()).read_text())
    assert name in json.dumps(exported)
    page.locator("summary", has_text="Delete the account").click()
    delete = page.get_by_role("button", name="Delete my account")
    delete.click()
    expect(page.get_by_text(f"Type your name, {name}, exactly.")).to_be_visible()
    page.get_by_label(f"Type {name} to confirm").fill(name)
    page.get_by_role("textbox", name="Password", exact=True).fill(NEW_PASSWORD)
    delete.click()
    expect(page.get_by_text("Your account and all its data are deleted.")).to_be_visible()
    asked = {"action": "logIn", "username": name, "password": NEW_PASSWORD}
    assert visitor.post("/session", asked)["problem"]["field"] == "password"
