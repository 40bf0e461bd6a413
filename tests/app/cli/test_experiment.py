"""`marquee experiment`: plan, start, list, report and stop."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.commands import app

ARMS = ("--arm", "old=0.5", "--arm", "new=0.5,diversity=0.4,exploration=0.1")


@pytest.fixture(autouse=True)
def _settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SECRET_KEY", "a secret of the tests, long enough")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["experiment", *arguments])


def test_from_start_to_stop(tmp_path: Path) -> None:
    started = run("start", "variety", *ARMS, "--days", "7", "--min-ratings", "5")
    assert started.exit_code == 0, started.output
    listed = run("list")
    assert "variety" in listed.stdout
    assert "RUNNING" in listed.stdout
    assert "arms: old 0.5, new 0.5" in listed.stdout
    assert max(map(len, listed.stdout.splitlines())) <= 80
    (row,) = json.loads(run("list", "--json").stdout)
    assert row["arms"][1] == {
        "name": "new",
        "share": 0.5,
        "model_version": None,
        "diversity": 0.4,
        "exploration": 0.1,
    }
    html = tmp_path / "report.html"
    assert run("report", "variety", "--html", str(html)).exit_code == 0
    assert html.read_text().startswith("<!doctype html>")
    assert [arm["users"] for arm in json.loads(run("report", "variety", "--json").stdout)["arms"]] == [0, 0]
    assert run("stop", "variety").exit_code == 0
    assert "STOPPED" in run("list").stdout


def test_refusals_are_one_line() -> None:
    assert run("start", "variety", "--arm", "old=half").exit_code == 2
    assert run("start", "variety", "--arm", "old=0.5,color=red").exit_code == 2
    for refused in (run("start", "a b", *ARMS), run("report", "none"), run("stop", "none")):
        assert refused.exit_code == 1
        assert refused.stdout == ""


def test_a_plan() -> None:
    known = run("plan", "--mean", "1", "--deviation", "1", "--lift", "0.5", "--json")
    assert json.loads(known.stdout)["members"] == {"baseline": 64, "arm": 64}
    assert run("plan", "--mean", "1").exit_code == 2
    assert run("plan").exit_code == 1  # there is no past
    text = run("plan", "--mean", "0.3", "--deviation", "0.3")
    assert max(map(len, text.stdout.splitlines())) <= 90
