"""What a model would have earned, estimated from served lists with exploration, where the truth is known."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from app.cli.commands import app
from app.provenance.logged_choices import NothingLogged, Value, value_of
from app.serving.model import BEFORE, Model
from tests.schema.types.operator.experiment_service import Service
from tests.schema.types.operator.test_experiment import FEEDBACK, LIST

pytestmark = pytest.mark.anyio

MEMBERS, LISTS, EPSILON = 8, 3, 0.5


def min_effective(found: Value) -> float:
    return min(each.effective for each in found.estimates.values())


async def test_the_served_model_without_exploration_earns_what_its_best_movies_earned(
    service: Service, seeded_database_url: str, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members click on the first movie if it is the one that the model ranks first, and never else."""
    assert service.served.model is not None
    version = service.served.model.version
    model = Model.load(model_dir / version, BEFORE)
    with psycopg.connect(seeded_database_url) as connection, pytest.raises(NothingLogged):
        value_of(connection, model_dir, model)
    best: dict[str, str] = {}
    for number in range(MEMBERS):
        await service.sign_up(f"m{number}")
        plain = await service.send(LIST, f"m{number}", first=1)
        best[f"m{number}"] = plain["edges"][0]["node"]["id"]
    await service.start(arms=[{"name": "explore", "share": 1.0, "exploration": EPSILON}])
    agreed = 0
    for name, movie in best.items():
        for _turn in range(LISTS):
            page = await service.send(LIST, name, first=3)
            assert page["arm"] == "variety/explore"
            first = page["edges"][0]["node"]["id"]
            agreed += first == movie
            kinds = ["IMPRESSION", *(["CLICK"] if first == movie else [])]
            of_list = {"movieId": first, "requestId": page["requestId"]}
            await service.send(FEEDBACK, name, events=[{"kind": kind, **of_list} for kind in kinds])
    service.recorder.write(seeded_database_url)
    assert 0 < agreed < MEMBERS * LISTS

    with psycopg.connect(seeded_database_url) as connection:
        found = value_of(connection, model_dir, model, arm="variety/explore")
        assert (found.lists, found.members, found.left_out) == (MEMBERS * LISTS, MEMBERS, 0)
        assert found.served == found.agreement == agreed / (MEMBERS * LISTS)
        truth = 1.0
        assert found.estimates["self-normalized"].value == pytest.approx(truth)
        propensity = 1 - EPSILON + EPSILON / 100
        inverse = found.estimates["inverse propensity"]
        assert inverse.value == pytest.approx(found.agreement / propensity)
        assert inverse.low < inverse.value < inverse.high
        robust = found.estimates["doubly robust"]
        assert robust.low <= robust.value <= robust.high
        for nothing in ({"arm": "variety/none"}, {"since": timedelta(0)}):
            with pytest.raises(NothingLogged, match="of fewer than two members"):
                value_of(connection, model_dir, model, **nothing)

    for key, setting in (("DATABASE_URL", seeded_database_url), ("MODEL_DIR", str(model_dir))):
        monkeypatch.setenv(key, setting)
    monkeypatch.setenv("SECRET_KEY", "x" * 32)

    def command(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["experiment", "value", *arguments])
        return result.exit_code, result.output

    code, text = await asyncio.to_thread(command, version)
    assert code == 0, text
    assert f"{MEMBERS * LISTS} lists of {MEMBERS} members" in text
    assert "self-normalized" in text
    assert ("Too few lists carry the estimates" in text) == (min_effective(found) < 30)
    _code, text = await asyncio.to_thread(command, version, "--json")
    assert json.loads(text)["estimates"]["self-normalized"]["value"] == pytest.approx(truth)
    code, text = await asyncio.to_thread(command, "no-such-model")
    assert (code, "Traceback" in text) == (1, False)
