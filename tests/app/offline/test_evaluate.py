"""`marquee evaluate` on files: every protocol, as tables, JSON and a plot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from app.cli.commands import app
from app.cli.evaluate import seeds_of
from app.cli.options import SEED
from app.offline.evaluation import Task
from app.offline.previous import Earlier, differences_from, model_of, report_of
from recommender.evaluation.compare import Outcome
from recommender.evaluation.pooling import Evaluation, PerUser
from recommender.evaluation.protocols import GIVEN, SHOWN, Protocol
from seeds.files.report import SourceError

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
    outputs = ("--json", tmp_path / "f.json", "--plot", tmp_path / "f.png")
    result = evaluate(data, "--protocol", protocol, "--max-users", 40, *outputs)
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


def test_seeds_are_pooled_over_users(data: Path, tmp_path: Path) -> None:
    """Each user counts once, and the pooled mean is that of the users' figures."""
    file = tmp_path / "f.json"
    result = evaluate(data, "--protocol", "strong", "--seeds", "7,8", "--json", file)
    assert result.exit_code == 0, result.output
    assert "strong, 2 seeds pooled" in result.stdout
    report = figures(file)
    assert report["seeds"] == [7, 8]
    (trial,) = report["trials"]
    users = trial["users"]
    assert 24 < len(users["ids"]) == len(set(users["ids"])) == trial["n_users"] <= 48
    ours = trial["ranking"]["marquee"]
    for figure in ("ndcg@10", "recall@20"):
        assert ours["figures"][figure]["value"] == pytest.approx(np.mean(users["figures"][figure]))
    rmse = np.sqrt(np.sum(users["squares"]) / np.sum(users["counts"]))
    assert trial["ratings"]["marquee"]["figures"]["rmse"]["value"] == pytest.approx(rmse)


def test_a_number_of_seeds_begins_with_the_default() -> None:
    assert seeds_of("1") == (SEED,)
    assert seeds_of("3")[0] == SEED
    assert len(set(seeds_of("3"))) == 3
    assert seeds_of("3,5") == (3, 5)


@pytest.mark.parametrize("seeds", ["", "0", "21", "1,1", "3,x", "-1,2", ",".join(map(str, range(21)))])
def test_impossible_seeds_are_refused(seeds: str) -> None:
    with pytest.raises(typer.BadParameter, match="must be a number from 1 to 20, or 2 to 20 different"):
        seeds_of(seeds)


def test_seeds_are_refused_where_all_have_the_same_test_set(data: Path) -> None:
    result = evaluate(data, "--protocol", "temporal", "--seeds", 2)
    assert result.exit_code == 1
    assert "temporal is the same for each seed: leave --seeds out" in " ".join(result.output.split())


@pytest.fixture(scope="module")
def before(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a model with two factors."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "settings.json").write_text('{"factors": 2, "iterations": 1, "item_ridge": 1e6}')
    command = ["evaluate", "--data", data, "--settings", folder / "settings.json", "--no-peers"]
    command += ["--protocol", "strong", "--json", folder / "f.json"]
    result = CliRunner().invoke(app, [str(argument) for argument in command])
    assert result.exit_code == 0, result.output
    return folder / "f.json"


def test_the_difference_to_an_earlier_report_is_paired_by_user(
    data: Path, before: Path, tmp_path: Path
) -> None:
    result = evaluate(data, "--protocol", "strong", "--against", before, "--json", tmp_path / "f.json")
    assert result.exit_code == 0, result.output
    assert "marquee minus the previous model" in result.stdout
    report = figures(tmp_path / "f.json")
    found = report["previous"][""]
    now, then = (one["trials"][0]["users"] for one in (report, figures(before)))
    assert now["ids"] == then["ids"]
    for name in ("ndcg@10", "recall@20", "diversity@10"):
        difference = np.array(now["figures"][name]) - np.array(then["figures"][name])
        assert found[name]["value"] == pytest.approx(difference.mean())
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    values = [
        one["trials"][0]["ratings"]["marquee"]["figures"]["rmse"]["value"]
        for one in (report, figures(before))
    ]
    assert found["rmse"]["value"] == pytest.approx(values[0] - values[1])


def test_the_folder_of_a_model_is_fitted_again(data: Path, tmp_path: Path) -> None:
    """Its kind and settings are compared, not what it has learned of the held-out ratings."""
    command = ["train", "--data", data, "--model", "popularity", "--out", tmp_path / "model"]
    result = CliRunner().invoke(app, [str(argument) for argument in command])
    assert result.exit_code == 0, result.output
    result = evaluate(
        data, "--protocol", "strong", "--against", tmp_path / "model", "--json", tmp_path / "f.json"
    )
    assert result.exit_code == 0, result.output
    report = figures(tmp_path / "f.json")
    (trial,) = report["trials"]
    values = [trial["ranking"][name]["figures"]["ndcg@10"]["value"] for name in ("marquee", "previous")]
    difference = report["previous"][""]["ndcg@10"]
    assert difference["value"] == pytest.approx(values[0] - values[1])
    assert difference == trial["ranking"]["marquee"]["against"]["previous"]["ndcg@10"]
    assert "rmse" in report["previous"][""]


TASK = Task(Protocol.STRONG, "data", "abc", (1,), 9)
REPORT: dict[str, Any] = {"protocol": "strong", "ratings": "abc", "seeds": [1], "max_users": 9, "trials": []}
NO_STARS = np.empty(0, np.int64), np.empty(0), np.empty(0)
USERS = {"ids": [1, 2], "figures": {"ndcg@10": [0.5]}, "rated_ids": [], "counts": [], "squares": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a report"),
        ("[]", "not a report"),
        ("{}", "not a report"),
        (json.dumps(REPORT | {"protocol": "rating"}), "has other protocol: 'rating', not 'strong'"),
        (json.dumps(REPORT | {"seeds": [1, 2]}), "has other seeds"),
        (json.dumps(REPORT | {"max_users": 8}), "has other max users"),
        (json.dumps(REPORT | {"ratings": "x" * 500}), "has other ratings: 'xxx"),
        (json.dumps(REPORT | {"trials": [{"label": "", "users": {"ids": ["a"]}}]}), "not a report"),
        (json.dumps(REPORT | {"trials": [{"label": "", "users": USERS}]}), "do not fit its users"),
    ],
)
def test_a_report_of_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(SourceError, match=message) as refused:
        report_of(tmp_path / "f.json", TASK)
    assert len(str(refused.value)) < 600


def test_a_report_about_other_users_is_refused(tmp_path: Path) -> None:
    users = PerUser(np.array([1, 2]), {"ndcg@10": np.zeros(2)}, *NO_STARS)
    nothing = Evaluation(0, 0, 0, 0, 4.0, {}, {})
    outcome = Outcome("", nothing, {}, {}, users)
    same = Earlier(tmp_path, {"": users})
    assert differences_from(same, [outcome])[""]["ndcg@10"].value == 0
    others = PerUser(np.array([1, 3]), users.figures, *NO_STARS)
    for stored in ({}, {"": others}):
        with pytest.raises(SourceError, match="other users"):
            differences_from(Earlier(tmp_path, stored), [outcome])


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"manifest\.json"):
        model_of(tmp_path)
