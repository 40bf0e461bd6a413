"""Evaluate each expression of the dashboards and alerts on a Prometheus, and print its values.

    python -m bench.dashboards [--prometheus http://127.0.0.1:9090]

Exits with 1 if an expression has no data. Of an alert, the sides of its comparisons are evaluated, which have
values while nothing is wrong.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import yaml

from bench.figures import ROOT

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RATE_INTERVAL = "1m"
SHOWN = 3  # series of an expression
SECONDS = 30
COMPARISON = re.compile(r"^(?P<side>.*?)\s*[<>]=?\s*[\d.]+$", re.DOTALL)

Series = list[tuple[dict[str, str], float]]


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression in PromQL. `place`: its dashboard and panel, or its alert."""

    place: str
    text: str


def expressions() -> Iterator[Expression]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                text = target["expr"].replace("$__rate_interval", RATE_INTERVAL)
                yield Expression(f"{path.stem}: {panel['title']}", text)
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            for side in sides(rule["expr"]):
                yield Expression(rule["alert"], side)


def sides(text: str) -> Iterator[str]:
    """The left sides of an alert's comparisons with numbers. Raises ValueError for another form."""
    for part in re.split(r"\s+and\s+", text.strip()):
        compared = COMPARISON.match(part)
        if compared is None:
            raise ValueError(f"{part} does not compare with a number")
        yield compared["side"]


def evaluate(prometheus: str, text: str) -> Series:
    """The series of an expression now, without those that are not a number. Raises ValueError for a fault."""
    answer: Any = httpx.get(f"{prometheus}/api/v1/query", params={"query": text}, timeout=SECONDS).json()
    if answer["status"] != "success":
        raise ValueError(f"{text}: {answer['error']}")
    found = [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]
    return [(labels, value) for labels, value in found if not math.isnan(value)]


def line(expression: Expression, series: Series) -> str:
    values = [
        f"{' '.join(v for k, v in labels.items() if k not in ('__name__', 'job')) or 'value'} = {value:.4g}"
        for labels, value in series[:SHOWN]
    ]
    more = f" and {len(series) - SHOWN} more" if len(series) > SHOWN else ""
    return f"{expression.place}: {', '.join(values) or 'NO DATA'}{more}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="address of the Prometheus")
    prometheus = parser.parse_args().prometheus
    found = [(expression, evaluate(prometheus, expression.text)) for expression in expressions()]
    for expression, series in found:
        print(line(expression, series))  # noqa: T201 - it is a command
    empty = sum(not series for _, series in found)
    print(f"{len(found) - empty} of {len(found)} expressions have data")  # noqa: T201 - likewise
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main())
