"""Trace a served list: `marquee trace`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import psycopg
import typer
from psycopg.rows import dict_row
from threadpoolctl import threadpool_limits

from app import console
from app.cli.database import database
from app.cli.options import Json, show
from app.provenance import replay
from app.provenance.replay import RecordedList, Replay, Replayer

app = typer.Typer()

TIME = "%Y-%m-%d %H:%M:%S.%f UTC"
TITLES = "SELECT id, title, year FROM movies WHERE id = ANY(%s)"
MODEL = """
SELECT status, trained_at, dataset_version, training, metrics, to_jsonb(training_data) AS data,
    (SELECT count(*) - 1 FROM model_states AS state WHERE line = at.line AND made_at <= at.made_at) AS updates
FROM model_versions LEFT JOIN training_data ON training_data.version = dataset_version
LEFT JOIN model_states AS at ON at.id = %s
WHERE model_versions.version = %s
"""
NOT_RECORDED = (
    "No list with this id is recorded. Lists are written a second after they are served, and kept for "
    "SERVED_LIST_DAYS days."
)


MAX_CANDIDATES = 1000
Candidates = Annotated[
    int,
    typer.Option(min=0, max=MAX_CANDIDATES, help="Show the first candidates of the list with their scores."),
]


@app.command()
def trace(request_id: str, candidates: Candidates = 0, json: Json = False) -> None:
    """Show what a served list was made from, and make it again: the same movies in the same order.

    REQUEST_ID is the `requestId` of the list. Exits with status 1 if a page of it is not reproduced.
    """
    try:
        of = UUID(request_id)
    except ValueError:
        raise typer.BadParameter("it is not a list's `requestId`", param_hint="REQUEST_ID") from None
    with (
        database() as (settings, url),
        psycopg.connect(url, autocommit=True) as connection,
        threadpool_limits(limits=1, user_api="blas"),  # as in service: it fixes the order of summation
    ):
        pages = list(story(connection, settings.models, of, candidates))
    if not pages:
        raise console.fail(NOT_RECORDED)
    show(pages if json else "\n\n".join(map(in_words, pages)), json=json)
    if not all(page["reproduced"] for page in pages):
        raise typer.Exit(1)


def story(
    connection: psycopg.Connection, models: Path, request_id: UUID, candidates: int = 0
) -> Iterator[dict[str, Any]]:
    """The pages of a list, each with its model, the page made again, and so many candidates of the list."""
    replayer = Replayer(models)
    for page in replay.recorded(connection, request_id):
        again = replayer.replay(connection, page)
        summary = {
            name: value
            for name, value in asdict(page).items()
            if name not in ("inputs", "movie_ids", "ranks", "scores")
        }
        yield summary | {
            "model": model_of(connection, page),
            "movies": movies(connection, page),
            "reproduced": again.same,
            "reason": again.reason,
            "again": [] if again.same else movies(connection, again),
            "candidates": candidates_of(connection, replayer, page, candidates) if candidates else [],
        }


def candidates_of(
    connection: psycopg.Connection, replayer: Replayer, page: RecordedList, first: int
) -> list[dict[str, Any]]:
    """The first candidates of a page's list by rank; `shown`: whether the page has them."""
    rows = movies(connection, replayer.candidates(connection, page, first))
    return [row | {"shown": row["movie_id"] in page.movie_ids} for row in rows]


def model_of(connection: psycopg.Connection, page: RecordedList) -> dict[str, Any] | None:
    """The model with its training; `updates`: online updates and new movies before the list."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(MODEL, (page.model_state, page.model_version)).fetchone()


def movies(connection: psycopg.Connection, of: RecordedList | Replay) -> list[dict[str, Any]]:
    found = {row[0]: row[1:] for row in connection.execute(TITLES, (of.movie_ids,))}
    return [
        {"rank": rank, "movie_id": id_, "title": title, "year": year, "score": score}
        for id_, rank, score in zip(of.movie_ids, of.ranks, of.scores, strict=True)
        for title, year in [found.get(id_, ("(deleted movie)", None))]
    ]


def in_words(page: dict[str, Any]) -> str:
    shown_to = page["username"] or ("a visitor" if page["user_id"] is None else "a member")
    lines = [
        f"{page['field']} for {shown_to}, served {page['served_at'].astimezone(UTC):{TIME}}",
        f"  history    until {page['history_at'].astimezone(UTC):{TIME}}",
        f"  parameters {', '.join(f'{name}: {value}' for name, value in page['parameters'].items())}",
        f"  served by  {page['code_version'] or 'an unknown version of the code'}",
        *([f"  arm        {page['arm']}"] if page["arm"] else []),
        *(model_in_words(page["model_version"], page["model"])),
        *rows_in_words(page["movies"]),
    ]
    if page["reproduced"]:
        lines.append("  reproduced: the same movies in the same order")
    elif page["reason"]:
        lines.append(f"  not reproduced: {page['reason']}")
    else:
        lines += ["  made again, the list is different:", *rows_in_words(page["again"])]
    if page["candidates"]:
        lines += ["  candidates, * on this page:", *rows_in_words(page["candidates"])]
    return "\n".join(lines)


def model_in_words(version: str, model: dict[str, Any] | None) -> list[str]:
    if model is None:
        return [f"  model      {version}, which is not registered"]
    training = model["training"] or {}
    updates = "" if model["updates"] is None else f", {model['updates']} updates since its training"
    lines = [
        f"  model      {version}, {model['status']}{updates}",
        f"  data       {model['dataset_version']}",
    ]
    if data := model["data"]:
        lines.append(f"             sha256 {data['checksum']}, snapshot {data['snapshot']}")
        lines += [
            f"  up to      {each['stream']}, partition {each['partition']}, offset {each['offset']}"
            for each in data["streams"]
        ]
    if training:
        lines.append(f"  trained by {training['code']}, seed {training['parameters']['seed']}")
    return lines


def rows_in_words(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [
        f"  {row['rank']:>5}  {row['score']:>8.4f} {'*' if row.get('shown') else ' '}{row['title']}"
        + (f" ({row['year']})" if row["year"] else "")
        for row in rows
    ]
