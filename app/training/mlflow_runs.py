"""Mirror trainings as runs of an MLflow server, if `MLFLOW_TRACKING_URI` is set. Postgres is the record."""

import logging
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from app.training.data import TrainingData

EXPERIMENT = "marquee"
CLIENT = {
    # An unreachable server holds a training up for seconds, not for MLflow's ten minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # The client would report its use to a server of its makers.
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
MAX_BATCH = 1000  # metrics of one request, a limit of MLflow

log = logging.getLogger("marquee.mlflow")


def mirror(
    uri: str,
    version: str,
    begun_at: datetime,
    dataset: TrainingData,
    training: Mapping[str, Any],
    metrics: Mapping[str, float | dict[str, float]],
) -> str | None:
    """Log a published model as a finished run; return the id of the run, or None if it fails.

    `training`: see `publish.described`. A failure is logged and has no other effect: the model is active.
    """
    for name, value in CLIENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient, entities, exceptions  # noqa: PLC0415 - an extra, takes a second
    except ImportError:
        log.warning("MLFLOW_TRACKING_URI is set, but mlflow is not installed: install the extra `mlflow`")
        return None
    try:
        client = MlflowClient(tracking_uri=uri)
        return _mirror(client, entities, version, begun_at, dataset, training, metrics)
    except (exceptions.MlflowException, OSError) as error:  # of its HTTP client, too
        log.warning("cannot mirror model %s to MLflow: %s", version, str(error).partition("\n")[0])
    return None


def _mirror(
    client: Any,
    entities: Any,
    version: str,
    begun_at: datetime,
    dataset: TrainingData,
    training: Mapping[str, Any],
    metrics: Mapping[str, float | dict[str, float]],
) -> str:
    """Log the run by `client`, with MLflow's `entities`."""
    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = client.create_experiment(EXPERIMENT) if found is None else found.experiment_id
    tags = {
        "marquee.model_version": version,
        "marquee.dataset_version": dataset.version,
        "marquee.code_version": training["code"],
    }
    milliseconds = int(begun_at.timestamp() * 1000)
    run = client.create_run(experiment, start_time=milliseconds, tags=tags, run_name=version)
    id_: str = run.info.run_id
    try:
        data = entities.Dataset(
            dataset.version, dataset.checksum[:36], "postgres", f"snapshot {dataset.snapshot}"
        )
        client.log_inputs(id_, [entities.DatasetInput(data)])
        params = [entities.Param(name, str(value)) for name, value in training["parameters"].items()]
        values = [entities.Metric(name, value, milliseconds, 0) for name, value in named(metrics)]
        client.log_batch(id_, params=params, metrics=values[:MAX_BATCH])
        client.log_dict(id_, dict(training["checksums"]), "checksums.json")
    except BaseException:
        client.set_terminated(id_, status="FAILED")
        raise
    client.set_terminated(id_)
    return id_


def named(metrics: Mapping[str, float | dict[str, float]]) -> Iterator[tuple[str, float]]:
    """Metrics by names that MLflow allows: `ndcg@10` is `ndcg_at_10`, its interval `ndcg_at_10.low`."""
    for name, value in metrics.items():
        allowed = name.replace("@", "_at_")
        if isinstance(value, dict):
            yield allowed, value["value"]
            yield f"{allowed}.low", value["low"]
            yield f"{allowed}.high", value["high"]
        else:
            yield allowed, value
