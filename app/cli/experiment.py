"""Experiments: `marquee experiment plan|start|stop|list|report|value`."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
import typer

from app import console
from app.accounts.viewer import Role
from app.cli.database import audited, database, with_sessions
from app.cli.experiment_tables import list_of, report_of, value_table
from app.cli.options import Json, show
from app.db.engine import Sessions
from app.experiments import registry
from app.experiments.assignment import Arm, Design, Target
from app.experiments.differences import ALPHA
from app.experiments.measures import Metric
from app.experiments.page import page
from app.experiments.past import Past, past
from app.experiments.plans import InvalidExperiment, Plan
from app.experiments.power import Undetectable, members_needed
from app.experiments.report import report
from app.provenance.logged_choices import MAX_LISTS, NothingLogged, value_of
from app.serving.model import BEFORE, Model
from app.settings import Settings
from recommender.model.artifact import ArtifactError

app = typer.Typer(help="Plan, start, stop and report experiments; value models.", no_args_is_help=True)
MetricName = Literal["CLICK_RATE", "WATCH_RATE", "COMPLETION", "MEAN_STARS", "LISTS_UNTIL_WATCH", "DIVERSITY"]
REFUSED = (InvalidExperiment, registry.NameTaken, registry.NoRoom, registry.NotFound, Undetectable)
MAX_LISTED = 100
ARM = "NAME=SHARE[,diversity=D][,exploration=E][,model=VERSION]"
PARAMETERS = {"diversity": float, "exploration": float, "model": str}


@app.command()
def plan(
    metric: Annotated[MetricName, typer.Option(help="The metric to change.")] = "CLICK_RATE",
    lift: Annotated[float, typer.Option(help="The relative difference to find: 0.05 is 5 %.")] = 0.05,
    power: Annotated[float, typer.Option(min=0.5, max=0.999, help="How surely to find it.")] = 0.8,
    share: Annotated[float, typer.Option(min=0.001, max=0.999, help="Share of the new arm.")] = 0.5,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days of the past to plan by.")] = 28,
    mean: Annotated[float | None, typer.Option(help="Instead of the past: mean of the metric.")] = None,
    deviation: Annotated[
        float | None, typer.Option(help="Instead of the past: its standard deviation.")
    ] = None,
    json: Json = False,
) -> None:
    """Compute how many members, and days, an experiment with two arms needs."""
    if (mean is None) != (deviation is None):
        raise typer.BadParameter("give both or none", param_hint="--mean, --deviation")
    if mean is not None and deviation is not None:
        given = Past(0, mean, deviation, 0.0, days)
    else:
        given = with_sessions(lambda sessions, _: past(sessions, Metric(metric), days), *REFUSED)
    try:
        sizes = [
            members_needed(
                mean=given.mean,
                deviation=given.deviation,
                lift=lift,
                wanted=power,
                ratio=share / (1 - share),
                correlation=correlation,
            )
            for correlation in (0.0, given.correlation)
        ]
    except Undetectable as refused:
        raise console.fail(str(refused)) from None
    plain, adjusted = sizes
    found: dict[str, Any] = {
        "metric": metric,
        "lift": lift,
        "power": power,
        "significance": round(ALPHA, 3),
        "past": asdict(given),
        "members": asdict(plain),
        "members_with_cuped": asdict(adjusted),
    }
    show(found if json else planned(found, given, plain.baseline + plain.arm), json=json)


def planned(found: dict[str, Any], given: Past, members: int) -> str:
    plain, cuped = found["members"], found["members_with_cuped"]
    fewer = f"with CUPED {cuped['baseline']:,} and {cuped['arm']:,}"
    lines = [
        f"{found['metric']}: mean {given.mean:.4g}, standard deviation {given.deviation:.4g}",
        f"To find a lift of {found['lift']:+.1%} with power {found['power']:g} at significance {ALPHA:.2g}:",
        f"  {plain['baseline']:,} members of the baseline and {plain['arm']:,} of the arm",
        f"  {fewer} (correlation with the past {given.correlation:.2f})",
    ]
    if given.members:
        lines.append(f"The last {given.days} days had {given.members:,} members with this metric.")
        if members > given.members:
            lines.append("That is too few: find a larger lift, or choose a metric that varies less.")
        else:
            lines.append(f"About {ceil(given.days * members / given.members)} days are enough.")
    return "\n".join(lines)


def arm_of(text: str) -> Arm:
    """Parse an arm, such as `varied=0.5,diversity=0.4,model=20260101-1,exploration=0.1`."""
    name, _, rest = text.partition("=")
    share, *settings = rest.split(",")
    given: dict[str, Any] = {}
    try:
        for setting in settings:
            key, _, value = setting.partition("=")
            given["model_version" if key == "model" else key] = PARAMETERS[key](value)
        return Arm(name, float(share), **given)
    except (ValueError, KeyError):
        raise typer.BadParameter(f"{text!r} is not {ARM}", param_hint="--arm") from None


@app.command()
def start(
    name: str,
    arm: Annotated[
        list[str],
        typer.Option(help=f"{ARM}; the first is the baseline."),
    ],
    layer: Annotated[str, typer.Option(help="Experiments of one layer share no member.")] = "default",
    days: Annotated[float | None, typer.Option(min=0.01, help="Days until it ends; default 28.")] = None,
    switchback_hours: Annotated[
        int | None, typer.Option(help="Give each member each arm in turn, for so many hours.")
    ] = None,
    role: Annotated[list[Role] | None, typer.Option(help="Only members with this role.")] = None,
    min_ratings: Annotated[int, typer.Option(help="Only members with as many ratings.")] = 0,
    joined_after: Annotated[
        datetime | None, typer.Option(help="Only members who signed up after this time, in UTC.")
    ] = None,
) -> None:
    """Start an experiment; running services know it within a second."""
    joined = None if joined_after is None else joined_after.replace(tzinfo=UTC)
    wanted = Plan(
        name=name,
        arms=[arm_of(text) for text in arm],
        layer=layer,
        ends_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
        design=Design.FIXED if switchback_hours is None else Design.SWITCHBACK,
        period_hours=switchback_hours,
        target=Target(frozenset(role or ()), min_ratings, joined),
    )
    given = {
        "name": name, "arms": arm, "layer": layer, "days": days, "switchbackHours": switchback_hours,
        "roles": [each.value for each in role or ()] or None, "minRatings": min_ratings or None,
        "joinedAfter": joined and joined.isoformat(),
    }  # fmt: skip
    started = audited(
        "startExperiment",
        given,
        lambda sessions, settings: registry.start(sessions, wanted, settings.served_list_days),
        *REFUSED,
    )
    show(f"{name} runs until {started.ends_at:%Y-%m-%d %H:%M} UTC.", json=False)


@app.command()
def stop(name: str) -> None:
    """Stop an experiment and keep its report."""

    async def stopped(sessions: Sessions, _: Settings) -> None:
        last = await report(sessions, await registry.required(sessions, name), unlimited=True)
        await registry.stop(sessions, name, last.as_json())

    audited("stopExperiment", {"name": name}, stopped, *REFUSED)
    show(f"{name} is stopped.", json=False)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the experiments, newest first."""
    found = with_sessions(lambda sessions, _: registry.page(sessions, MAX_LISTED), *REFUSED)
    now = datetime.now(UTC)
    rows = [
        {
            "name": each.name,
            "status": each.status(now),
            "layer": each.layer,
            "starts_at": each.starts_at,
            "ends_at": each.ends_at,
            "arms": [asdict(arm) for arm in each.arms],
        }
        for each in found
    ]
    show(rows if json else list_of(found, [each.status(now) for each in found]), json=json)


@app.command("report")
def report_(
    name: str,
    html: Annotated[Path | None, typer.Option(help="Also write one HTML page.", dir_okay=False)] = None,
    json: Json = False,
) -> None:
    """Report what the arms of an experiment changed."""

    async def made(sessions: Sessions, _: Settings) -> tuple[Any, Any]:
        experiment = await registry.required(sessions, name)
        return experiment, await report(sessions, experiment, unlimited=True)

    experiment, found = with_sessions(made, *REFUSED)
    if html is not None:
        html.write_text(page(experiment, found), encoding="utf-8")
    show(found.as_json() if json else report_of(experiment, found), json=json)


@app.command()
def value(
    version: Annotated[str, typer.Argument(help="The trained model to estimate.")],
    arm: Annotated[
        str | None,
        typer.Option(help="Only lists of this arm: experiment/arm; default: all with exploration."),
    ] = None,
    reward: Annotated[Literal["CLICK", "WATCH"], typer.Option(help="What a first movie can earn.")] = "CLICK",
    days: Annotated[int, typer.Option(min=1, max=365, help="Days of the past.")] = 7,
    lists: Annotated[int, typer.Option(min=2, max=MAX_LISTS, help="Most lists, the newest.")] = 2_000,
    json: Json = False,
) -> None:
    """Estimate from lists with exploration what another model would earn at the first place."""
    with database() as (settings, url):
        try:
            model = Model.load(settings.models / version, BEFORE)
            with psycopg.connect(url) as connection:
                found = value_of(
                    connection, settings.models, model,
                    reward=reward, arm=arm, since=timedelta(days=days), most=lists,
                )  # fmt: skip
        except (ArtifactError, OSError, NothingLogged) as error:
            raise console.fail(str(error)) from None
    show(asdict(found) if json else value_table(version, found), json=json)
