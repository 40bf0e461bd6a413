"""States of models: store their updates, and make the model of a state again from its files and updates."""

import time
import zlib
from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from app.provenance.inputs import Arrays, Input
from app.serving.model import BEFORE, Factors, Model, Ratings, State
from app.training.code_version import code_version
from recommender.item_features import ItemFeatures

TOUCH_SECONDS = 3600.0
LOADED, MOVIES, FACTORS, RATINGS = "LOADED", "MOVIES", "FACTORS", "RATINGS"

STORE = """
INSERT INTO model_states (id, line, before, model_version, code_version, kind, content, made_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
TOUCH = "UPDATE model_states SET used_at = now() WHERE id = ANY(%s)"
REMOVE = """
DELETE FROM model_states WHERE line IN (
    SELECT line FROM model_states GROUP BY line HAVING max(used_at) < %s::date - interval '1 day')
"""
# From the loaded model to the state.
PATH = """
WITH RECURSIVE path AS (
    SELECT *, 0 AS back FROM model_states WHERE id = %s
    UNION ALL
    SELECT earlier.*, back + 1 FROM model_states AS earlier JOIN path ON earlier.id = path.before
)
SELECT id, before, kind, content FROM path ORDER BY back DESC
"""


class StateMissing(Exception):
    """A state of the model is not stored. The message is for operators."""


def store(connection: psycopg.Connection, states: Sequence[State]) -> None:
    """Store these states and those before them; call `forget` after the commit."""
    with connection.cursor() as cursor:
        for state in (each for last in states for each in last.unstored()):
            kind, content = packed(state.update)
            before = None if state.before is None else state.before.id
            row = (state.id, state.line, before, state.version, code_version(), kind, content, state.made_at)
            cursor.execute(STORE, row)


def forget(states: Sequence[State]) -> None:
    """Free the memory of states that are stored."""
    for state in (each for last in states for each in last.unstored()):
        state.forget()


def touch(connection: psycopg.Connection, states: Sequence[State], touched: dict[UUID, float]) -> None:
    """Mark states as used, each at most once in TOUCH_SECONDS. `touched`: when, in monotonic time."""
    now = time.monotonic()
    due = [state.id for state in states if now - touched.get(state.id, -TOUCH_SECONDS) >= TOUCH_SECONDS]
    if due:
        connection.execute(TOUCH, (due,))
        for id_ in [each for each, at in touched.items() if now - at >= TOUCH_SECONDS]:
            del touched[id_]
        touched.update(dict.fromkeys(due, now))


def remove_unused(connection: psycopg.Connection, day: date) -> None:
    """Remove the states of loaded models that no list has used since the day before `day`."""
    connection.execute(REMOVE, (day,))


def packed(update: ItemFeatures | Factors | Ratings | None) -> tuple[str, bytes]:
    """The kind of an update, and its content."""
    match update:
        case None:
            return LOADED, b""
        case Factors() | Ratings():
            kind = FACTORS if isinstance(update, Factors) else RATINGS
            arrays: Arrays = {"movie_ids": update.movie_ids, "rows": update.rows.ravel()}
            return kind, zlib.compress(Input(kind, {}, arrays).packed(), 1)
        case ItemFeatures():
            columns: dict[str, Any] = {field.name: getattr(update, field.name) for field in fields(update)}
            arrays = {name: column for name, column in columns.items() if isinstance(column, np.ndarray)}
            values = {name: column for name, column in columns.items() if name not in arrays}
            return MOVIES, zlib.compress(Input(MOVIES, values, arrays).packed(), 1)


def applied(model: Model, kind: str, content: bytes) -> Model:
    """The model after an update."""
    if kind == LOADED:
        return model
    update = Input.unpacked(zlib.decompress(content))
    if kind in (FACTORS, RATINGS):
        ids = update.arrays["movie_ids"]
        rows = update.arrays["rows"].reshape(ids.size, -1)
        return (
            model.with_factors(Factors(ids, rows))
            if kind == FACTORS
            else model.with_ratings(Ratings(ids, rows))
        )
    columns: dict[str, Any] = {
        name: [tuple(each) if isinstance(each, list) else each for each in column]
        for name, column in update.values.items()
    }
    columns |= update.arrays
    changed = model.with_new_movies(ItemFeatures(**columns), model.learnt_at)
    changed.hybrid.warm()  # as in service: later factors do not change what is built now
    return changed


def model_at(connection: psycopg.Connection, models: Path, version: str, state: UUID) -> Model:
    """Make a model of a state again from the folder `models`.

    Raises StateMissing, and ArtifactError or OSError if the model's files cannot be read.
    """
    path = connection.execute(PATH, (state,)).fetchall()
    if not path or path[0][1] is not None:
        raise StateMissing("The updates of the model between its training and the list are not stored.")
    model = Model.load(models / version, BEFORE)
    model.hybrid.warm()
    for _, _, kind, content in path:
        model = applied(model, kind, content)
    return model
