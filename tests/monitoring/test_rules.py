"""The alert rules and dashboards as files: checked by promtool, complete, and tidy."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))


def promtool(*arguments: str) -> None:
    if (program := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run([program, *arguments], cwd=PROMETHEUS, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_configuration_and_rules_are_valid() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")


def test_each_alert_fires_in_its_fault_only() -> None:
    promtool("test", "rules", "alerts.test.yml")


def test_each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())["tests"]
    rules = [rule for case in cases for rule in case["alert_rule_test"]]
    names = {alert["alert"] for alert in alerts()}
    assert {rule["alertname"] for rule in rules if rule["exp_alerts"]} == names
    healthy = next(case for case in cases if case["name"] == "Health")
    assert {rule["alertname"] for rule in healthy["alert_rule_test"]} == names


def test_each_alert_says_what_is_wrong_and_what_to_do() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in ("critical", "warning", "info"), alert
        assert set(alert["annotations"]) == {"summary", "remedy"}, alert


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_provisioned(path: Path) -> None:
    board = json.loads(path.read_text())
    assert board["uid"] == f"marquee-{path.stem}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            assert panel["targets"], panel["title"]


def test_dashboards_and_alerts_use_metrics_of_the_page_only() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    listed = set(re.findall(r"^\| `(marquee_\w+)` \|", page, re.MULTILINE))
    expressions = [alert["expr"] for alert in alerts()]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            expressions += [target["expr"] for target in panel.get("targets", ())]
    used = {name for expression in expressions for name in re.findall(r"marquee_\w+", expression)}
    used = {re.sub(r"(_seconds|_agreement)_(bucket|sum|count)$", r"\1", name) for name in used}
    assert used <= listed
    assert not listed - used - {"marquee_operations_running"}, "metrics that no dashboard shows"


def test_the_page_lists_each_alert_and_dashboard() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    rows = set(re.findall(r"^\| `(Marquee\w+)` \| (\w+) \|", page, re.MULTILINE))
    assert rows == {(alert["alert"], alert["labels"]["severity"]) for alert in alerts()}
    for path in DASHBOARDS:
        assert f"`{path.name}`" in page
