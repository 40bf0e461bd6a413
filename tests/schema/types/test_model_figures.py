"""Figures of a model: its metrics, and its comparison with the model before it."""

import json
from dataclasses import asdict

import httpx
import psycopg

from recommender.evaluation.gate import Verdict
from recommender.metrics import Estimate
from tests.schema.types.test_model import operating
from tests.services import StartServer


def test_a_model_has_its_metrics(
    seeded_database_url: str, start_server: StartServer, http: httpx.Client, operations: dict[str, str]
) -> None:
    service = start_server(seeded_database_url)
    ask, operator = operating(service, seeded_database_url, http, operations)
    figures = ask("Models", operator.token)["data"]["activeModel"]["metrics"]
    lists = [figure for figure in figures if figure["name"].startswith("ndcg")]
    assert lists
    assert all(figure["k"] == 20 and figure["low"] < figure["value"] < figure["high"] for figure in lists)
    named = {figure["name"]: figure["value"] for figure in figures}
    assert 0.6 < named["match_auc"] < 1

    verdict = Verdict(True, None, 40, Estimate(0.01, -0.02, 0.03))
    with psycopg.connect(seeded_database_url) as connection:
        connection.execute(
            "UPDATE model_versions SET training = training || jsonb_build_object('gate', %s::jsonb)",
            (json.dumps(asdict(verdict)),),
        )
    gate = "{ activeModel { gate { passed memberCount difference { label measuredOn value low high } } } }"
    assert ask(gate, operator.token)["data"]["activeModel"]["gate"] == {
        "passed": True,
        "memberCount": 40,
        "difference": {
            "label": "ndcg@10",
            "measuredOn": "the newest ratings of the compared members, ranked by each whole model",
            "value": 0.01,
            "low": -0.02,
            "high": 0.03,
        },
    }
