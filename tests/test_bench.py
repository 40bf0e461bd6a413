"""Benchmarks: figures with their origin, and pages with the command for each number."""

import copy
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from bench import ml100k_folds
from bench.cost import report
from bench.cost.operations import OPERATIONS, resolved_fields
from bench.figures import Figure, commit, commit_subject, write
from bench.hostile import __main__ as hostile
from bench.hostile import requests as hostile_requests
from bench.hostile.connections import BEGINNINGS, Dropped
from bench.quality import page, runs
from bench.soak import load as soak_load
from bench.soak import report as soak
from schema import schema
from schema.execution.documents import DocumentCache


def test_figures_have_their_origin_and_pass_or_fail(tmp_path: Path) -> None:
    figures = [
        Figure("a", 0.5, "s", target=0.6, at_most=True),
        Figure("b", 0.5, target=0.6),
        Figure("c", 0.5),
    ]
    write(tmp_path / "f.json", "some", figures)
    written = json.loads((tmp_path / "f.json").read_text())
    assert {"commit", "hardware", "data", "figures"} == written.keys()
    assert (written["data"], written["commit"]) == ("some", commit())
    assert "cores" in written["hardware"]
    assert [figure["holds"] for figure in written["figures"]] == [True, False, None]
    assert written["figures"][0].keys() == {"key", "value", "target", "unit", "holds"}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, runs.Run]:
    """A small evaluation with the command of the benchmark."""
    data = tmp_path_factory.mktemp("data")
    (data / "little").mkdir()
    rows = [f"{user},{movie},{4.5 if movie % 2 == user % 2 else 2},{movie + 1}" for user in range(60)
            for movie in range(user % 3, 40, 2 + user % 3)]  # fmt: skip
    (data / "little" / "ratings.csv").write_text("\n".join(["user_id,movie_id,rating,timestamp", *rows]))
    diversity = ["--diversity", "0.3", "--no-peers"]
    return data, runs.run(data, ["--data", "DATA/little", "--protocol", "temporal", *diversity])


def test_the_difference_to_the_best_baseline_is_tracked(evaluated: tuple[Path, runs.Run]) -> None:
    figures = {figure.key: figure.value for figure in runs.figures(evaluated[1])}
    ranking: dict[str, Any] = evaluated[1].report["trials"][0]["ranking"]
    ours = ranking["marquee"]["figures"]["ndcg@10"]["value"]
    assert figures["little/temporal/ndcg@10"] == ours
    others = {
        name: one["figures"]["ndcg@10"]["value"] for name, one in ranking.items() if "marquee" not in name
    }
    best = max(others, key=lambda name: others[name])
    assert figures[f"little/temporal/ndcg@10 over {best}"] == pytest.approx(ours - others[best])
    assert figures["little/temporal/diversity gained"] >= 0


def test_the_page_has_a_command_and_a_row_for_every_model(evaluated: tuple[Path, runs.Run]) -> None:
    data, run = evaluated
    text = page.page(data, [run], list(runs.figures(run)), [Figure("ml-100k/u1/rmse", 0.9)])
    assert "marquee evaluate --data $DATA/little --protocol temporal" in text
    assert str(data) not in text
    for name in (*run.report["trials"][0]["ranking"], "damped means"):
        assert f"| {name} |" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| marquee")}
    assert len(widths) == 2  # lists and stars
    assert "| u1 | 0.9000 |" in text


def test_the_part_about_kinds_of_models_is_made_anew_and_the_rest_stays(
    evaluated: tuple[Path, runs.Run],
) -> None:
    """All kinds are in one table, with intervals and the hybrid's paired difference."""
    data, run = evaluated
    report = copy.deepcopy(run.report)
    ranking = report["trials"][0]["ranking"]
    ranking["svd arm"] = ranking["pure-svd"]
    ranking["marquee"]["against"]["svd arm"] = ranking["marquee"]["against"]["pure-svd"]
    of_kinds = runs.Run(f"{run.command} --model all", report)
    old = "# Quality\n\nAbout the data.\n\n## Baselines\n\nOld figures.\n"
    first = page.with_kinds(old, data, [of_kinds])
    again = page.with_kinds(first, data, [of_kinds])
    assert first == again
    assert first.startswith("# Quality\n\nAbout the data.\n")
    assert first.endswith("\n## Baselines\n\nOld figures.\n")
    assert commit_subject() in first
    rows = {line.split(" | ")[0]: line for line in first.splitlines() if line.startswith("| ")}
    assert rows["| svd"].count("[") == 2
    assert first.count(f"{ranking['svd arm']['figures']['ndcg@10']['value']:.4f}") >= 2
    assert "The autoencoder is left out" in first
    whole = page.page(data, [run, of_kinds], list(runs.figures(run)), [])
    assert whole.count(page.BEGIN) == whole.count(page.END) == 1


def test_stars_are_compared_with_those_of_the_same_pair(tmp_path: Path) -> None:
    (tmp_path / "u1.test").write_text("1\t2\t3\t0\n2\t1\t5\t0\n")
    predictions = tmp_path / "predictions.csv"
    predictions.write_text("user_id,movie_id,stars\n2,1,5\n1,2,4\n")
    assert ml100k_folds.rmse(tmp_path / "u1.test", predictions) == pytest.approx(0.5**0.5)
    predictions.write_text("user_id,movie_id,stars\n2,1,5\n")
    with pytest.raises(ValueError, match="does not hold the pairs"):
        ml100k_folds.rmse(tmp_path / "u1.test", predictions)


def test_each_hostile_request_is_listed_with_its_limit() -> None:
    refusals = [
        hostile.Refusal(each, [0.002, 0.04 if each.setting else 0.06, 0.003])
        for each in hostile_requests.requests()
    ]
    dropped = [Dropped(sent, 10.02) for sent in BEGINNINGS]
    figures = hostile.figures(refusals, dropped, [3.0] * 200, [5.0] * 100 + [40.0] * 2)
    by_key = {figure.key: figure for figure in figures}
    assert by_key["refused/4 MB body"].holds is True
    assert by_key["refused/circular fragments"].holds is False
    assert by_key["others, under attack/p99"].value > by_key["others, under attack/median"].value == 5.0
    text = hostile.page(refusals, figures)
    for each in refusals:
        assert f"| {each.hostile.name} | {len(each.hostile.body):,} | `{each.hostile.code}` |" in text
    assert "| calm | 200 | 3.0 ms | 3.0 ms |" in text
    assert "- nothing: after 10.0 s" in text


def test_each_field_with_a_resolver_is_measured() -> None:
    resolved = set(resolved_fields(schema._schema))
    assert "Query.movies" in resolved
    assert "User.watchlist" in resolved
    missing = resolved - OPERATIONS.keys()
    assert not missing, f"add an operation to bench/cost/, and set the price by it: {missing}"
    names = {name.partition(",")[0] for name in OPERATIONS}
    assert {name for name in names if "." in name} <= resolved


def test_each_operation_that_is_measured_is_valid() -> None:
    documents = DocumentCache(schema._schema, Settings())
    for name, operation in OPERATIONS.items():
        assert documents.read(operation.document).operations, name


def test_the_page_of_costs_has_each_field_and_the_ratio() -> None:
    found = [
        report.Measurement("Query.a", 300, 100, 1_500, 500, 90, 40),
        report.Measurement("Query.b", 10, 10, 400, 300, 90, 9),
    ]
    figures = {figure.key: figure for figure in report.figures(found)}
    assert figures["Query.a/us per unit"].value == 20
    assert figures["ratio of largest to smallest"].value == 3.5
    assert figures["ratio of largest to smallest"].holds is False
    text = report.page(found)
    assert "| Query.a | 300 | 100 | 1.50 ms | 0.50 ms | 20.0 | 40 |" in text
    assert "Largest to smallest: 3.50 (target: 3 at most; missed)" in text


def test_outliers_of_the_machine_are_smoothed() -> None:
    found = [
        report.Measurement(name, 10, 10, took, took, took, 3)
        for name, took in (("a", 100), ("b", 100), ("c", 300))
    ]
    assert [each.service for each in report.leveled(found)] == [100, 100, 100]


def test_a_charge_by_the_actual_cost_is_scaled_as_the_time_that_it_follows() -> None:
    slow = report.Measurement("slow", 20, 90, 1500, 300, 300, 3)
    usual = [report.Measurement(name, 10, 10, 100, 0, 100, 3) for name in ("a", "b")]
    assert report.leveled([slow, *usual])[0].per_unit == slow.per_unit == 20
    little = replace(slow, price=60)  # its charge on a usual machine is the static cost
    assert report.leveled([little, *usual])[0].charged == 60


def test_a_soak_tells_limits_from_faults_and_finds_growing_memory() -> None:
    samples = [
        soak.Sample(float(at), 10, 20.0, 300.0 if at < 20 else 400.0 + at, 100.0, at % 7, at * 100, at)
        for at in range(1, 101)
    ]
    errors = Counter({("browse", "RATE_LIMITED"): 3, ("rate", "INTERNAL"): 2})
    latencies = {"browse": [10.0] * 99 + [500.0], "rate": [20.0]}
    run = soak.Run(100.0, 15.0, 100.0, latencies, errors, samples, soak.Training(50.0, 12.0))
    figures = {figure.key: figure for figure in soak.figures(run)}
    assert figures["errors that are not limits"].value == 2
    assert figures["errors that are not limits"].holds is False
    assert figures["limits"].value == 3
    assert figures["growth of the service's memory"].value == pytest.approx(100 * (492.5 / 427.5 - 1))
    assert figures["growth of the service's memory"].holds is False
    assert figures["trainings activated"].holds is True
    assert figures["browse/p50"].value == 10.0
    text = soak.page(run, list(figures.values()))
    assert "| browse | 100 | 10 ms | 15 ms | 500 ms |" in text
    assert "| rate | `INTERNAL` | 2 |" in text
    assert "Its model is active 12 s later." in text
    assert commit() in text


def test_a_soak_counts_errors_and_refused_mutations() -> None:
    error_of = soak_load.error_of
    assert error_of({"data": {"movies": {"edges": []}}}) is None
    assert error_of({"data": {"rateMovie": {"__typename": "RateMoviePayload"}}}) is None
    assert error_of({"data": {"rateMovie": {"__typename": "MovieNotFound"}}}) == "MovieNotFound"
    assert error_of({"errors": [{"message": "a", "extensions": {"code": "OVERLOADED"}}]}) == "OVERLOADED"
    documents = DocumentCache(schema._schema, Settings())
    for name, (_, document, _) in soak_load.OPERATIONS.items():
        assert documents.read(document).operations, name
