"""List, activate and roll back models: `marquee models`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from app import console
from app.cli.database import database
from app.cli.options import Json, show
from app.db.engine import Sessions, create_engine, sessionmaker
from app.settings import Settings
from app.training import registry
from app.training.registry import ModelNotFound, ModelUnreadable, NothingToRollBack, Trained

SHOWN = 100
WIDTH = 160  # of a table that is written to a file
TIME = "%Y-%m-%d %H:%M:%S UTC"

Found = TypeVar("Found")

app = typer.Typer(help="List the trained models, activate one, or roll back.", no_args_is_help=True)


@app.command("list")
def list_models(json: Json = False) -> None:
    """List the newest models with their kind, status and the verdict of the gate."""
    found = _with_models(lambda sessions, _settings: registry.newest(sessions, SHOWN, None))
    if json:
        show([_described(trained) for trained in found], json=True)
        return
    table = Table("version", "kind", "status", "trained", "data", "gate")
    for trained in found:
        at = trained.trained_at.strftime(TIME)
        table.add_row(
            trained.version, trained.kind, trained.status, at, trained.dataset_version, _verdict(trained)
        )
    Console(width=None if Console().is_terminal else WIDTH).print(table)


@app.command()
def activate(version: str, json: Json = False) -> None:
    """Make a trained model the active one, also one that the gate refused; running services load it."""
    _report(
        _with_models(lambda sessions, settings: registry.activate(sessions, settings.models, version)), json
    )


@app.command()
def rollback(json: Json = False) -> None:
    """Activate the model that was active before the active one; running services load it."""
    _report(_with_models(lambda sessions, settings: registry.roll_back(sessions, settings.models)), json)


def _with_models(use: Callable[[Sessions, Settings], Awaitable[Found]]) -> Found:
    async def run(settings: Settings, url: str) -> Found:
        engine = create_engine(url, settings)
        try:
            return await use(sessionmaker(engine), settings)
        finally:
            await engine.dispose()

    with database() as (settings, url):
        try:
            return asyncio.run(run(settings, url))
        except (ModelNotFound, ModelUnreadable, NothingToRollBack) as error:
            raise console.fail(str(error)) from None


def _report(trained: Trained, json: bool) -> None:
    show({"version": trained.version} if json else f"Model {trained.version} is active.", json=json)


def _described(trained: Trained) -> dict[str, Any]:
    names = ("version", "kind", "status", "trained_at", "dataset_version", "metrics", "gate")
    return {name: getattr(trained, name) for name in names}


def _verdict(trained: Trained) -> str:
    if trained.gate is None:
        return ""
    said = "passed" if trained.gate["passed"] else "refused"
    return f"{said}: {trained.gate['reason']}" if trained.gate["reason"] else said
