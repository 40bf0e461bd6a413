"""The `marquee` command: a table of commands, each loaded when it is called.

The modules of the commands import all their dependencies, including numba, so loading all of them would make
`marquee --help` take seconds.
"""

import gc
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

# Module and first line of the help, by name.
COMMANDS = {
    "serve": ("app.cli.serve", "Serve the GraphQL API and GraphiQL."),
    "migrate": (
        "app.cli.operator.migrate",
        "Migrate the database to the newest revision; processes of the previous release go on serving.",
    ),
    "dump": (
        "app.cli.operator.backup",
        "Write all data that is not derived to a folder, of one moment, while the service runs.",
    ),
    "restore": (
        "app.cli.operator.backup",
        "Load a dump of this or an earlier release into an empty database; all or nothing.",
    ),
    "settings": (
        "app.cli.operator.settings",
        "Show the settings that apply here, with their origin and without secrets.",
    ),
    "seed": ("app.cli.seed", "Load movies, members and ratings."),
    "load": (
        "app.cli.load",
        "Load movies, ratings and events of other systems from csv, JSON lines and Parquet.",
    ),
    "train": (
        "app.cli.train",
        "Train on all ratings and make the new model the active one; running services pick it up.",
    ),
    "models": ("app.cli.models", "List the trained models, activate one, or roll back."),
    "ingest": ("app.cli.ingest", "Ingest ratings and events of other systems, from files or Kafka."),
    "evaluate": (
        "app.cli.evaluate",
        "Evaluate the recommender and baselines on the same splits of the database, or of --data.",
    ),
    "tune": (
        "app.cli.tune",
        "Search for settings on a validation split, apart from the test split; the same command resumes.",
    ),
    "recommend": ("app.cli.recommend", "Write recommendation lists for users with a model on disk."),
    "predict": (
        "app.cli.recommend",
        "Write rating predictions for pairs: user_id, movie_id, stars, low, high, match_percent.",
    ),
    "trace": (
        "app.cli.operator.trace",
        "Show what a served list was made from, and make it again: the same movies in the same order.",
    ),
    "experiment": ("app.cli.experiment", "Plan, start, stop and report experiments; value models."),
    "promote": ("app.cli.operator.promotions", "Pin or boost movies in all lists for a time."),
    "hide": (
        "app.cli.operator.promotions",
        "Hide movies from all lists without deleting them; without an id, list the hidden ones.",
    ),
    "create-admin": (
        "app.cli.create_admin",
        "Create an account with the role ADMIN, or grant the role to an existing account.",
    ),
    "create-key": (
        "app.cli.operator.create_key",
        "Create an API key for a service and print it: it is shown only once.",
    ),
    "export-schema": ("app.cli.schema_commands", "Write the schema as SDL and as a page of documentation."),
    "diff-schema": (
        "app.cli.schema_commands",
        "List the changes since the released schema; fail if the changelog does not name a breaking one.",
    ),
    "explain": (
        "app.cli.schema_commands",
        "Print the Python function that executes an operation, or the reason why graphql-core does.",
    ),
}


class LazyGroup(TyperGroup):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Click's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, summary = COMMANDS[cmd_name]
        if ctx.meta.get("listing"):
            return TyperCommand(cmd_name, short_help=summary)
        return load(module, cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        ctx.meta["listing"] = True
        super().format_help(ctx, formatter)


def load(module: str, name: str) -> Any:
    """Import the module of a command and return the command."""
    found: Any = get_command(import_module(module).app)
    if name in getattr(found, "commands", {}):
        found = found.commands[name]
    found.name = name
    return found


# Without rich's markup the list is plain text, and takes half the time: rich is loaded with a command.
app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def show_version(wanted: bool) -> None:
    """Print the version of the installed package, and exit."""
    if wanted:
        typer.echo(f"marquee {import_module('app.training.code_version').code_version()}")
        raise typer.Exit


@app.callback()
def marquee(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """Marquee: movie recommendations as a GraphQL API over Postgres."""


def main() -> None:
    """Run the command. An error of the operating system is printed in one line, without a traceback."""
    try:
        app()
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        import_module("app.console").fail(f"{name}{error.strerror or error}")
        sys.exit(1)
    finally:
        gc.freeze()  # the interpreter would collect several times as it exits, which takes most of a second
