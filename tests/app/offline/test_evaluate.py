"""`marquee evaluate` on files: every protocol, as tables, JSON and a plot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from app.cli.commands import app
from recommender.evaluation.protocols import GIVEN, SHOWN, Protocol

MODELS = ["marquee", "item-knn", "pure-svd", "ease", "ials", "popularity", "random"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 users of two kinds, who rate 40 of 60 movies; settings for a fast fit."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    rows = ["user_id,movie_id,rating,timestamp"]
    for user in range(120):
        for movie in rng.permutation(60)[:40]:
            stars = (4.5 if movie % 2 == user % 2 else 2.0) + rng.integers(-1, 2) / 2
            rows.append(f"{user},{movie},{stars},{rng.integers(1, 10**9)}")
    (folder / "ratings.csv").write_text("\n".join(rows))
    (folder / "settings.json").write_text('{"factors": 8, "iterations": 3}')
    return folder


def evaluate(data: Path, *arguments: object) -> Result:
    command = ["evaluate", "--data", data, "--settings", data / "settings.json", "--no-peers", *arguments]
    return CliRunner().invoke(app, [str(argument) for argument in command])


def figures(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def test_every_figure_is_listed_with_the_baselines(data: Path, tmp_path: Path) -> None:
    result = evaluate(
        data, "--protocol", "strong", "--json", tmp_path / "f.json", "--plot", tmp_path / "f.svg"
    )
    assert result.exit_code == 0, result.output
    report = figures(tmp_path / "f.json")
    assert (report["protocol"], report["data"], len(report["trials"])) == ("strong", data.name, 1)
    (trial,) = report["trials"]
    assert list(trial["ranking"]) == MODELS
    for model, report in trial["ranking"].items():
        for k in (10, 20, 50, 100):
            for figure in ("precision", "recall", "ndcg", "mrr", "map", "diversity", "novelty"):
                assert {"value", "low", "high"} == report["figures"][f"{figure}@{k}"].keys()
            totals = ("coverage", "gini", "popularity_share", "match_agreement", "low_match")
            assert {f"{name}@{k}" for name in totals} <= report["totals"].keys()
        assert model in result.stdout
    assert "Match in lists of 20" in result.stdout
    ours = trial["ranking"]["marquee"]
    assert ours["totals"]["low_match@20"] < trial["ranking"]["random"]["totals"]["low_match@20"]
    assert ours["against"]["random"]["ndcg@10"]["low"] > 0
    assert trial["ratings"]["marquee"]["against"]["damped means"]["rmse"]["high"] < 0
    assert (tmp_path / "f.svg").read_text().rstrip().endswith("</svg>")


@pytest.mark.parametrize("protocol", [Protocol.NEW_USER, Protocol.NEW_ITEM])
def test_protocols_with_several_trials_report_each(data: Path, tmp_path: Path, protocol: Protocol) -> None:
    result = evaluate(
        data, "--protocol", protocol, "--json", tmp_path / "f.json", "--plot", tmp_path / "f.png"
    )
    assert result.exit_code == 0, result.output
    trials = figures(tmp_path / "f.json")["trials"]
    ks = SHOWN if protocol is Protocol.NEW_USER else GIVEN
    assert [trial["label"] for trial in trials] == [f"{k} ratings" for k in ks]
    assert all(label in result.stdout for label in (f"{k} ratings" for k in ks))
    reached = [trial["ranking"]["marquee"]["figures"]["ndcg@10"]["value"] for trial in trials]
    assert reached[-1] > reached[0]
    assert (tmp_path / "f.png").stat().st_size > 0


def test_json_without_a_name_goes_to_the_output(data: Path) -> None:
    result = evaluate(data, "--protocol", "rating", "--json", "--max-users", 50)
    assert result.exit_code == 0, result.output
    (trial,) = json.loads(result.stdout)["trials"]
    assert trial["ranking"] == {}
    assert trial["ratings"]["marquee"]["figures"]["rmse"]["value"] < 1


def test_an_impossible_measurement_is_explained_in_one_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user_id,movie_id,rating\n1,1,4\n1,2,3\n2,2,4\n2,3,2.5\n")
    for protocol in ("global", "temporal"):
        arguments = ["evaluate", "--data", str(tmp_path / "r.csv"), "--protocol", protocol]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert "needs ratings with times" in result.output
    result = evaluate(data, "--protocol", "rating", "--plot", tmp_path / "plot.xyz")
    assert result.exit_code == 1
    assert "plot.xyz must end in " in result.output
    assert evaluate(data, "--protocol", "best").exit_code == 2


@pytest.mark.parametrize(
    ("rows", "protocol", "message"),
    [
        ("1,1,4 1,2,3 1,3,5", "strong", "at least two users, and of two items"),
        ("1,1,4 2,1,3 3,1,5", "rating", "at least two users, and of two items"),
        ("1,1,4 1,2,3 2,2,4 2,3,2.5 3,1,4 3,2,4", "new-user", "no user has an item of 4 stars"),
        ("1,1,2 1,2,2 2,2,2 2,1,2 3,1,2 3,2,2", "temporal", "no user has an item of 4 stars"),
    ],
)
def test_too_few_ratings_for_a_protocol_are_reported(
    data: Path, tmp_path: Path, rows: str, protocol: str, message: str
) -> None:
    ratings = tmp_path / "r.csv"
    lines = ",964982703\n".join(
        ["user_id,movie_id,rating,timestamp\n" + rows.split(maxsplit=1)[0], *rows.split()[1:], ""]
    )
    ratings.write_text(lines)
    arguments = ["--data", ratings, "--settings", data / "settings.json", "--protocol", protocol]
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert (result.exit_code, "Traceback" in result.output) == (1, False)
    assert message in result.output
