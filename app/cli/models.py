"""List, activate and roll back models: `marquee models`."""

import shutil
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app import console
from app.cli.database import audited, with_sessions
from app.cli.options import Json, show
from app.cli.row_report import wrapped
from app.db.engine import Sessions
from app.db.training_tables import ShadowRun
from app.settings import Settings
from app.training import registry, shadow_runs
from app.training.registry import ModelNotFound, ModelUnreadable, NothingToRollBack, Trained
from app.training.shadow_runs import AlreadyActive, NoShadow

SHOWN = 100
TIME = "%Y-%m-%d %H:%M"  # UTC

REFUSED = (ModelNotFound, ModelUnreadable, NothingToRollBack, AlreadyActive, NoShadow)


app = typer.Typer(help="List the trained models, activate one, or roll back.", no_args_is_help=True)


@app.command("list")
def list_models(json: Json = False) -> None:
    """List the newest models with their kind, status and the verdict of the gate."""
    found = with_sessions(lambda sessions, _: registry.newest(sessions, SHOWN, None), *REFUSED)
    if json:
        show([_described(trained) for trained in found], json=True)
        return
    table = Table("version", "kind", "status", "trained", "ndcg", "gate", box=None, pad_edge=False)
    for trained in found:
        gate = "" if trained.gate is None else "passed" if trained.gate["passed"] else "refused"
        at = trained.trained_at.strftime(TIME)
        main = next((figure for figure in trained.figures() if figure.name == "ndcg"), None)
        ndcg = "" if main is None else f"{main.value:.3f}"
        table.add_row(trained.version, trained.kind, trained.status, at, ndcg, gate)
    Console(markup=False, highlight=False).print(table)


@app.command("show")
def show_model(
    version: Annotated[str | None, typer.Argument(help="Default: the active one.")] = None,
    json: Json = False,
) -> None:
    """Show a model: its data, its metrics with their intervals and what they were measured on, its gate."""

    async def read(sessions: Sessions, _settings: Settings) -> Trained | None:
        if version is None:
            return await registry.active(sessions)
        return (await registry.by_version(sessions, [version])).get(version)

    trained = with_sessions(read, *REFUSED)
    if trained is None:
        raise console.fail("No model is active." if version is None else registry.NOT_FOUND)
    if json:
        show(_described(trained) | {"metrics": trained.figures()}, json=True)
        return
    lines = [
        f"{trained.version}, {trained.kind}, {trained.status}, trained {trained.trained_at.strftime(TIME)}",
        f"data: {trained.dataset_version}",
    ]
    if trained.gate is not None:
        lines.append(f"gate: {_verdict(trained)}")
    if trained.shadow is not None:
        lines.append(f"shadow: {shadow_cell(trained.shadow)}")
    for figure in trained.figures():
        interval = "" if figure.low is None else f"  [{figure.low:.4f}, {figure.high:.4f}]"
        lines += [f"{figure.label}  {figure.value:.4f}{interval}", f"  on {figure.measured_on}"]
    columns = shutil.get_terminal_size((0, 0)).columns
    show("\n".join(wrapped(line, columns) for line in lines), json=False)


@app.command()
def activate(version: str, json: Json = False) -> None:
    """Make a trained model the active one, also one that the gate refused; running services load it."""
    _report(
        audited(
            "activateModel",
            {"version": version},
            lambda sessions, settings: registry.activate(sessions, settings.models, version),
            *REFUSED,
        ),
        json,
    )


@app.command()
def rollback(json: Json = False) -> None:
    """Activate the model that was active before the active one; running services load it."""
    trained = audited(
        "rollbackModel",
        {},
        lambda sessions, settings: registry.roll_back(sessions, settings.models),
        *REFUSED,
    )
    _report(trained, json)


@app.command()
def shadow(
    version: Annotated[str | None, typer.Argument(help="A trained model; none with --stop.")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the shadow mode.")] = False,
    json: Json = False,
) -> None:
    """Make live lists with a model too, without serving them; running services begin within seconds."""
    if (version is None) != stop:
        raise typer.BadParameter("name a version, or --stop", param_hint="VERSION")

    async def changed(sessions: Sessions, _settings: Settings) -> str:
        if version is None:
            return await shadow_runs.stop(sessions)
        await shadow_runs.start(sessions, version)
        return version

    found = audited("stopShadow" if stop else "startShadow", {"version": version}, changed, *REFUSED)
    said = f"Model {found} is {'no longer ' if stop else ''}in shadow mode."
    show({"version": found, "running": not stop} if json else said, json=json)


def _report(trained: Trained, json: bool) -> None:
    show({"version": trained.version} if json else f"Model {trained.version} is active.", json=json)


def _described(trained: Trained) -> dict[str, Any]:
    names = ("version", "kind", "status", "trained_at", "dataset_version", "metrics", "gate")
    shadow = trained.shadow and shadow_runs.figures_of(trained.shadow)
    return {name: getattr(trained, name) for name in names} | {"shadow": shadow and asdict(shadow)}


def _verdict(trained: Trained) -> str:
    if trained.gate is None:
        return ""
    said = "passed" if trained.gate["passed"] else "refused"
    return f"{said}: {trained.gate['reason']}" if trained.gate["reason"] else said


def shadow_cell(run: ShadowRun | None) -> str:
    """The last run in shadow mode, in a cell."""
    if run is None:
        return ""
    found = shadow_runs.figures_of(run)
    parts = [f"{run.status.lower()}: {found.lists} lists"]
    if found.agreement is not None:
        parts.append(f"agree {found.agreement:.0%}")
        took, usual = map(_milliseconds, (found.candidate_milliseconds, found.active_milliseconds))
        parts.append(f"{took}, not {usual}")
    parts += [
        f"{count} {name}" for name, count in (("failed", found.failed), ("dropped", found.dropped)) if count
    ]
    return ", ".join(parts)


def _milliseconds(value: float | None) -> str:
    """At least two digits, without an exponent."""
    if value is None:
        return "–"
    return f"{value:.2g} ms" if value < 10 else f"{value:,.0f} ms"  # noqa: PLR2004 - has two digits from there on
