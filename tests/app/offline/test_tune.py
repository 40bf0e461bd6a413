"""`marquee tune`: writes settings that `train` reads, and resumes a stopped search."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from app.cli.commands import app
from app.offline import study, training
from recommender.evaluation import protocols
from recommender.evaluation.protocols import Protocol
from recommender.evaluation.tuning import SPACE, task
from recommender.interactions import Interactions
from recommender.splits import Split
from recommender.training.config import Config
from seeds.files.report import quiet


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "ratings.csv"
    rng = np.random.default_rng(1)
    rows = ["user_id,movie_id,rating,timestamp"]
    for user in range(80):
        for movie in rng.permutation(40)[:20]:
            stars = (4.5 if movie % 2 == user % 2 else 2.0) + rng.integers(-1, 2) / 2
            rows.append(f"{user},{movie},{stars},{rng.integers(1, 10**9)}")
    file.write_text("\n".join(rows))
    return file


def tune(data: Path, out: Path, *arguments: object) -> Result:
    command = ["tune", "--data", data, "--out", out, "--json", *arguments]
    return CliRunner().invoke(app, [str(argument) for argument in command])


def test_a_search_resumes_and_train_reads_its_settings(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "settings.toml"
    first = tune(data, out, "--trials", 2)
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["trials"] == 2
    more = json.loads(tune(data, out, "--trials", 4).stdout)
    assert more["trials"] == 4
    assert more["gain"] >= json.loads(first.stdout)["gain"] >= 1
    assert json.loads(tune(data, out, "--trials", 4).stdout) == more
    config = Config.read(out)
    assert {name: getattr(config, name) for name in more["settings"]} == more["settings"]
    trained = CliRunner().invoke(
        app, ["train", "--data", str(data), "--out", str(tmp_path / "m"), "--settings", str(out)]
    )
    assert trained.exit_code == 0, trained.output


def test_a_search_does_not_resume_on_other_data(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "settings.json"
    assert tune(data, out, "--trials", 1).exit_code == 0
    assert json.loads(out.read_text()) == {}  # the defaults
    other = tmp_path / "other.csv"
    other.write_text("\n".join(data.read_text().splitlines()[:-30]))
    refused = tune(other, out, "--trials", 2)
    assert refused.exit_code == 1
    assert "holds trials of other data" in refused.output
    assert tune(data, out, "--trials", 2, "--protocol", "strong").exit_code == 1


def test_an_unrelated_file_is_not_used_for_trials(data: Path, tmp_path: Path) -> None:
    for place in (data, tmp_path):
        refused = tune(data, tmp_path / "s.toml", "--trials", 1, "--storage", place)
        assert refused.exit_code == 1
        assert f"trials cannot be kept in {place}: " in refused.output


def test_a_budget_of_minutes_ends_it(data: Path, tmp_path: Path) -> None:
    output = json.loads(tune(data, tmp_path / "s.toml", "--minutes", 0.0001).stdout)
    assert output["trials"] <= 2


def pairs(part: Interactions) -> set[tuple[int, int]]:
    users = part.user_ids[part.user_items.nonzero()[0]]
    return set(zip(users.tolist(), part.user_items.indices.tolist(), strict=True))


@pytest.mark.parametrize("protocol", [Protocol.STRONG, Protocol.TEMPORAL, Protocol.NEW_USER])
def test_the_test_split_of_evaluate_is_not_used(data: Path, protocol: Protocol) -> None:
    read = training.read_data(data, [], quiet)
    first = next(iter(protocols.trials(protocol, read.interactions, np.random.default_rng(7))))
    split: Split = task(protocol, read.interactions, read.movies, seed=7).split
    seen = pairs(split.train) | pairs(split.histories) | pairs(split.held_out)
    assert not seen & pairs(first.split.held_out)
    assert seen <= pairs(first.split.train)


def test_searched_settings_are_training_settings() -> None:
    defaults = dataclasses.asdict(Config())
    for name, where in SPACE.items():
        assert name in defaults
        if defaults[name] is not None:
            assert where.low <= defaults[name] <= where.high
            assert where.whole == isinstance(defaults[name], int)


def test_settings_are_written_as_toml_and_json(tmp_path: Path, data: Path) -> None:
    for name in ("s.toml", "s.json"):
        assert tune(data, tmp_path / name, "--trials", 1).exit_code == 0
        assert Config.read(tmp_path / name) == Config()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert issubclass(study.TuningError, Exception)
