"""The report from outcomes: metrics of members, comparisons, looks; as JSON, table and HTML page."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pytest

from app.cli.experiment_tables import report_of
from app.experiments.assignment import Arm, Design, Experiment, Status
from app.experiments.measures import Metric, measured
from app.experiments.outcomes import Outcomes
from app.experiments.page import findings, page, ticks
from app.experiments.report import made, of_json

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=14)
EXPERIMENT = Experiment(
    1,
    "<script>",
    "salt",
    (Arm("old", 0.5), Arm("new", 0.5, diversity=0.5)),
    START,
    START + timedelta(days=28),
)
NEVER = np.nan


def outcomes(rows: Sequence[Sequence[float]], rated: Sequence[Sequence[float]] = ()) -> Outcomes:
    """Rows: the columns of lists in their order. Rated: user, arm, time, stars."""
    lists = np.array(rows, np.float64).reshape(len(rows), 8).T
    ratings = np.array(rated, np.float64).reshape(len(rated), 4).T
    whole = [column.astype(np.int64) for column in lists[:3]]
    return Outcomes(*whole, *lists[3:], *(column.astype(np.int64) for column in ratings[:2]), *ratings[2:])


def simulated(members: int, lift: float, seed: int = 3, arms: bool = True) -> Outcomes:
    """Members with five lists each in ten days; with `arms`, every second one is in the second arm."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(members):
        arm = user % 2 if arms else 0
        own = 0.2 + 0.6 * ((user * 7) % 100) / 100
        for shown in sorted(START.timestamp() + rng.random(5) * 86_400 * 10):
            clicked = shown + 60 if rng.random() < own * (1 + lift * arm) else NEVER
            watched = shown + 600 if rng.random() < own / 2 else NEVER
            rows.append((user, arm, 10, shown, clicked, watched, rng.random(), 0.5 + 0.2 * arm))
    return outcomes(rows)


def test_metrics_of_members() -> None:
    found = measured(
        outcomes(
            [
                (1, 0, 5, 10, 11, NEVER, NEVER, 0.5),
                (1, 0, 5, 20, NEVER, 30, 0.8, NEVER),
                (2, 1, 3, 10, NEVER, NEVER, NEVER, 0.1),
            ],
            [(1, 0, 40, 5.0), (1, 0, 50, 4.0), (2, 0, 50, 1.0)],
        )
    )
    assert (found.user.tolist(), found.arm.tolist()) == ([1, 2], [0, 1])
    assert (found.lists.tolist(), found.impressions.tolist()) == ([2, 1], [10, 3])
    expected = {
        Metric.CLICK_RATE: [0.5, 0],
        Metric.WATCH_RATE: [0.5, 0],
        Metric.COMPLETION: [0.8, np.nan],
        Metric.MEAN_STARS: [4.5, np.nan],  # a rating of another arm does not count
        Metric.LISTS_UNTIL_WATCH: [2, 2],
        Metric.DIVERSITY: [0.5, 0.1],
    }
    for metric, values in expected.items():
        assert found.values[metric].tolist() == pytest.approx(values, nan_ok=True), metric


def test_earlier_looks_do_not_see_what_came_later() -> None:
    rows = [(1, 0, 5, 10.0, 100.0, NEVER, NEVER, 0.5), (1, 0, 5, 50.0, NEVER, NEVER, NEVER, 0.5)]
    assert measured(outcomes(rows), 20).values[Metric.CLICK_RATE].tolist() == [0]
    assert measured(outcomes(rows), 20).lists.tolist() == [1]
    assert measured(outcomes(rows), 100).values[Metric.CLICK_RATE].tolist() == [0.5]
    assert measured(outcomes(rows), 5).user.size == 0


def test_a_difference_is_found_and_cuped_narrows_its_interval() -> None:
    found = made(EXPERIMENT, simulated(600, 0.5), simulated(600, 0.0, seed=4, arms=False), NOW)
    clicks = next(each for each in found.comparisons if each.metric is Metric.CLICK_RATE)
    assert clicks.p_value is not None
    assert clicks.p_value < 0.001
    assert None not in (clicks.low, clicks.high, clicks.sequential_low, clicks.cuped_low, clicks.cuped_high)
    assert clicks.sequential_low < clicks.low < 0.5 < clicks.high < clicks.sequential_high  # type: ignore[operator]
    assert clicks.cuped_high - clicks.cuped_low < 0.95 * (clicks.high - clicks.low)  # type: ignore[operator]
    assert found.sample_ratio is not None
    assert not found.sample_ratio.mismatch
    assert len({look.at for look in found.looks}) == 28
    assert found.looks[-1].comparison.lift is not None
    assert of_json(found.as_json()) == found


def test_a_switchback_compares_members_with_themselves() -> None:
    switching = replace(EXPERIMENT, design=Design.SWITCHBACK, period=timedelta(days=1))
    one, other = simulated(200, 0.0, seed=5, arms=False), simulated(200, 0.0, seed=6, arms=False)
    rows = [
        (user, arm, 10, shown, clicked, np.nan, np.nan, 0.5)
        for arm, each in enumerate((one, other))
        for user, shown, clicked in zip(each.user, each.shown_at, each.clicked_at, strict=True)
        if arm == 0 or user < 150
    ]
    found = made(switching, outcomes(sorted(rows)), outcomes([]), NOW)
    clicks = found.comparisons[0]
    assert (clicks.test, clicks.users) == ("PAIRED_T", 150)
    assert clicks.p_value is not None
    assert found.sample_ratio is None


def test_an_experiment_without_members() -> None:
    found = made(EXPERIMENT, outcomes([]), outcomes([]), NOW)
    assert [arm.users for arm in found.arms] == [0, 0]
    assert all(each.lift is None for each in found.comparisons)
    assert found.sample_ratio is None
    assert found.looks == []
    assert "Experiment &lt;script&gt;" in page(EXPERIMENT, found)


def test_the_table_has_80_columns_and_the_page_is_whole() -> None:
    uneven = replace(simulated(600, 0.5), arm=(np.repeat(np.arange(600), 5) % 3 == 0).astype(np.int64))
    found = made(EXPERIMENT, uneven, outcomes([]), NOW)
    table = report_of(EXPERIMENT, found)
    assert max(map(len, table.splitlines())) <= 80
    assert "do NOT fit" in table
    html = page(EXPERIMENT, found)
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            assert not {"src", "href"} & {name for name, _ in attrs}  # one file, without others

    Reader().feed(html)
    assert "diversity 0.5" in html  # what the arm sets
    assert tags.count("svg") >= 3
    assert "script" not in tags
    assert "not to be trusted" in html


def test_the_page_says_in_a_sentence_what_differs() -> None:
    found = made(EXPERIMENT, simulated(600, 0.5), outcomes([]), NOW)
    (ended,) = findings(found, Status.ENDED)
    assert ended.startswith("new – old: click rate +")
    assert ended.endswith("by the 95 % interval.")
    (early,) = findings(made(EXPERIMENT, simulated(200, 0.5), outcomes([]), NOW), Status.RUNNING)
    assert early == (
        "new – old: too little data for the interval at all times, which begins with 400 members."
    )
    (equal,) = findings(made(EXPERIMENT, simulated(600, 0.0), outcomes([]), NOW), Status.RUNNING)
    assert equal == "new – old: no interval at all times excludes 0."
    html = page(EXPERIMENT, found)
    assert "The numbers of members fit the shares (p = 1)." in html
    assert html.count('class="found"') >= 2


@pytest.mark.parametrize(
    ("ends", "labels"),
    [
        ((-0.368, 0.368), ["-30%", "-20%", "-10%", "0%", "+10%", "+20%", "+30%"]),
        ((-0.012, 0.012), ["-1.0%", "-0.5%", "0%", "+0.5%", "+1.0%"]),
        ((-0.1, 0.5), ["-10%", "0%", "+10%", "+20%", "+30%", "+40%", "+50%"]),
        ((-10.0, 10.0), ["-1000%", "-500%", "0%", "+500%", "+1000%"]),
    ],
)
def test_the_scale_has_round_numbers(ends: tuple[float, float], labels: list[str]) -> None:
    assert [label for _, label in ticks(*ends)] == labels
